"""Two hosts, one spool: real daemons on two hosts (a network and a host name each) that share a spool on GlusterFS."""

from __future__ import annotations

import contextlib
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from account import Flow, acknowledged
from deadline import eventually
from gluster import Gluster, why_no_gluster
from setting import Stage
from two_hosts import Pair, copies

#  So many copies more as may have been in flight on the host that died: what a relay has in hand.
IN_FLIGHT = 200


@pytest.fixture
def gluster(tmp_path: Path) -> Iterator[Gluster]:
    if reason := why_no_gluster(tmp_path):
        pytest.skip(reason)
    gluster = Gluster(tmp_path / "gluster")
    try:
        yield gluster.start()
    finally:
        gluster.stop()


@pytest.fixture
def pair(tmp_path: Path, gluster: Gluster, stage: Stage) -> Iterator[Pair]:
    pair = Pair(tmp_path, gluster.mounts, stage)
    with contextlib.ExitStack() as clearing:
        for twin in pair.twins:
            clearing.callback(twin.clear)
            twin.start()
        yield pair


def load(pair: Pair, seconds: float) -> list[Flow]:
    flows = pair.load()
    time.sleep(seconds)
    return flows


@pytest.mark.timeout(300)
def test_both_receive_and_both_deliver(pair: Pair, tell: Callable[..., None]) -> None:
    flows = load(pair, 5)
    for flow in flows:
        flow.end()
    eventually(pair.is_empty, 90, "all is delivered")
    assert not pair.missing(flows) and not pair.find()[1]
    assert copies(pair, flows) == 0
    assert pair.one.delivered() == pair.other.delivered() == {"local", "relay"}
    ids = [event["id"] for twin in (pair.one, pair.other) for event in twin.site.events("message-accepted")]
    assert len(ids) == len(set(ids)), "no queue id twice"
    tell(acknowledged=len(acknowledged(flows)), lost=0, copies=0)
    for twin in (pair.one, pair.other):
        twin.site.stop("sc")


@pytest.mark.timeout(400)
def test_one_is_killed_and_the_other_takes_over_within_a_minute(pair: Pair, tell: Callable[..., None]) -> None:
    with pair.one.host.inside():
        silent = socket.create_server(("127.0.0.1", 0))
    #  What it has in hand stays there: its smarthost never says a word.
    pair.one.site.relay_to(silent.getsockname())
    pair.one.site.write_config()
    pair.one.site.daemons["c"].signal(signal.SIGHUP)
    flows = load(pair, 2)
    eventually(pair.claims_of_one, 60, "it is at work")
    pair.one.kill()
    killed = time.monotonic()
    orphans = pair.claims_of_one()
    assert orphans
    eventually(lambda: not pair.claims_of_one(), 120, "the dead hold nothing")
    taken = time.monotonic() - killed
    for flow in flows:
        flow.end()
    eventually(pair.other.site.is_empty, 90, "the other delivers all")
    missing = pair.missing(flows)
    tell(acknowledged=len(acknowledged(flows)), orphans=len(orphans), seconds=round(taken), lost=len(missing))
    tell(copies=copies(pair, flows))
    assert not missing and not pair.find()[1]
    assert taken < 60
    assert copies(pair, flows) <= min(len(orphans), IN_FLIGHT)
    pair.other.site.stop("sc")


@pytest.mark.timeout(400)
def test_the_file_system_hangs_and_comes_back(pair: Pair, gluster: Gluster, tell: Callable[..., None]) -> None:
    """For so long that operations fail in the end: nobody is taken for dead, no daemon ends, nothing is lost."""
    flows = load(pair, 1)
    go_on = gluster.hang()
    try:
        time.sleep(50)
    finally:
        go_on()
    before = {flow: len(flow.acknowledged) for flow in flows}
    for number, flow in enumerate(flows):
        eventually(lambda flow=flow: len(flow.acknowledged) > before[flow] + 5, 120, f"flow {number} goes on")
    for flow in flows:
        flow.end()
    eventually(pair.is_empty, 150, "all is delivered")
    tell(acknowledged=len(acknowledged(flows)), lost=len(pair.missing(flows)), copies=copies(pair, flows))
    assert not pair.missing(flows) and not pair.find()[1]
    for twin in (pair.one, pair.other):
        assert all(daemon.is_running for daemon in twin.site.daemons.values())
        twin.site.stop("sc")
