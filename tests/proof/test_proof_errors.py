"""R-06: system calls of running daemons fail, by strace: no client hears 250 for what is not kept, or 5xx, nothing is lost and
nobody dies. The same for every call by itself, within one process: tests/maildir, tests/spool."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from account import Flow, acknowledged, copies_too_many, token_of, tokens_below
from deadline import eventually
from disks import need
from mailsite import Site
from peers import FarEnd, program

#  Who, which call, what it says, which of them. A close that fails has closed, as in Linux: strace would leave it open, so it
#  is not among these.
FAULTS = (
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
)
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
def test_calls_of_running_daemons_fail(
    site: Site,
    far_end: FarEnd,
    tmp_path: Path,
    tell: Callable[..., None],
    left: Callable[[float], Callable[[], bool]],
) -> None:
    need("strace")
    site.relay_to(far_end.hop)
    site.write_config()
    site.start("sc")
    flows = [Flow(site.port, name, 2, 0.02, 5_000).start() for name in ("anna@hq.example", "x@elsewhere.example")]
    eventually(lambda: len(acknowledged(flows)) > 20, 30, "mail")
    failed = {}
    for letter, call, error, when in FAULTS:
        before = len(acknowledged(flows))
        failed[f"{letter} {call} {error}"] = inject(
            site, letter, call, error, when, tmp_path / f"{letter}-{call}-{error}"
        )
        assert site.daemons[letter].is_running, f"{letter} died of {call} {error}: {site.recent_logs()}"
        eventually(
            lambda before=before: len(acknowledged(flows)) > before + 10, 60, f"mail is taken after {call} {error}"
        )
    for flow in flows:
        flow.end()
    site_is_empty(site)
    found, torn = tokens_below(site.root / "mail", far_end.folder)
    #  What could not be read when it was claimed was set aside (docs/spool.md): there it is, whole.
    aside = {token_of(path.read_bytes()) for path in (site.root / "spool" / "corrupt").glob("*,S=*")} - {""}
    taken = acknowledged(flows)
    lost = taken - set(found) - aside
    copies, unexplained = copies_too_many(found, flows, Counter())
    tell(
        calls_failed=sum(failed.values()), kinds=len(FAULTS), acknowledged=len(taken), lost=len(lost),
        set_aside=len(aside - set(found)), refused=sum(flow.later.total() for flow in flows), second_copies=copies,
    )  # fmt: skip
    assert not lost and not torn, f"{len(lost)} lost, torn {torn[:3]}"
    assert not unexplained, f"arrived twice, and were not refused: {unexplained[:5]}"
    assert not [name for name, count in failed.items() if not count], f"never failed: {failed}"


def site_is_empty(site: Site) -> None:
    eventually(site.is_empty, 90, "an empty queue")
