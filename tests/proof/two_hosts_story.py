"""The story of two hosts with one spool, as a program: for a sealed room, or a guest with a kernel of its own.

    python two_hosts_story.py --folder DIR (--gluster | --mounts A B) [--hasty] [--patience 1] [--told FILE]

Both receive and both deliver; the network of the server is gone for a while, where there is one (--mounts); then one host is killed whole, with
claims in its hands, and the other takes them over. What was seen is told as one JSON object, judged by whoever asked. Exit
code 77: it cannot be had here, and the last line says why. Not here: asserting (test_short_two_hosts.py, test_proof_nfs.py).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent), str(HERE.parent), str(HERE.parent / "endtoend"), str(HERE)]

import process  # noqa: E402
from account import Flow, acknowledged  # noqa: E402
from deadline import eventually  # noqa: E402
from gluster import PLACES, Gluster, why_no_gluster  # noqa: E402
from host import run  # noqa: E402
from sealed import NOT_HERE, own_places  # noqa: E402
from setting import Stage  # noqa: E402
from two_hosts import Pair, copies  # noqa: E402

Told = dict[str, object]


class Story:
    """`patience` stretches how long is waited, and how often mail is sent: one on a machine of today, more on an emulated one."""

    def __init__(self, pair: Pair, patience: float, say: Callable[[str], None]) -> None:
        self._pair = pair
        self._patience = patience
        self._say = say
        self._flows: list[Flow] = []
        self.told: Told = {}

    def both_at_work(self) -> None:
        self._begin(4)
        self._end()
        self._eventually(self._pair.is_empty, 90, "all is delivered")
        self.told["delivered"] = [sorted(twin.delivered()) for twin in self._pair.twins]
        self.told["copies"] = copies(self._pair, self._flows)

    def the_server_is_gone(self, seconds: float) -> None:
        """The hosts speak with it over the loopback of nobody; that one is down for a while."""
        flows = self._begin(1)
        run("ip", "link", "set", "lo", "down")
        try:
            time.sleep(seconds)
        finally:
            run("ip", "link", "set", "lo", "up")
        before = {flow: len(flow.acknowledged) for flow in flows}
        for flow in flows:
            self._eventually(lambda flow=flow: len(flow.acknowledged) > before[flow], 120, "mail goes on")
        self._end()
        self._eventually(self._pair.is_empty, 120, "all is delivered")
        self.told["server_gone"] = seconds
        self.told["copies"] = copies(self._pair, self._flows)
        self.told["living"] = [all(d.is_running for d in twin.site.daemons.values()) for twin in self._pair.twins]

    def one_dies(self) -> None:
        one = self._pair.one
        with one.host.inside():
            silent = socket.create_server(("127.0.0.1", 0))
        #  What it has in hand stays there: its smarthost never says a word.
        one.site.relay_to(silent.getsockname())
        one.site.write_config()
        one.site.daemons["c"].signal(signal.SIGHUP)
        self._begin(2)
        self._eventually(self._pair.claims_of_one, 60, "it is at work")
        one.kill()
        killed = time.monotonic()
        orphans = self._pair.claims_of_one()
        self._say(f"killed, with {len(orphans)} claims")
        self._eventually(lambda: not self._pair.claims_of_one(), 150, "the dead host holds nothing")
        self.told.update(orphans=len(orphans), seconds=round(time.monotonic() - killed))
        self._end()
        self._eventually(self._pair.other.site.is_empty, 120, "the other delivers all")
        self.told["copies_after_death"] = copies(self._pair, self._flows)

    def account(self) -> None:
        ids = [event["id"] for twin in self._pair.twins for event in twin.site.events("message-accepted")]
        found, torn = self._pair.find()
        taken = acknowledged(self._flows)
        self.told.update(acknowledged=len(taken), lost=sorted(taken - set(found)), torn=torn)
        self.told["ids_twice"] = len(ids) - len(set(ids))
        self.told["aside"] = len(list((self._pair.other.site.root / "spool" / "corrupt").iterdir()))

    def _begin(self, least: int) -> list[Flow]:
        flows = self._pair.load(least, 90 * self._patience, 0.1 * self._patience)
        self._flows += flows
        return flows

    def _end(self) -> None:
        for flow in self._flows:
            flow.end()

    def _eventually(self, condition: Callable[[], object], seconds: float, what: str) -> None:
        eventually(condition, seconds * self._patience, what)
        self._say(what)


def tell(folder: Path, mounts: tuple[Path, Path], given: argparse.Namespace) -> Told:
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - began:6.1f}  {what}", flush=True)

    stage = Stage()
    pair = Pair(folder, mounts, stage, given.hasty)
    say("two hosts")
    try:
        for twin in pair.twins:
            twin.start()
        say("their daemons run")
        story = Story(pair, given.patience, say)
        story.both_at_work()
        if given.mounts:
            story.the_server_is_gone(10)
        story.one_dies()
        story.account()
        pair.other.site.stop("sc")
        return story.told
    except BaseException:
        for twin in pair.twins:
            print(f"=== {twin.host.name}\n{twin.site.logs()}")
        raise
    finally:
        for twin in pair.twins:
            twin.clear()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--gluster", action="store_true")
    where.add_argument("--mounts", type=Path, nargs=2)
    parser.add_argument("--hasty", action="store_true")
    parser.add_argument("--patience", type=float, default=1.0)
    parser.add_argument("--told", type=Path)
    given = parser.parse_args()
    process.READY_WITHIN *= given.patience
    if given.gluster:
        if reason := why_no_gluster(given.folder):
            print(reason)
            sys.exit(NOT_HERE)
        own_places(*PLACES)
        told = on_gluster(given)
    else:
        told = tell(given.folder, tuple(given.mounts), given)
    said = json.dumps(told)
    print(f"TOLD {said}", flush=True)
    if given.told:
        given.told.write_text(said)


def on_gluster(given: argparse.Namespace) -> Told:
    gluster = Gluster(given.folder / "gluster")
    try:
        return tell(given.folder, gluster.start().mounts, given)
    finally:
        gluster.stop()


if __name__ == "__main__":
    os.umask(0o022)
    main()
