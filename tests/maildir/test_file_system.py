"""Which file systems may be synced as a whole, and that the call is made and its errors are told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shared.maildir import file_system
from shared.maildir.file_system import CannotSyncWhole, FileSystem, Place, find_place

MOUNTS = """\
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
22 21 0:5 / /var/spool rw - xfs /dev/vdb rw
23 22 0:6 /spool/mail /var/spool/mercury rw - btrfs /dev/vdc rw
24 21 0:7 / /mnt/two\\040words rw,relatime shared:9 master:2 - ext4 /dev/vdd rw
25 21 0:8 / /mnt/over rw - ext4 /dev/vde rw
26 25 0:9 / /mnt/over rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("folder", "kind", "within", "is_alone"),
    [
        ("/srv/mail/spool", "ext4", "/srv/mail/spool", False),
        ("/srv", "ext4", "/srv", True),
        ("/var/spool", "xfs", "/", True),
        ("/var/spool/post", "xfs", "/post", True),
        ("/var/spool/some/post", "xfs", "/some/post", False),
        ("/var/spooler", "ext4", "/var/spooler", False),
        ("/var/spool/mercury", "btrfs", "/spool/mail", False),
        ("/var/spool/mercury/queue", "btrfs", "/spool/mail/queue", False),
        ("/mnt/two words/spool", "ext4", "/spool", True),
        ("/mnt/over/spool", "tmpfs", "/spool", True),
    ],
)
def test_a_folder_is_where_the_lowest_mount_above_it_is(folder: str, kind: str, within: str, is_alone: bool) -> None:
    place = find_place(folder, MOUNTS)
    assert place == Place(kind, within)
    assert place.is_alone is is_alone


def mounted(folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """`folder`, and a kernel that says it is on such a file system."""
    table = folder / "mountinfo"
    table.write_text(f"21 1 254:0 / / rw,relatime shared:1 - {kind} /dev/vda rw\n")
    monkeypatch.setattr(file_system, "MOUNTS", table)
    return str(folder)


@pytest.mark.parametrize("kind", ["tmpfs", "nfs4", "fuse.glusterfs", "overlay"])
def test_where_the_call_need_not_reach_the_disk_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    with pytest.raises(CannotSyncWhole, match=f"it is on {kind}, .* or set queue.sync to files"):
        FileSystem(mounted(tmp_path, kind, monkeypatch))


@pytest.mark.parametrize(("release", "is_able"), [("5.7.19-amd64", False), ("5.8.0", True), ("6.1.0-13-amd64", True)])
def test_a_kernel_that_keeps_errors_to_itself_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str, is_able: bool
) -> None:
    root = mounted(tmp_path, "ext4", monkeypatch)
    system = os.uname_result(("Linux", "host", release, "", "x86_64"))
    monkeypatch.setattr(os, "uname", lambda: system)
    if is_able:
        FileSystem(root).close()
    else:
        with pytest.raises(CannotSyncWhole, match=r"5\.7\.19-amd64 does not tell of writes that failed"):
            FileSystem(root)


def test_the_call_is_made_and_its_error_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = FileSystem(mounted(tmp_path, "xfs", monkeypatch))
    assert whole.has(f"{tmp_path}/lane") and not whole.has(f"{tmp_path}er/lane")
    whole.sync()
    whole.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        whole.sync()
