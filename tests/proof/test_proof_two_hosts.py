"""Two hosts, one spool: real daemons on two hosts (a network and a host name each) that share a spool on GlusterFS."""

from __future__ import annotations

import contextlib
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from account import Flow, acknowledged, tokens_below
from deadline import eventually
from gluster import Gluster, Host, why_no_gluster
from peers import FarEnd
from process import free_port
from setting import Stage

#  So many copies more as may have been in flight on the host that died: what a relay has in hand.
IN_FLIGHT = 200


class Twin:
    """A host with its own daemons, its own smarthost and its own disk; the spool and the mailboxes are shared."""

    def __init__(self, name: str, root: Path, mount: Path, mail: Path, stage: Stage) -> None:
        self.host = Host(f"{name}.hq.example")
        root.mkdir()
        self.site = stage.site(root)
        with self.host.inside():
            self.far = FarEnd(root, free_port("127.0.0.1"))
            self.far.start()
        config = self.site.config
        config["spool"] = str(mount / "queue")
        (root / "spool").symlink_to(mount / "queue")
        config["local"]["maildir"] = f"{mail}/{{domain}}/{{user}}"
        config["receive"]["pickup"] = {"folder": str(root / "pickup")}
        self.site.relay_to(self.far.hop)
        self.site.write_config()
        self.site.add_users("anna", "bert")

    def start(self) -> None:
        with self.host.inside():
            self.site.start("sc")

    def flows(self) -> list[Flow]:
        with self.host.inside():
            return [
                Flow(self.site.port, recipient, 1, 0.05, 20_000).start()
                for recipient in ("bert@hq.example", "carl@elsewhere.example")
            ]

    def delivered(self) -> set[str]:
        return {event["lane"] for event in self.site.events("message-finished")}

    def clear(self) -> None:
        self.site.kill("".join(self.site.daemons))
        self.far.stop()
        self.host.close()


class Pair:
    def __init__(self, root: Path, gluster: Gluster, stage: Stage) -> None:
        self.gluster = gluster
        self.mail = root / "mail"
        self.one, self.other = (
            Twin(name, root / name, mount, self.mail, stage) for name, mount in zip("ab", gluster.mounts, strict=True)
        )

    def find(self) -> tuple[dict[str, int], list[str]]:
        return tokens_below(self.mail, self.one.far.folder, self.other.far.folder)

    def missing(self, flows: list[Flow]) -> set[str]:
        return acknowledged(flows) - set(self.find()[0])


@pytest.fixture
def pair(tmp_path: Path, stage: Stage) -> Iterator[Pair]:
    if reason := why_no_gluster():
        pytest.skip(reason)
    with contextlib.ExitStack() as clearing:
        gluster = Gluster(tmp_path / "gluster")
        clearing.callback(gluster.stop)
        pair = Pair(tmp_path, gluster.start(), stage)
        for twin in (pair.one, pair.other):
            clearing.callback(twin.clear)
            twin.start()
        yield pair


def load(pair: Pair, seconds: float) -> list[Flow]:
    flows = [*pair.one.flows(), *pair.other.flows()]
    for number, flow in enumerate(flows):
        eventually(lambda flow=flow: len(flow.acknowledged) > 5, 60, f"flow {number} is taken")
    time.sleep(seconds)
    return flows


def copies(pair: Pair, flows: list[Flow]) -> int:
    """Beyond the first, and beyond those for which the client could not know."""
    known = sum((flow.unanswered + flow.refused for flow in flows), start=type(flows[0].unanswered)())
    return sum(max(0, count - 1 - known[token]) for token, count in pair.find()[0].items())


@pytest.mark.timeout(300)
def test_both_receive_and_both_deliver(pair: Pair, tell: Callable[..., None]) -> None:
    flows = load(pair, 5)
    for flow in flows:
        flow.end()
    eventually(lambda: pair.one.site.is_empty() and pair.other.site.is_empty(), 90, "all is delivered")
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
    claimed = f".{pair.one.host.name}:"
    eventually(lambda: any(claimed in path.name for path in all_entries(pair)), 60, "it is at work")
    pair.one.site.kill("sc")
    killed = time.monotonic()
    orphans = {path.name for path in all_entries(pair) if claimed in path.name}
    assert orphans
    eventually(lambda: not any(claimed in path.name for path in all_entries(pair)), 120, "the dead hold nothing")
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
def test_the_file_system_hangs_and_comes_back(pair: Pair, tell: Callable[..., None]) -> None:
    """For so long that operations fail in the end: nobody is taken for dead, no daemon ends, nothing is lost."""
    flows = load(pair, 1)
    go_on = pair.gluster.hang()
    try:
        time.sleep(50)
    finally:
        go_on()
    before = {flow: len(flow.acknowledged) for flow in flows}
    for number, flow in enumerate(flows):
        eventually(lambda flow=flow: len(flow.acknowledged) > before[flow] + 5, 120, f"flow {number} goes on")
    for flow in flows:
        flow.end()
    eventually(lambda: pair.one.site.is_empty() and pair.other.site.is_empty(), 150, "all is delivered")
    tell(acknowledged=len(acknowledged(flows)), lost=len(pair.missing(flows)), copies=copies(pair, flows))
    assert not pair.missing(flows) and not pair.find()[1]
    for twin in (pair.one, pair.other):
        assert all(daemon.is_running for daemon in twin.site.daemons.values())
        twin.site.stop("sc")


def all_entries(pair: Pair) -> list[Path]:
    with contextlib.suppress(OSError):
        return [path for lane in ("local", "relay", "direct") for path in pair.other.site.entries(lane)]
    return []
