"""Names come with their times, each once, however many portions and threads it takes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shared.spool import names_and_times as room
from shared.spool.names_and_times import names_and_times


def _fill(folder: Path, count: int) -> dict[str, float]:
    for number in range(count):
        (folder / f"n{number}").touch()
        os.utime(folder / f"n{number}", (0, 1000 + number))
    (folder / ".hidden").touch()
    return {f"n{number}": 1000.0 + number for number in range(count)}


@pytest.mark.parametrize("is_cold", [False, True])
@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20, 47])
def test_every_name_comes_once_with_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, is_cold: bool
) -> None:
    monkeypatch.setattr(room, "SORTED_AT_ONCE", 10)
    monkeypatch.setattr(room, "TIMES_AT_ONCE", 3)
    wanted = _fill(tmp_path, count)
    got = list(names_and_times(str(tmp_path), is_cold))
    assert sorted(got) == sorted(wanted.items())


@pytest.mark.parametrize("is_cold", [False, True])
def test_what_goes_meanwhile_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_cold: bool) -> None:
    monkeypatch.setattr(room, "SORTED_AT_ONCE", 10)
    monkeypatch.setattr(room, "TIMES_AT_ONCE", 1)
    monkeypatch.setattr(room, "READERS", 1)
    _fill(tmp_path, 30)
    looking = names_and_times(str(tmp_path), is_cold)
    next(looking)
    for path in tmp_path.iterdir():
        path.unlink()
    #  Of what was read ahead some may still come.
    assert len(list(looking)) < 20


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(names_and_times(str(tmp_path / "gone"), is_cold=True))


def test_who_gives_up_half_way_leaves_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "SORTED_AT_ONCE", 10)
    pools = []
    make = room.ThreadPoolExecutor

    def made(*arguments: object, **options: object) -> object:
        pools.append(make(*arguments, **options))  # type: ignore[arg-type]
        return pools[-1]

    monkeypatch.setattr(room, "ThreadPoolExecutor", made)
    _fill(tmp_path, 50)
    looking = names_and_times(str(tmp_path), is_cold=True)
    next(looking)
    looking.close()
    with pytest.raises(RuntimeError, match="shutdown"):
        pools[0].submit(len, "")
