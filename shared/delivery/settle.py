"""Settling: the steps that follow from a settlement, in the order that survives a crash after any of them.

    1. reports are deposited (durable)         a crash behind it: the recipient is tried and reported once more
    2. the trail is written; synced when it says that somebody is done with
    3. the entry is retired, or goes back to its lane with its next attempt as mtime

An entry that is finished at its first attempt takes step 3 only and leaves no trail. A step that fails for the disk's
sake is tried again until it works: what has been delivered may not be forgotten, and while the spool cannot be
written, taking more mail would only repeat more of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TypeVar, assert_never

from shared.delivery.attempt import Report
from shared.delivery.errands import Errands
from shared.delivery.reports import Reports
from shared.delivery.settlement import MAYBE_DELIVERED, Settlement
from shared.dsn.fate import Fate, is_wanted
from shared.mail.envelope import Envelope, Recipient
from shared.mail.outcome import Deferred, Delivered, Failed, Outcome
from shared.mail.record import dataclass
from shared.observe import events
from shared.routing.lane import Lane
from shared.spool import trail
from shared.spool.claim import Claim
from shared.spool.lane import LaneFolder
from shared.spool.trail import TrailRecord

T = TypeVar("T")

FIRST_PATIENCE, LAST_PATIENCE = 1.0, 60.0


@dataclass(frozen=True, slots=True)
class Desk:
    """What settling needs: the lane's folder, the ways to a thread, and the clock."""

    daemon: str
    folder: LaneFolder
    errands: Errands  #  quick: renames and unlinks
    syncs: Errands  #  slow: what waits for the disk
    reports: Reports
    clock: Callable[[], float]
    report: Report

    async def keep(self, claim: Claim, outcomes: Mapping[Recipient, Outcome]) -> None:
        """Deliveries of a part of the message, durable."""
        await self.write_trail(claim, list(trail_records(self.clock(), self.daemon, outcomes)), durable=True)

    async def write_trail(self, claim: Claim, records: list[TrailRecord], durable: bool) -> None:
        if records:
            asked = self.syncs if durable else self.errands
            await self.insist(claim, lambda: asked.ask(claim.trail.append, records, durable))

    async def retire(self, claim: Claim) -> None:
        await self.insist(claim, lambda: self.errands.ask(self.folder.retire, claim))

    async def postpone(self, claim: Claim, when: float) -> None:
        await self.insist(claim, lambda: self.errands.ask(self.folder.postpone, claim, when))

    async def move(self, claim: Claim, lane: Lane, when: float) -> None:
        await self.insist(claim, lambda: self.errands.ask(self.folder.move, claim, lane, when))

    async def release(self, claim: Claim) -> None:
        await self.insist(claim, lambda: self.errands.ask(self.folder.release, claim))

    async def insist(self, claim: Claim, step: Callable[[], Awaitable[T]]) -> T:
        """Do the step until the disk lets us."""
        patience = FIRST_PATIENCE
        while True:
            try:
                return await step()
            except OSError as error:
                self.report(events.SPOOL_TROUBLE, id=claim.envelope.id, path=claim.name, reason=str(error))
                await asyncio.sleep(patience)
                patience = min(patience * 2, LAST_PATIENCE)


async def settle(
    desk: Desk, claim: Claim, settlement: Settlement, kept: frozenset[Recipient], gives_up_at: float
) -> None:
    """Do what the settlement says. `kept` are the deliveries that the trail knows already."""
    envelope, content = claim.envelope, claim.content
    bounce = ""
    if settlement.failed and settlement.when is None and desk.reports.is_held(envelope):
        await _hold(desk, claim, settlement, kept)
        return
    if settlement.failed:
        bounce = await desk.insist(claim, lambda: desk.reports.tell_failure(envelope, content, settlement.failed))
        say_bounce(desk.report, envelope, settlement, bounce)
    if settlement.succeeded:
        told = await desk.insist(claim, lambda: desk.reports.tell_success(envelope, content, settlement.succeeded))
        if told:
            desk.report(events.MESSAGE_CONFIRMED, id=envelope.id, report=told, sender=envelope.sender_text)
    if settlement.when is None:
        await desk.retire(claim)
        desk.report(events.MESSAGE_FINISHED, id=envelope.id, lane=desk.folder.lane.word)
        return
    warning = ""
    if settlement.late:
        warning = await desk.insist(
            claim, lambda: desk.reports.tell_delay(envelope, content, settlement.late, gives_up_at)
        )
        desk.report(events.MESSAGE_DELAYED, id=envelope.id, report=warning or None, sender=envelope.sender_text)
    now = desk.clock()
    news = {who: outcome for who, outcome in settlement.outcomes.items() if who not in kept}
    records = list(trail_records(now, desk.daemon, news))
    records += [_ended(now, desk.daemon, fate, bounce) for fate in settlement.failed]
    if settlement.late:
        records.append(TrailRecord(now, desk.daemon, trail.WARNED, detail=f"report {warning}" if warning else ""))
    durable = bool(settlement.late) or not all(isinstance(outcome, Deferred) for outcome in news.values())
    await _remember(desk, claim, records, durable)
    await desk.postpone(claim, settlement.when)


async def _hold(desk: Desk, claim: Claim, settlement: Settlement, kept: frozenset[Recipient]) -> None:
    """It waits for an operator: those who failed are not settled, and the trail says that it is held on purpose."""
    now = desk.clock()
    news = {who: outcome for who, outcome in settlement.outcomes.items() if who not in kept}
    records = list(trail_records(now, desk.daemon, news))
    records.append(TrailRecord(now, desk.daemon, trail.HELD, detail="no sender to send it back to"))
    await desk.write_trail(claim, records, durable=True)
    await desk.move(claim, Lane.HOLD, now)
    desk.report(events.BOUNCE_HELD, id=claim.envelope.id, cause=claim.envelope.cause or None)


async def _remember(desk: Desk, claim: Claim, records: list[TrailRecord], durable: bool) -> None:
    if durable:
        await desk.write_trail(claim, records, durable=True)
        return
    try:
        await desk.errands.ask(claim.trail.append, records, False)
    except OSError as error:
        #  Nothing is settled by these lines; on a full disk the entry still goes back to wait for its turn.
        desk.report(events.SPOOL_TROUBLE, id=claim.envelope.id, path=claim.name, reason=str(error))


def trail_records(now: float, daemon: str, outcomes: Mapping[Recipient, Outcome]) -> Iterator[TrailRecord]:
    """One line for each recipient."""
    for recipient, outcome in outcomes.items():
        match outcome:
            case Delivered():
                event, detail = trail.DELIVERED, outcome.detail
            case Deferred(maybe_delivered=True):
                event, detail = trail.DEFERRED, f"{MAYBE_DELIVERED}; {outcome.detail}"
            case Deferred():
                event, detail = trail.DEFERRED, outcome.detail
            case Failed():
                event, detail = trail.FAILED, outcome.detail
            case _:
                assert_never(outcome)
        yield TrailRecord(now, daemon, event, str(recipient.address), str(outcome.reply), outcome.host, detail)


def _ended(now: float, daemon: str, fate: Fate, bounce: str) -> TrailRecord:
    """The failed recipient is done with; `bounce` is the queue id of the report, which may be about others only."""
    is_told = bool(bounce) and is_wanted(fate)
    detail = f"report {bounce}" if is_told else "nobody wants to hear of it"
    event = trail.BOUNCED if is_told else trail.DISCARDED
    return TrailRecord(now, daemon, event, str(fate.recipient.address), detail=detail)


def say_bounce(report: Report, envelope: Envelope, settlement: Settlement, bounce: str) -> None:
    if envelope.sender is None and not bounce:
        report(
            events.BOUNCE_DISCARDED,
            id=envelope.id,
            cause=envelope.cause or None,
            recipient=tuple(fate.recipient.address for fate in settlement.failed),
            reply=settlement.failed[0].reply,
        )
    if settlement.is_expired:
        report(events.MESSAGE_EXPIRED, id=envelope.id, sender=envelope.sender_text)
    if bounce:
        report(events.MESSAGE_BOUNCED, id=envelope.id, report=bounce, sender=envelope.sender_text)


def say_outcomes(
    report: Report, envelope: Envelope, lane: str, outcomes: Mapping[Recipient, Outcome], now: float
) -> None:
    """One event for each recipient; `delay` is how many seconds ago the message came."""
    for recipient, outcome in outcomes.items():
        report(
            _EVENT_OF[type(outcome)],
            id=envelope.id,
            lane=lane,
            recipient=recipient.address,
            sender=envelope.sender or "<>",
            host=outcome.host or None,
            reply=outcome.reply,
            reason=outcome.detail or None,
            delay=max(now - envelope.arrived, 0.0),
        )


_EVENT_OF = {
    Delivered: events.RECIPIENT_DELIVERED,
    Deferred: events.RECIPIENT_DEFERRED,
    Failed: events.RECIPIENT_FAILED,
}
