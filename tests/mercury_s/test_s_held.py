"""Held mail is judged when the word changes, and what comes in behind that too; once each."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

from fakes.spools import TestSpool

from mercury_s.held import BY_HAND, HeldMail
from shared.routing.lane import Lane
from shared.spool.claim import Claim
from shared.spool.lane import LaneFolder
from shared.spool.trail import TrailRecord


class Judge:
    """Moves what is for the partner, puts back the rest. A hasty neighbour may bring back what went, once."""

    def __init__(self, folder: LaneFolder) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.neighbour: LaneFolder | None = None

    async def judge_claim(self, claim: Claim) -> bool:
        self.asked.append(claim.envelope.id)
        if "partner" not in str(claim.envelope.recipients[0].address):
            self.folder.release(claim)
            return True
        self.folder.move(claim, Lane.RELAY, time.time())
        if self.neighbour is not None:
            [name] = [name for name, _ in self.neighbour.scan()]
            brought = self.neighbour.claim(name)
            assert brought is not None
            self.neighbour.move(brought, Lane.HOLD, time.time())
            self.neighbour = None
        return False


class Held:
    def __init__(self, root: Path) -> None:
        self.spool = TestSpool(root)
        self.folder = self.spool.lane(Lane.HOLD)
        self.judge = Judge(self.folder)
        self.mail = HeldMail(self.folder, self.judge, rest=0.01)

    def put(self, recipient: str) -> str:
        envelope = self.spool.envelope(recipient)
        self.spool.deposit(envelope, b"Subject: held\r\n\r\nx\r\n", Lane.HOLD)
        return envelope.id

    def settle_time(self) -> None:
        """The folder has not changed for a while."""
        before = time.time() - 100
        os.utime(self.folder.new, (before, before))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 - it comes true in a thread
                await asyncio.sleep(0.005)


def test_what_the_word_no_longer_holds_goes_and_the_rest_stays(tmp_path: Path) -> None:
    held = Held(tmp_path)
    gone, stays = held.put("a@partner.example"), held.put("b@third.example")

    async def play() -> None:
        held.mail.look()
        await held.until(lambda: sorted(held.judge.asked) == sorted([gone, stays]))
        late = held.put("c@partner.example")
        await held.until(lambda: late in held.judge.asked)
        held.settle_time()
        await held.until(lambda: held.spool.names(Lane.HOLD, "cur") == [])
        await held.mail.stop()

    asyncio.run(play())
    assert held.judge.asked.count(stays) == 1, "not again and again"
    assert [stays in name for name in held.spool.names(Lane.HOLD)] == [True]
    assert len(held.spool.names(Lane.RELAY)) == 2


def test_what_is_brought_back_at_once_goes_again(tmp_path: Path) -> None:
    held = Held(tmp_path)
    held.judge.neighbour = held.spool.lane(Lane.RELAY, held.spool.owner)
    gone = held.put("a@partner.example")

    async def play() -> None:
        held.mail.look()
        await held.until(lambda: held.judge.asked == [gone, gone])
        await held.mail.stop()

    asyncio.run(play())
    assert len(held.spool.names(Lane.RELAY)) == 1


def test_a_new_look_judges_all_of_it_again(tmp_path: Path) -> None:
    held = Held(tmp_path)
    stays = held.put("b@third.example")

    async def play() -> None:
        for times in (1, 2, 3):
            held.mail.look()
            await held.until(lambda times=times: held.judge.asked.count(stays) == times)  # type: ignore[misc]
        await held.mail.stop()

    asyncio.run(play())


def test_what_is_held_by_hand_stays(tmp_path: Path) -> None:
    held = Held(tmp_path)
    held.put("a@partner.example")
    [name] = held.spool.names(Lane.HOLD)
    claim = held.folder.claim(name)
    assert claim is not None
    claim.trail.append([TrailRecord(0.0, "operator", BY_HAND)], durable=False)
    held.folder.release(claim)
    marker = held.put("b@third.example")

    async def play() -> None:
        held.mail.look()
        await held.until(lambda: marker in held.judge.asked)
        await held.until(lambda: len(held.spool.names(Lane.HOLD)) == 2)
        await held.mail.stop()

    asyncio.run(play())
    assert held.judge.asked == [marker]


def test_a_folder_that_cannot_be_read_is_tried_again(tmp_path: Path) -> None:
    held = Held(tmp_path)
    gone = held.put("a@partner.example")
    folder = Path(held.folder.new)
    folder.rename(folder.with_name("away"))

    async def play() -> None:
        held.mail.look()
        await asyncio.sleep(0)
        folder.with_name("away").rename(folder)
        await held.until(lambda: held.judge.asked == [gone])
        await held.mail.stop()

    asyncio.run(play())
