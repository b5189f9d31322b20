"""New entries are noticed at once: inotify of the kernel, read by hand instead of by a reactor."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from fakes.spools import TestSpool

from shared.routing.lane import Lane
from shared.spool.watch import LaneWatch


class Reactor:
    """Has one reader, and reads when told to."""

    def __init__(self) -> None:
        self.readers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        if reader in self.readers:
            self.readers.remove(reader)

    def removeWriter(self, writer: Any) -> None:
        pass

    def callLater(self, delay: float, call: Any, *args: Any) -> None:
        call(*args)

    def read(self) -> None:
        for reader in list(self.readers):
            reader.doRead()


def test_names_that_come_are_told_until_stop(tmp_path: Path) -> None:
    place, reactor, found = TestSpool(tmp_path), Reactor(), []
    lane = place.lane()
    watch = LaneWatch(lane, reactor)
    place.deposit()
    watch.start(found.append)
    assert watch.is_prompt
    name = place.deposit()
    (place.spool.folder(Lane.RELAY) / "tmp" / "half").write_text("not in new/")
    reactor.read()
    assert found == [name]
    claim = lane.claim(name)
    assert claim is not None
    lane.postpone(claim, 5e9)
    reactor.read()
    assert found == [name, name]
    watch.stop()
    watch.stop()
    assert reactor.readers == [] and not watch.is_prompt


def test_a_foreign_file_is_told_and_a_hidden_one_is_not(tmp_path: Path) -> None:
    place, reactor, found = TestSpool(tmp_path), Reactor(), []
    watch = LaneWatch(place.lane(), reactor)
    watch.start(found.append)
    for name in (".nfs1", "notes.txt", "caf\udce9"):
        (place.spool.root / "x").write_text("")
        (place.spool.root / "x").rename(place.spool.folder(Lane.RELAY) / "new" / name)
    reactor.read()
    assert found == ["notes.txt", "caf\udce9"]
    watch.stop()


def test_a_folder_that_goes_away_is_no_name(tmp_path: Path) -> None:
    place, reactor, found = TestSpool(tmp_path), Reactor(), []
    watch = LaneWatch(place.lane(), reactor)
    watch.start(found.append)
    (place.spool.folder(Lane.RELAY) / "new").rmdir()
    reactor.read()
    assert found == []


@pytest.mark.parametrize("missing", ["library", "kernel", "folder"])
def test_without_inotify_it_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    place, reactor = TestSpool(tmp_path), Reactor()
    if missing == "library":
        monkeypatch.setitem(sys.modules, "twisted.internet.inotify", None)
    elif missing == "kernel":
        monkeypatch.setattr("twisted.python._inotify.libc.inotify_init", lambda: -1, raising=False)
    else:
        (place.spool.folder(Lane.RELAY) / "new").rmdir()
    watch = LaneWatch(place.lane(), reactor)
    watch.start(print)
    assert not watch.is_prompt and reactor.readers == []
    watch.stop()
