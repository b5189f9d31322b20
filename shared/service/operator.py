"""The operator's hands: what is done to one entry, by the `mercury` command or by a daemon that was asked over its
control socket.

Each verb takes the entry by a claim, as a delivery does, so that it never meets one half way, and a daemon that
starts meanwhile finds the entry claimed or where it then belongs. Each leaves a line in the trail, durable before
anything moves, and an event. A crash in between leaves a claim of a dead owner, which is adopted: nothing is lost,
and the verb can be given again. Verbs that make new mail (bounce, change) are in operator_letters.py.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TypeVar

from shared.delivery.detour import BY_ROUTE, parse_detour
from shared.maildir.tree import listed, sync_folder
from shared.observe import events
from shared.routing.decide import decide_route
from shared.routing.lane import Lane
from shared.routing.table import RoutingTable
from shared.spool.lane import Claim, LaneFolder
from shared.spool.names import parse_name, split_claimed
from shared.spool.owner import Owner
from shared.spool.queue_entry import ACTIVE, DAMAGED, QueueEntry
from shared.spool.spool import Spool
from shared.spool.trail import DISCARDED, HELD, REROUTED, Trail, TrailRecord

T = TypeVar("T")

NAME = "mercury"
RETRIED, RELEASED, REMOVED, UNDELETED = "retried", "released", "removed", "undeleted"
DROPPED, PRIORITIZED, PURGED = "dropped", "prioritized", "purged"

#  How often an entry that comes back from a delivery may be taken up again before we have it.
_TRIES = 3

#  Asks the daemon that holds an entry to tell when it has let go (control_client.py); why it has not, else empty.
#  The second argument is the owner of the claim.
LetGo = Callable[[QueueEntry, str], Awaitable[str]]


class Refused(Exception):
    """The entry stays as it is; the message says why, and what to do."""


@dataclass(frozen=True)
class Hands:
    """`owner` has begun. `by` and `reason` go into trails; `report` is told events."""

    spool: Spool
    owner: Owner
    table: RoutingTable
    executor: Executor
    by: str
    reason: str
    report: Callable[..., None]
    let_go: LetGo
    clock: Callable[[], float] = time.time

    async def in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.executor, work, *arguments)

    def folder(self, lane: Lane) -> LaneFolder:
        return LaneFolder(self.spool, lane, self.owner)

    def line(self, step: str, detail: str = "", recipient: str = "") -> TrailRecord:
        """For the trail: who and why stand behind what is told."""
        by = f"by {self.by}" + (f": {self.reason}" if self.reason else "")
        return TrailRecord(self.clock(), NAME, step, recipient, detail=f"{detail} {by}".strip())

    def tell(self, step: str, entry: QueueEntry, **more: object) -> None:
        self.report(
            events.OPERATOR_ACTED,
            id=entry.id,
            action=step,
            lane=entry.lane.word,
            by=self.by,
            reason=self.reason or None,
            **more,
        )

    async def claim(self, entry: QueueEntry) -> Claim:
        """The entry for us alone. Raises Refused when a delivery has it and does not let go, or it is gone."""
        if entry.state == DAMAGED:
            raise Refused(f"it is damaged ({entry.last_error}); see `mercury queue check --repair`")
        folder = self.folder(entry.lane)
        wrong = ""
        for _ in range(_TRIES):
            claim = await self.in_thread(folder.claim, entry.name)
            if claim is not None:
                return claim
            #  Of the dead nobody is asked: what they had goes back to where we can claim it.
            if await self.in_thread(folder.adopt):
                continue
            owner = await self.in_thread(self._holder_of, entry)
            if owner and (wrong := await self.let_go(entry, owner)):
                break
        raise Refused(wrong or "it has left its lane, or is taken up again and again; see `mercury queue trail`")

    def _holder_of(self, entry: QueueEntry) -> str:
        """Whose claim it is; empty when it is nobody's."""
        claims = (split_claimed(item.name) for item in listed(f"{self.spool.folder(entry.lane)}/cur"))
        return next((owner for name, owner in claims if name == entry.name), "")

    async def settle(self, claim: Claim, folder: LaneFolder, *steps: Callable[[], object]) -> None:
        """The steps, one after the other; when one fails, the entry goes back. Raises OSError."""
        try:
            for step in steps:
                await self.in_thread(step)
        except OSError:
            await self.in_thread(folder.release, claim)
            raise


async def retry(hands: Hands, entry: QueueEntry) -> None:
    """Given back with a new time: the daemons notice the rename. What is being delivered needs no push."""
    if entry.state != ACTIVE:
        folder, claim = hands.folder(entry.lane), await hands.claim(entry)
        await hands.settle(claim, folder, lambda: folder.postpone(claim, hands.clock()))
    hands.tell(RETRIED, entry)


async def hold(hands: Hands, entry: QueueEntry) -> None:
    """What a site's word holds goes on when the word changes; once held by hand it waits for a release."""
    await _move(hands, entry, Lane.HOLD, HELD)


async def release(hands: Hands, entry: QueueEntry) -> None:
    """Back to the lane it was held in; mail that was held from the start goes where it would go today."""
    lane = lane_of(entry.parts.origin) or _lane_of_route(hands, entry)
    if lane in (None, Lane.HOLD, Lane.TRASH):
        raise Refused("the configuration says hold for its recipients; see `mercury route`")
    assert lane is not None
    await _move(hands, entry, lane, RELEASED)


async def remove(hands: Hands, entry: QueueEntry) -> None:
    await _move(hands, entry, Lane.TRASH, REMOVED)


async def undelete(hands: Hands, entry: QueueEntry) -> None:
    """Back to where it was removed from, which its trail tells."""
    trail = Trail(f"{hands.spool.folder(entry.lane)}/trail/{entry.name}")
    removals = [record.detail for record in trail.records if record.event == REMOVED]
    lane = lane_of(removals[-1].split()[1] if removals else entry.parts.origin)
    await _move(hands, entry, lane or Lane.HOLD, UNDELETED)


async def purge(hands: Hands, entry: QueueEntry) -> None:
    """Of the trash only: for good."""
    folder, claim = hands.folder(entry.lane), await hands.claim(entry)
    hands.tell(PURGED, entry, sender=entry.sender or "<>", recipient=entry.recipients)
    await hands.settle(claim, folder, lambda: folder.retire(claim))


async def reroute(hands: Hands, entry: QueueEntry, way: str) -> None:
    """`way` is a detour (shared/delivery/detour.py) or BY_ROUTE."""
    detour = parse_detour(way)
    lane = detour.lane if detour else _lane_of_route(hands, entry) or Lane.HOLD
    if detour and not detour.host and lane is Lane.RELAY and not _has_smarthost(hands.table, entry):
        raise Refused("neither its site nor this host's has a smarthost; name one with --via HOST")
    await _move(hands, entry, entry.lane if entry.lane is Lane.HOLD else lane, REROUTED, str(detour or BY_ROUTE))


async def set_priority(hands: Hands, entry: QueueEntry, priority: int) -> None:
    """The one that we go by, which is in the name; what the sender asked for stays in the record."""
    folder, claim = hands.folder(entry.lane), await hands.claim(entry)
    parsed = parse_name(claim.name)
    assert parsed is not None, "a claimed entry has an entry's name"
    line = hands.line(PRIORITIZED, f"{priority}, was {parsed.priority},")
    await hands.settle(
        claim,
        folder,
        lambda: claim.trail.append([line], durable=True),
        lambda: folder.rename(claim, str(parsed._replace(priority=priority))),
    )
    hands.tell(PRIORITIZED, entry, priority=priority)


async def drop(hands: Hands, entry: QueueEntry, address: str) -> None:
    """One recipient is not tried any more, and nobody is told."""
    folder, claim = hands.folder(entry.lane), await hands.claim(entry)
    who = [str(one.address) for one in claim.unfinished]
    found = [text for text in who if text.lower() == address.lower()]
    if not found or len(who) == 1:
        await hands.in_thread(folder.release, claim)
        if found:
            raise Refused(f"{address} is the last to wait for it; remove or bounce the message")
        raise Refused(f"{address} does not wait for it")
    line = hands.line(DISCARDED, DROPPED, found[0])
    await hands.settle(
        claim,
        folder,
        lambda: claim.trail.append([line], durable=True),
        lambda: folder.release(claim),
    )
    hands.tell(DROPPED, entry, recipient=found[0])


async def _move(hands: Hands, entry: QueueEntry, lane: Lane, step: str, detail: str = "") -> None:
    folder, claim = hands.folder(entry.lane), await hands.claim(entry)
    #  Undelete reads the lane from this line again.
    line = hands.line(step, detail or f"from {entry.lane.word}")
    await hands.settle(
        claim,
        folder,
        lambda: claim.trail.append([line], durable=True),
        lambda: folder.move(claim, lane, hands.clock()),
    )
    await hands.in_thread(sync_folder, hands.spool.folder(lane) / "new")
    hands.tell(step, entry, to=lane.word)


def _lane_of_route(hands: Hands, entry: QueueEntry) -> Lane | None:
    """That of the first recipient who does not have to wait. The daemon that claims it judges all again."""
    if entry.envelope is None:
        return None
    settled = set(entry.settled)
    recipients = [one.address for one in entry.envelope.recipients if str(one.address) not in settled]
    lanes = [decide_route(hands.table, address, entry.envelope.site).lane for address in recipients]
    return next((lane for lane in lanes if lane is not Lane.HOLD), None)


def _has_smarthost(table: RoutingTable, entry: QueueEntry) -> bool:
    names = (entry.envelope.site if entry.envelope else "", table.here)
    return any((site := table.sites.get(name)) is not None and site.smarthosts for name in names)


def lane_of(word: str) -> Lane | None:
    return next((lane for lane in Lane if lane.word == word), None)
