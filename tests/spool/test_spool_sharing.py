"""A spool that several accounts of one group share: modes, and the time of a file that is another's."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from fakes.spools import TestSpool
from fakes.syscalls import CrashNow, crash, spied

from shared.routing.lane import Lane
from shared.spool.sharing import is_shared, replace_by_copy, umask_for
from shared.spool.spool import Spool
from shared.spool.trail import Trail, TrailRecord

LATER = 5e9


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def shared(tmp_path: Path) -> Spool:
    root = tmp_path / "spool"
    root.mkdir()
    root.chmod(0o2770)
    return Spool(root, "hq")


def test_a_shared_spool_keeps_its_mode_in_every_folder(shared: Spool) -> None:
    shared.prepare()
    assert is_shared(shared.root)
    assert {mode(path) for path in [shared.root, *shared.root.rglob("*")]} == {0o2770}
    shared.folder(Lane.RELAY).chmod(0o2755)
    shared.prepare()
    assert mode(shared.folder(Lane.RELAY)) == 0o2770


@pytest.mark.parametrize("other", [0o770, 0o2775, 0o2700, 0o755])
def test_only_the_very_mode_means_shared(tmp_path: Path, other: int) -> None:
    root = tmp_path / "spool"
    root.mkdir()
    root.chmod(other)
    assert umask_for(root) == 0o077
    Spool(root, "hq").prepare()
    assert mode(root) == mode(root / ".relay" / "new") == 0o700


def test_what_the_umask_leaves(shared: Spool, tmp_path: Path) -> None:
    assert umask_for(shared.root) == 0o007 and umask_for(tmp_path / "nowhere") == 0o077
    before = os.umask(umask_for(shared.root))
    try:
        Trail(f"{shared.root}/x").append([TrailRecord(1.0, "mercury-c", "deferred")], durable=False)
    finally:
        os.umask(before)
    assert mode(shared.root / "x") == 0o660


def test_the_time_of_another_accounts_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the owner of a file may set its time: the entry is replaced by a copy of ours."""
    place = TestSpool(tmp_path / "spool")
    lane = place.lane()
    name = place.deposit(message=b"x" * 3_000_000)
    claim = lane.claim(name)
    assert claim is not None
    before = Path(claim.path).read_bytes()
    real = os.utime

    def only_our_own(path: object, times: object = None) -> None:
        if path == claim.path:
            raise PermissionError(1, "Operation not permitted")
        real(path, times)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "utime", only_our_own)
    lane.postpone(claim, LATER)
    assert list(lane.scan()) == [(name, LATER)]
    assert Path(lane.new, name).read_bytes() == before
    assert place.names(part="tmp") == []


def test_there_is_one_whole_file_whenever_it_is_cut_short(tmp_path: Path) -> None:
    entry, tmp = tmp_path / "entry", tmp_path / "tmp"
    names = ("open", "sendfile", "utime", "fsync", "rename", "close")
    for at in range(1, 20):
        entry.write_bytes(b"message")
        os.utime(entry, (7, 7))
        with spied(at, crash, names) as calls:
            try:
                replace_by_copy(str(entry), str(tmp), LATER)
            except CrashNow:
                pass
        assert entry.read_bytes() == b"message" and entry.stat().st_mtime in (7, LATER)
        if len(calls.made) < at:
            assert not tmp.exists() and entry.stat().st_mtime == LATER
            return
    pytest.fail("it never came to an end")
