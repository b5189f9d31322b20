"""A short life on a spool, for test_spool_kill.py to end at any system call: `spool_life.py ROOT PART`.

Says on standard output, one line each, what it has acknowledged (`acked ID RECIPIENT...`), what it delivers
(`delivers ID RECIPIENT`) and what is settled for good (`settled ID RECIPIENT`). It has several parts because strace
counts the calls of each thread by itself: within a part, only one thread makes the calls that are counted.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from fakes.spools import PromptCommitter

from shared.delivery.errands import Errands
from shared.delivery.reports import Reports
from shared.delivery.settle import Desk, settle
from shared.delivery.settlement import Settlement
from shared.dsn.fate import Action, Fate
from shared.mail.address import parse_address
from shared.mail.envelope import Envelope, Recipient
from shared.mail.outcome import Failed
from shared.mail.reply import Reply
from shared.maildir.committer import Committer
from shared.maildir.file_system import FileSystem, Place
from shared.routing.lane import Lane
from shared.spool.deposit import Depositor, Letter, deposit
from shared.spool.ids import QueueIds
from shared.spool.lane import LaneFolder
from shared.spool.owner import Owner
from shared.spool.spool import Spool
from shared.spool.trail import TrailRecord

NODE = "kill.test"
SMALL = b"Subject: small\r\n\r\nbody\r\n"
LARGE = b"Subject: large\r\n\r\n" + b"0123456789abcde\n" * 30_000
EVERYBODY = ("anna@x.example", "berta@x.example")
ARRIVED = 1790000000.0
UNKNOWN = Reply(550, "5.1.1", "nobody of that name")


def say(*words: str) -> None:
    os.write(1, " ".join(words).encode() + b"\n")


class Numbers(QueueIds):
    """Ids without a counter on disk, for the parts that are about other files."""

    def _reserve(self) -> int:
        return 1_000_000


async def take_in(depositor: Depositor, message: bytes, lanes: Sequence[Lane]) -> None:
    recipients = tuple(Recipient(parse_address(text)) for text in EVERYBODY)
    envelope = Envelope(depositor.next_id(), None, recipients, ARRIVED)
    await deposit(depositor, [Letter(lane, envelope) for lane in lanes], message)
    say("acked", envelope.id, *EVERYBODY * len(lanes))


class AnyFileSystem(FileSystem):
    """Also where the spool of a test is on one that promises nothing: a process that is killed leaves everything."""

    def __init__(self, root: str) -> None:
        self.place = Place("ext4", "/")
        self._open(root)


async def live_whole(spool: Spool) -> None:
    """As live_small, where what comes together is synced by one call."""
    await live_small(spool, AnyFileSystem(str(spool.root)))


async def live_small(spool: Spool, file_system: FileSystem | None = None) -> None:
    committer = Committer(asyncio.get_running_loop().call_soon_threadsafe)
    committer.file_system = file_system
    committer.start()
    depositor = Depositor(spool, committer, Numbers(spool.root))
    await take_in(depositor, SMALL, [Lane.RELAY, Lane.DIRECT])
    await asyncio.gather(*(take_in(depositor, SMALL, [Lane.RELAY]) for _ in range(3)))
    if file_system is not None:
        await take_in(depositor, SMALL, [Lane.RELAY, Lane.DIRECT, Lane.HOLD, Lane.LOCAL])
    await take_in(depositor, SMALL, [Lane.LOCAL])
    committer.stop()


async def live_large(spool: Spool) -> None:
    committer = Committer(asyncio.get_running_loop().call_soon_threadsafe)
    committer.start()
    depositor = Depositor(spool, committer, Numbers(spool.root))
    await take_in(depositor, LARGE, [Lane.RELAY, Lane.DIRECT])
    await take_in(depositor, LARGE, [Lane.LOCAL])
    committer.stop()


async def live_ids(spool: Spool) -> None:
    for _ in range(3):
        say("acked", QueueIds(spool.root, block=1, clock=lambda: 0.0).next())


async def live_deliver(spool: Spool) -> None:
    """Three entries: finished at once, finished at the second attempt, moved after the first."""
    owner = Owner(spool, "life")
    owner.begin()
    relay = LaneFolder(spool, Lane.RELAY, owner)
    first, second, third = sorted(name for name, _ in relay.scan())
    deliver(relay, first, most=2)
    deliver(relay, second, most=1)
    deliver(relay, second, most=2)
    deliver(relay, third, most=1)
    claim = relay.claim(third)
    assert claim is not None
    relay.move(claim, Lane.DIRECT, ARRIVED)
    relay.adopt()
    relay.sweep(ARRIVED)
    owner.end()


def deliver(folder: LaneFolder, name: str, most: int) -> None:
    """One attempt, for at most `most` of the recipients who are left."""
    claim = folder.claim(name)
    assert claim is not None
    assert b"".join(claim.content.chunks()) == SMALL
    for recipient in claim.unfinished[:most]:
        text = str(recipient.address)
        say("delivers", claim.envelope.id, text)
        claim.trail.append([TrailRecord(ARRIVED, "life", "delivered", text)], durable=True)
        say("settled", claim.envelope.id, text)
    if claim.unfinished:
        folder.postpone(claim, ARRIVED)
    else:
        folder.retire(claim)


class Prompt(Executor):
    """Does what is asked in the caller's thread, as the calls of all parts of a bounce are to be counted in one."""

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        answer: Future[Any] = Future()
        try:
            answer.set_result(work(*arguments, **named))
        except Exception as error:
            answer.set_exception(error)
        return answer


async def live_bounce(spool: Spool) -> None:
    """Two entries: in the first all have failed, in the second one has, and the other at the next attempt."""
    owner = Owner(spool, "life")
    owner.begin()
    relay = LaneFolder(spool, Lane.RELAY, owner)
    relay.adopt()
    depositor = Depositor(spool, PromptCommitter(), QueueIds(spool.root, clock=lambda: 0.0))
    errands = Errands(Prompt())

    def to_mailbox(envelope: Envelope) -> list[Letter]:
        return [Letter(Lane.LOCAL, envelope)]

    reports = Reports(NODE, depositor, to_mailbox, Prompt(), lambda: ARRIVED, _no_report)
    desk = Desk("life", relay, errands, errands, reports, lambda: ARRIVED, _no_report)
    names = sorted(name for name, _ in relay.scan())
    for number, name in enumerate(names):
        await bounce(desk, name, most=2 - number)
    for name, _ in list(relay.scan()):
        await bounce(desk, name, most=2)
    owner.end()


async def bounce(desk: Desk, name: str, most: int) -> None:
    """One attempt that fails for good for `most` of those who are left."""
    claim = desk.folder.claim(name)
    assert claim is not None
    failed = tuple(Fate(recipient, Action.FAILED, UNKNOWN) for recipient in claim.unfinished[:most])
    when = ARRIVED if len(failed) < len(claim.unfinished) else None
    outcomes = {fate.recipient: Failed(UNKNOWN) for fate in failed}
    await settle(desk, claim, Settlement(outcomes, failed, when=when), frozenset(), ARRIVED)


def _no_report(event: str, **fields: object) -> None:
    """Nobody listens."""


PARTS = {
    "small": live_small, "whole": live_whole, "large": live_large, "ids": live_ids, "deliver": live_deliver,
    "bounce": live_bounce,
}  # fmt: skip

if __name__ == "__main__":
    asyncio.run(PARTS[sys.argv[2]](Spool(Path(sys.argv[1]), NODE)))
