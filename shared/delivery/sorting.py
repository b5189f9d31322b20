"""Sorting: a claimed entry whose recipients no longer belong in this lane goes where they do belong.

The routing table is asked again at every claim, so a site can change its word while mail is queued. All recipients to
one lane is a rename. Only some of them is a new entry with the same queue id, durable before the trail of this one
says "moved"; a crash in between delivers to them twice at worst. Its trail is there before it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial

from shared.delivery.attempt import Rejudge
from shared.delivery.detour import detour_of
from shared.delivery.settle import Desk
from shared.mail.content import Content
from shared.mail.envelope import Recipient
from shared.mail.record import dataclass
from shared.observe import events
from shared.routing.lane import Lane
from shared.spool.claim import Claim
from shared.spool.deposit import Depositor, Draft, Letter
from shared.spool.names import standing
from shared.spool.trail import MOVED, WARNED, TrailRecord

#  As the depositor asks of those who feed it: above this much not yet on its way to the disk, wait.
BACKLOG = 1 << 20
PIECE = 1 << 18

Ways = Mapping[Lane, tuple[Recipient, ...]]


def judge_again(rejudge: Rejudge, lane: Lane, claim: Claim) -> tuple[tuple[Recipient, ...], Ways]:
    """Who stays here, and who goes to which other lane. What an operator has chosen for the entry goes before the
    route."""
    unfinished = claim.unfinished
    if (records := claim.trail.records) and (detour := detour_of(records)):
        return (unfinished, {}) if detour.lane is lane else ((), {detour.lane: unfinished})
    ways = rejudge(claim.envelope, unfinished)
    here = ways.get(lane, ())
    if len(here) == len(unfinished):
        return here, {}
    return here, {other: who for other, who in ways.items() if other is not lane and who}


@dataclass(frozen=True, slots=True)
class Sorter:
    """Moves entries, or copies parts of them."""

    desk: Desk
    depositor: Depositor
    executor: Executor
    lane: Lane

    async def send_on(self, claim: Claim, stays: Sequence[Recipient], ways: Ways) -> bool:
        """Everyone in `ways` is on the new way when this returns. True: the entry is no longer ours."""
        lanes = list(ways)
        last = None if stays else lanes.pop()
        for lane in lanes:
            await self._split_off(claim, lane, ways[lane])
        if last is None:
            return False
        await self.desk.move(claim, last, self.desk.clock())
        self._say(claim, last, ways[last])
        return True

    async def _split_off(self, claim: Claim, lane: Lane, recipients: tuple[Recipient, ...]) -> None:
        desk = self.desk
        letter = Letter(lane, replace(claim.envelope, recipients=recipients))
        #  That of the name, which an operator may have set; the record says what the sender asked for.
        _, priority = standing(claim.name)
        past = _past_of(claim, recipients)
        await desk.insist(
            claim,
            lambda: copy_entry(
                self.depositor,
                self.executor,
                letter,
                claim.content,
                priority,
                partial(desk.folder.foretell, lane, records=past) if past else None,
            ),
        )
        now, detail = desk.clock(), f"to {lane.word}"
        records = [TrailRecord(now, desk.daemon, MOVED, str(who.address), detail=detail) for who in recipients]
        await desk.write_trail(claim, records, durable=True)
        self._say(claim, lane, recipients)

    def _say(self, claim: Claim, lane: Lane, recipients: Sequence[Recipient]) -> None:
        for recipient in recipients:
            self.desk.report(
                events.RECIPIENT_MOVED,
                id=claim.envelope.id,
                recipient=recipient.address,
                lane=self.lane.word,
                to=lane.word,
            )


def _past_of(claim: Claim, recipients: Sequence[Recipient]) -> list[TrailRecord]:
    """What the new entry has to know: how often its recipients were tried, and that the sender was warned, so that
    neither begins anew with the lane."""
    names = {str(who.address) for who in recipients}
    return [record for record in claim.trail.records if record.recipient in names or record.event == WARNED]


async def copy_entry(
    depositor: Depositor,
    executor: Executor,
    letter: Letter,
    content: Content,
    priority: int | None = None,
    prepare: Callable[[str], None] | None = None,
) -> str:
    """A new durable entry with the bytes of another one, never whole in memory; its name, which `prepare` is told in
    a thread before the entry is there. Raises OSError."""
    loop = asyncio.get_running_loop()
    draft = depositor.draft([letter], priority)
    try:
        pieces = content.chunks(PIECE)
        while piece := await loop.run_in_executor(executor, next, pieces, b""):
            draft.write(piece)
            if draft.backlog() > BACKLOG:
                await _drained(draft)
        (name,) = draft.names()
        if prepare is not None:
            await loop.run_in_executor(executor, prepare, name)
    except BaseException:
        draft.abandon()
        raise
    await _committed(draft.commit)
    return name


async def _drained(draft: Draft) -> None:
    drained = asyncio.Event()
    draft.on_drained(drained.set)
    await drained.wait()


async def _committed(commit: Callable[[Callable[[OSError | None], None]], None]) -> None:
    durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def end(error: OSError | None) -> None:
        if durable.done():
            return
        if error is None:
            durable.set_result(None)
        else:
            durable.set_exception(error)

    commit(end)
    await durable
