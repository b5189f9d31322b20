"""R-24: the clock jumps under running daemons, and over their restarts, by libfaketime: it stands between them and the clock
of the wall and reads a file that says how wrong to be; the monotonic clock is left alone, as the kernel does."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from account import Flow, acknowledged, tokens_below
from clients import send
from deadline import eventually
from mailsite import NOBODY, Site
from peers import FarEnd

LIBRARY = "libfaketimeMT.so.1"
JUMPS = ("+1d", "+0d", "-1d", "+3650d", "+0d")


@pytest.fixture
def wall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sets how wrong the clock of every process is that is started from now on."""
    found = sorted(Path("/usr/lib").glob(f"*/faketime/{LIBRARY}"))
    if not found:
        pytest.skip("libfaketime is not installed: tests/peers.sh fetches it")
    file = tmp_path / "clock"

    def jump(offset: str) -> None:
        part = file.with_suffix(".part")
        part.write_text(offset + "\n")
        os.rename(part, file)

    jump("+0d")
    monkeypatch.setenv("LD_PRELOAD", str(found[0]))
    monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(file))
    monkeypatch.setenv("FAKETIME_NO_CACHE", "1")
    monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    monkeypatch.setenv("NO_FAKE_STAT", "1")
    return jump


@pytest.mark.timeout(500)
@pytest.mark.parametrize("restarts", [False, True], ids=["running", "restarted"])
def test_the_clock_jumps(
    far_end: FarEnd, site: Site, wall: Callable[[str], None], restarts: bool, tell: Callable[..., None]
) -> None:
    """Ten letters wait for a smarthost that is away, for all jumps; new local mail arrives after each."""
    site.relay_to(NOBODY)
    site.config["retry"] = {"first": "1s", "factor": 1, "longest": "2s", "lifetime": "2h", "bounce_lifetime": "1h"}
    site.write_config()
    site.start("sc")
    flow = Flow(site.port, "anna@hq.example", 1, 0.05, 5_000).start()
    for number in range(10):
        send(
            site.port,
            "bert@hq.example",
            ["x@elsewhere.example"],
            f"Subject: tok-wait-{number}-.\r\n\r\nend tok-wait-{number}-.\r\n".encode(),
        )
    for jump in JUMPS:
        if restarts:
            site.stop("sc")
        wall(jump)
        if restarts:
            site.start("sc")
        before = len(acknowledged([flow]))
        eventually(lambda before=before: len(acknowledged([flow])) > before + 10, 30, f"mail is taken after {jump}")
        #  The clocks are compared whenever something is put off: with these letters every two seconds.
        time.sleep(5)
        assert len(site.entries("relay")) == 10, f"after {jump}"
    flow.end()
    assert not site.mailbox("bert"), "nobody was told of anything"
    site.relay_to(far_end.hop)
    site.write_config()
    site.daemons["c"].signal(1)
    eventually(site.is_empty, 130, "all goes out once there is somebody to take it")
    found, torn = tokens_below(site.root / "mail", far_end.folder)
    waiting = {f"tok-wait-{number}-." for number in range(10)}
    tell(
        jumps=len(JUMPS),
        acknowledged=len(flow.acknowledged) + 10,
        lost=len((flow.acknowledged | waiting) - set(found)),
    )
    assert not (flow.acknowledged | waiting) - set(found) and not torn
    assert set(found.values()) == {1}
    ids = [event["id"] for event in site.events("message-accepted")]
    assert len(ids) == len(set(ids)), "no queue id twice"
    site.stop("sc")
