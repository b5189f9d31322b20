"""The folders of a Maildir are there, durable and private."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shared.maildir.tree import listed, make_folder, make_maildir


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders that were synced, in order."""
    paths: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        paths.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return paths


def test_a_maildir_has_its_three_folders_for_nobody_else(tmp_path: Path) -> None:
    make_maildir(tmp_path / "a" / "b")
    for part in ("tmp", "new", "cur"):
        assert (tmp_path / "a" / "b" / part).stat().st_mode & 0o777 == 0o700


def test_every_name_is_synced_in_its_parent(tmp_path: Path, synced: list[str]) -> None:
    make_maildir(tmp_path / "a" / "b")
    inner = f"{tmp_path}/a/b"
    assert synced == [str(tmp_path), f"{tmp_path}/a", inner, inner, inner]


def test_what_is_there_stays_as_it_is(tmp_path: Path, synced: list[str]) -> None:
    make_maildir(tmp_path / "box")
    (tmp_path / "box" / "new" / "letter").write_text("x")
    (tmp_path / "box").chmod(0o750)
    synced.clear()
    make_maildir(tmp_path / "box")
    assert (tmp_path / "box" / "new" / "letter").read_text() == "x"
    assert (tmp_path / "box").stat().st_mode & 0o777 == 0o750
    assert synced == []


def test_a_folder_that_another_process_makes_at_the_same_time_is_synced_by_us_too(
    tmp_path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.mkdir

    def slower(path: Path, mode: int) -> None:
        real(path, mode)
        raise FileExistsError(17, "File exists", str(path))

    monkeypatch.setattr(os, "mkdir", slower)
    make_folder(tmp_path / "a")
    assert synced == [str(tmp_path)]


def test_a_file_in_the_place_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "box").write_text("in the way")
    with pytest.raises(OSError):
        make_maildir(tmp_path / "box")


def test_names_with_a_dot_are_not_listed(tmp_path: Path) -> None:
    for name in ("a", ".nfs0001", "b"):
        (tmp_path / name).write_text("")
    assert sorted(entry.name for entry in listed(str(tmp_path))) == ["a", "b"]
