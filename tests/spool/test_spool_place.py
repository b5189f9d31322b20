"""The spool as a place: made when missing, private, and refused in one line when mail cannot be kept there."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from pathlib import Path

import pytest
from fakes.syscalls import failing, spied

from shared.routing.lane import Lane
from shared.spool.spool import Spool, SpoolUnusable


def refusal(spool: Spool) -> str:
    with pytest.raises(SpoolUnusable) as caught:
        spool.prepare()
    text = str(caught.value)
    assert "\n" not in text and str(spool.root) in text and "; " in text
    return text


def test_everything_is_made_and_is_nobody_elses(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "var" / "spool", "hq")
    spool.prepare()
    folders = {str(path.relative_to(spool.root)) for path in spool.root.rglob("*")}
    lanes = {f"{lane.value}{part}" for lane in Lane for part in ("", "/tmp", "/new", "/cur", "/trail")}
    assert folders == lanes | {"owners", "corrupt"}
    assert all(path.stat().st_mode & 0o777 == 0o700 for path in [spool.root, *spool.root.rglob("*")])


def test_preparing_again_keeps_what_is_there_and_closes_what_was_open(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", "hq")
    spool.prepare()
    entry = spool.folder(Lane.RELAY) / "new" / "entry"
    entry.write_text("x")
    spool.folder(Lane.RELAY).chmod(0o755)
    spool.prepare()
    assert entry.read_text() == "x" and spool.folder(Lane.RELAY).stat().st_mode & 0o777 == 0o700


def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o277)
    try:
        Spool(tmp_path / "spool", "hq").prepare()
    finally:
        os.umask(before)
    assert (tmp_path / "spool" / ".relay" / "new").stat().st_mode & 0o777 == 0o700


def test_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("x")
    assert "cannot make its folders" in refusal(Spool(tmp_path / "spool", "hq"))


def test_a_lane_that_is_a_link(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", "hq")
    spool.prepare()
    (tmp_path / "elsewhere").mkdir(0o700)
    for part in ("tmp", "new", "cur", "trail"):
        (spool.folder(Lane.HOLD) / part).rmdir()
        (tmp_path / "elsewhere" / part).mkdir(0o700)
    spool.folder(Lane.HOLD).rmdir()
    spool.folder(Lane.HOLD).symlink_to(tmp_path / "elsewhere")
    assert ".hold is a link or another file system" in refusal(spool)


def copying_rename(source: str, goal: str) -> None:
    """As a gateway to an object store does it."""
    shutil.copy2(source, goal)


def forgetful_rename(source: str, goal: str) -> None:
    REAL_RENAME(source, goal)
    os.truncate(goal, 0)


def touching_rename(source: str, goal: str) -> None:
    REAL_RENAME(source, goal)
    os.utime(goal)


def cautious_rename(source: str, goal: str) -> None:
    if not os.path.exists(goal):
        REAL_RENAME(source, goal)


def lenient_open(path: str, flags: int, mode: int = 0o777) -> int:
    return REAL_OPEN(path, flags & ~os.O_EXCL, mode)


REAL_RENAME, REAL_OPEN = os.rename, os.open
FAITHLESS = {
    "still there under its old name": (os, "rename", copying_rename),
    "lost its content": (os, "rename", forgetful_rename),
    "lost its time": (os, "rename", touching_rename),
    "does not replace": (os, "rename", cautious_rename),
    "under a name that there is already": (os, "open", lenient_open),
    "does not keep the time": (os, "utime", lambda path, times: None),
    "one lock to two": (fcntl, "flock", lambda descriptor, operation: None),
}


@pytest.mark.parametrize("broken", FAITHLESS)
def test_a_file_system_that_breaks_a_promise_is_refused(
    tmp_path: Path, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path / "spool", "hq")
    spool.prepare()
    with monkeypatch.context() as patch:
        module, name, fake = FAITHLESS[broken]
        patch.setattr(module, name, fake)
        assert broken in refusal(spool)
    assert [path for path in spool.root.rglob("*") if path.is_file()] == []
    spool.prepare()


def test_hosts_that_start_at_the_same_moment_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their processes may have the same number."""
    spools = [Spool(tmp_path / "spool", name) for name in ("one.test", "two.test")]
    spools[0].prepare()
    real, made = os.rename, []

    def rename(source: str, goal: str) -> None:
        if not made:
            made.append(goal)
            spools[1].prepare()
        real(source, goal)

    monkeypatch.setattr(os, "rename", rename)
    spools[0].prepare()
    assert made


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EROFS, errno.ENOSPC, errno.EACCES, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("call", ["open", "write", "fsync", "rename"])
def test_every_step_of_a_deposit_is_tried(tmp_path: Path, call: str, number: int) -> None:
    spool = Spool(tmp_path / "spool", "hq")
    spool.prepare()
    with spied(1, failing(number), (call,)):
        text = refusal(spool)
    assert os.strerror(number) in text
    assert [path for path in spool.root.rglob("*") if path.is_file()] == []
    spool.prepare()


@pytest.mark.parametrize("call", ["mkdir", "chmod"])
def test_folders_that_cannot_be_made_or_closed(tmp_path: Path, call: str) -> None:
    spool = Spool(tmp_path / "spool", "hq")
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool").chmod(0o755)
    with spied(1, failing(errno.EACCES), (call,)):
        assert "Permission denied" in refusal(spool)


def test_where_things_are(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", "Mail/HQ")
    spool.prepare()
    assert spool.folder(Lane.DIRECT) == tmp_path / "spool" / ".direct"
    assert spool.lanes() == tuple(Lane)
    assert spool.node == "Mail-HQ"
    assert 0 < spool.free_bytes() <= os.statvfs(tmp_path).f_bfree * os.statvfs(tmp_path).f_frsize
