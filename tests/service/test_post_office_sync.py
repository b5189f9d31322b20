"""`queue.sync`: what the committer is given, what is said at the start, and that a change wants a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from shared.config.model import Config
from shared.config.reading import read
from shared.config.standing import need_restart
from shared.maildir import file_system
from shared.observe.log import log
from shared.service.post_office import PostOffice
from shared.service.trouble import StartTrouble, line_of


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    said: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(log, "event", lambda event, **fields: said.append((event, fields)))
    return said


def office(folder: Path, sync: str) -> PostOffice:
    return PostOffice(config(folder, sync), "s", asyncio.get_running_loop(), None)


def config(folder: Path, sync: str) -> Config:
    return read(
        Config,
        {"hostname": "mail.hq.example", "spool": str(folder / "post" / "spool"), "queue": {"sync": sync}},
        str(folder),
    )


def mounted(folder: Path, kind: str, point: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = folder / "mountinfo"
    table.write_text(f"21 1 254:0 / / rw - ext4 /dev/vda rw\n22 21 0:5 / {point} rw - {kind} /dev/vdb rw\n")
    monkeypatch.setattr(file_system, "MOUNTS", table)


@pytest.mark.parametrize(("above", "words"), [("post", []), (".", ["spool-not-alone"])])
def test_the_committer_gets_the_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[tuple[str, Any]], above: str, words: list[str]
) -> None:
    mounted(tmp_path, "xfs", tmp_path / above, monkeypatch)

    async def test() -> None:
        post = office(tmp_path, "syncfs")
        post.open()
        assert post.committer.file_system is not None
        post.close()

    asyncio.run(test())
    assert [event for event, _ in said] == words


def test_each_file_by_itself_is_the_default(tmp_path: Path, said: list[tuple[str, Any]]) -> None:
    async def test() -> None:
        post = office(tmp_path, "files")
        post.open()
        assert post.committer.file_system is None
        post.close()

    asyncio.run(test())
    assert need_restart("mercury-c", ["queue.sync"]) == ["queue.sync"] and said == []


def test_a_daemon_does_not_start_where_it_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted(tmp_path, "tmpfs", tmp_path, monkeypatch)

    async def test() -> None:
        with pytest.raises(StartTrouble) as trouble:
            office(tmp_path, "syncfs").open()
        line = line_of("mercury-s", trouble.value)
        assert line.startswith(f"mercury-s: cannot sync {tmp_path}/post/spool by syncfs: it is on tmpfs,")
        assert line.endswith("; put it on ext4, XFS or Btrfs, or set queue.sync to files")

    asyncio.run(test())
