"""The operator's verbs that make new mail: a bounce now, and a recipient changed.

What is new is durable in the spool before the entry it came from changes: a crash in between leaves both, and the
verb can be given again; the sender may then get a second report, or the new recipient a second copy.
"""

from __future__ import annotations

from dataclasses import replace

from shared.delivery.reports import Reports
from shared.delivery.sorting import copy_entry
from shared.dsn.fate import Action, Fate, is_wanted
from shared.mail.address import Address
from shared.mail.envelope import Recipient
from shared.mail.record import dataclass
from shared.mail.reply import Reply
from shared.observe import events
from shared.routing.decide import decide_route
from shared.routing.lane import Lane
from shared.service.operator import NAME, Hands, Refused
from shared.spool.deposit import Depositor, Letter
from shared.spool.lane import Claim, LaneFolder
from shared.spool.names import standing
from shared.spool.queue_entry import QueueEntry
from shared.spool.trail import BOUNCED, DISCARDED, HELD, MOVED, Trail, TrailRecord

CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Desk:
    """Where new mail is written: by the committer of whoever acts."""

    depositor: Depositor
    reports: Reports


async def bounce(hands: Hands, desk: Desk, entry: QueueEntry, text: str = "") -> None:
    """Back to its sender, with a report on everyone who has not got it. `text` is for the sender."""
    folder, claim = hands.folder(entry.lane), await hands.claim(entry)
    envelope = claim.envelope
    if envelope.sender is None or not claim.unfinished:
        await hands.in_thread(folder.release, claim)
        raise Refused("it has no sender to go back to; remove it" if claim.unfinished else "nobody waits for it")
    reply = Reply(554, "5.7.0", text or "returned by the postmaster before it could be delivered")
    fates = tuple(Fate(who, Action.FAILED, reply) for who in claim.unfinished)
    try:
        report = await desk.reports.tell_failure(envelope, claim.content, fates)
        records = [_end(hands, fate, report) for fate in fates]
        await hands.in_thread(claim.trail.append, records, True)
        if report:
            hands.report(events.MESSAGE_BOUNCED, id=envelope.id, report=report, sender=envelope.sender_text)
        hands.tell(BOUNCED, entry, report=report or None)
        await hands.in_thread(folder.retire, claim)
    except OSError:
        await hands.in_thread(folder.release, claim)
        raise


def _end(hands: Hands, fate: Fate, report: str) -> TrailRecord:
    is_told = bool(report) and is_wanted(fate)
    detail = f"report {report}" if is_told else "nobody wants to hear of it"
    line = hands.line(BOUNCED if is_told else DISCARDED, detail, str(fate.recipient.address))
    return replace(line, reply=str(fate.reply), daemon=NAME)


async def change(hands: Hands, desk: Desk, entry: QueueEntry, old: str, new: Address) -> None:
    """Another recipient in place of one who waits: a new entry with the same queue id, on the way of its own."""
    folder, claim = hands.folder(entry.lane), await hands.claim(entry)
    found = next((who for who in claim.unfinished if str(who.address).lower() == old.lower()), None)
    if found is None or any(who.address == new for who in claim.unfinished):
        await hands.in_thread(folder.release, claim)
        raise Refused(f"{new} waits for it already" if found else f"{old} does not wait for it")
    try:
        letter = _letter(hands, claim, found, new, entry.lane)
        name = await copy_entry(desk.depositor, hands.executor, letter, claim.content)
        if letter.lane is Lane.HOLD:
            #  Held by hand, as what it comes from, so that no reload lets it go.
            trail = Trail(f"{hands.spool.folder(Lane.HOLD)}/trail/{name}")
            await hands.in_thread(trail.append, [hands.line(HELD, f"changed from {old}")], True)
        line = hands.line(MOVED, f"to {new}", str(found.address))
        await hands.in_thread(claim.trail.append, [line], True)
        hands.tell(CHANGED, entry, recipient=found.address, to=str(new))
        await hands.in_thread(_finish, folder, claim)
    except OSError:
        await hands.in_thread(folder.release, claim)
        raise


def _letter(hands: Hands, claim: Claim, found: Recipient, new: Address, lane: Lane) -> Letter:
    envelope = claim.envelope
    envelope = replace(
        envelope,
        recipients=(replace(found, address=new),),
        smtputf8=envelope.smtputf8 or not new.is_ascii,
        priority=standing(claim.name)[1],
    )
    return Letter(lane if lane is Lane.HOLD else decide_route(hands.table, new, envelope.site).lane, envelope)


def _finish(folder: LaneFolder, claim: Claim) -> None:
    if claim.unfinished:
        folder.release(claim)
    else:
        folder.retire(claim)
