"""R-06: system calls of running daemons fail, by strace: no client hears 250 for what is not kept, or 5xx, nothing is lost and
nobody dies. The same for every call by itself, within one process: tests/maildir, tests/spool."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from account import Flow, acknowledged, copies_too_many, token_of, tokens_below
from deadline import eventually
from disks import disk, need
from logged_site import SESSIONS
from mailsite import Site
from peers import FarEnd, program
from power import live_on

#  Who, which call, what it says, which of them. A close that fails has closed, as in Linux: strace would leave it open, so it
#  is not among these.
Fault = tuple[str, str, str, str]
FAULTS: dict[str, Sequence[Fault]] = {
    "files": (
        ("s", "io_submit", "EAGAIN", "1+2"),
        ("s", "io_getevents", "EINTR", "1+2"),
        ("s", "fsync", "EIO", "1+1"),
        ("s", "fsync", "ENOSPC", "1+3"),
        ("s", "writev", "ENOSPC", "1+2"),
        ("s", "writev", "EDQUOT", "1+3"),
        ("s", "rename", "EIO", "1+2"),
        ("s", "unlink", "EIO", "1+2"),
        ("s", "openat", "EMFILE", "1+5"),
        ("s", "openat", "EIO", "1+4"),
        ("c", "rename", "EIO", "1+2"),
        ("c", "rename", "ENOSPC", "1+3"),
        ("c", "unlink", "EIO", "1+2"),
        ("c", "openat", "EMFILE", "1+3"),
        #  The last, as syncs are made one by one from then on.
        ("s", "io_getevents", "EFAULT", "1+1"),
    ),
    "syncfs": (("s", "syncfs", "EIO", "1+1"), ("s", "syncfs", "ENOSPC", "1+2"), ("s", "fsync", "EIO", "1+2")),
}
SECONDS = 3.0


def inject(site: Site, letter: str, call: str, error: str, when: str, record: Path) -> int:
    """For SECONDS; how many calls failed."""
    with record.open("wb") as said:
        tracer = subprocess.Popen(
            [
                program("strace"), "-f", "-qq", "-p", str(site.daemons[letter].pid), "-e", f"trace={call}",
                "-e", f"inject={call}:error={error}:when={when}", "-o", str(record.with_suffix(".calls")),
            ],
            stderr=said,
        )  # fmt: skip
    time.sleep(SECONDS)
    tracer.terminate()
    tracer.wait(20)
    calls = record.with_suffix(".calls")
    return calls.read_text(errors="replace").count("(INJECTED)") if calls.exists() else 0


@pytest.mark.timeout(300)
@pytest.mark.parametrize("sync", FAULTS)
def test_calls_of_running_daemons_fail(
    site: Site,
    far_end: FarEnd,
    tmp_path: Path,
    sync: str,
    tell: Callable[..., None],
    left: Callable[[float], Callable[[], bool]],
) -> None:
    need("strace", "mkfs.ext4")
    with disk(tmp_path, "ext4", 512) as place:
        live_on(site, place, far_end.hop, sync)
        site.start("sc")
        names = ("anna@hq.example", "x@elsewhere.example")
        flows = [Flow(site.port, name, SESSIONS, 0.02, 5_000).start() for name in names]
        eventually(lambda: len(acknowledged(flows)) > 20, 30, "mail")
        failed = let_fail(site, flows, FAULTS[sync], tmp_path)
        for flow in flows:
            flow.end()
        tell(**counted(site, far_end, flows, place), calls_failed=sum(failed.values()), kinds=len(failed))
        assert not [name for name, count in failed.items() if not count], f"never failed: {failed}"


def let_fail(site: Site, flows: list[Flow], faults: Sequence[Fault], folder: Path) -> dict[str, int]:
    failed = {}
    for letter, call, error, when in faults:
        before = len(acknowledged(flows))
        failed[f"{letter} {call} {error}"] = inject(
            site, letter, call, error, when, folder / f"{letter}-{call}-{error}"
        )
        assert site.daemons[letter].is_running, f"{letter} died of {call} {error}: {site.recent_logs()}"
        eventually(
            lambda before=before: len(acknowledged(flows)) > before + 10, 60, f"mail is taken after {call} {error}"
        )
    return failed


def counted(site: Site, far_end: FarEnd, flows: list[Flow], place: Path) -> dict[str, object]:
    lanes = [place / "spool" / lane / part for lane in (".local", ".relay") for part in ("new", "cur")]
    eventually(lambda: not any(list(lane.iterdir()) for lane in lanes), 90, "an empty queue")
    found, torn = tokens_below(place / "mail", far_end.folder)
    #  What could not be read when it was claimed was set aside (docs/spool.md): there it is, whole.
    aside = {token_of(path.read_bytes()) for path in (place / "spool" / "corrupt").glob("*,S=*")} - {""}
    taken = acknowledged(flows)
    lost = taken - set(found) - aside
    copies, unexplained = copies_too_many(found, flows, Counter())
    assert not lost and not torn, f"{len(lost)} lost, torn {torn[:3]}"
    assert not unexplained, f"arrived twice, and were not refused: {unexplained[:5]}"
    return {
        "acknowledged": len(taken), "lost": 0, "set_aside": len(aside - set(found)),
        "refused": sum(flow.later.total() for flow in flows), "second_copies": copies,
    }  # fmt: skip
