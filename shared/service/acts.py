"""An act: one verb, on all that is selected, for one reason, by one caller. Whoever carries it out (the command on
the spool, a daemon asked over its control socket), it is kept in the audit log before it begins.

The verbs themselves are in operator.py and operator_letters.py; here is which there are, on which lanes, and what
they need to be told.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from typing import Any

from shared.config.model import Config
from shared.delivery.detour import BY_ROUTE, parse_detour
from shared.delivery.reports import Reports
from shared.mail.address import parse_address
from shared.mail.record import dataclass
from shared.maildir.committer import Committer
from shared.routing.lane import Lane
from shared.service import operator, operator_letters
from shared.service.judge import Judge, manners
from shared.service.operator import Hands, Refused
from shared.service.operator_letters import Desk
from shared.spool.deposit import Depositor
from shared.spool.ids import QueueIds
from shared.spool.owner import BEAT_EVERY
from shared.spool.queue_entry import QUEUED, QueueEntry
from shared.spool.selection import Selection
from shared.state.audit import AuditLog, Caller

RETRY = "retry"
MOVING = (Lane.LOCAL, Lane.RELAY, Lane.DIRECT)
HIGHEST = 9  #  RFC 6710


@dataclass(frozen=True, slots=True)
class Verb:
    """`lanes` are looked at unless others are named. `is_grave`: it is asked about even for one entry. `needs` are
    the options it must be given."""

    lanes: tuple[Lane, ...]
    done: str
    is_grave: bool = False
    needs: tuple[str, ...] = ()


VERBS: Mapping[str, Verb] = {
    RETRY: Verb(MOVING, "is tried now"),
    #  What the configuration holds can be held by hand too, and stays then.
    "hold": Verb(QUEUED, "is held"),
    "release": Verb((Lane.HOLD,), "is released"),
    "remove": Verb(QUEUED, "is removed; `mercury queue undelete` undoes it", is_grave=True),
    "undelete": Verb((Lane.TRASH,), "is back"),
    "purge": Verb((Lane.TRASH,), "is gone for good", is_grave=True),
    "bounce": Verb(QUEUED, "is returned to its sender", is_grave=True),
    "reroute": Verb(QUEUED, "goes another way", needs=("way",)),
    "drop": Verb(QUEUED, "goes to one recipient less", is_grave=True, needs=("recipient",)),
    "change": Verb(QUEUED, "goes to another recipient", needs=("recipient", "to")),
    "priority": Verb(QUEUED, "has another priority", needs=("value",)),
}


@dataclass(frozen=True, slots=True)
class Act:
    """`options` are those of the verb, as text. Raises ValueError when they make no sense."""

    verb: str
    selection: Selection
    caller: Caller
    reason: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.verb not in VERBS:
            raise ValueError(f"there is no {self.verb!r}; there is {', '.join(sorted(VERBS))}")
        for key in VERBS[self.verb].needs:
            if not self.options.get(key):
                raise ValueError(f"{self.verb} needs to know: {key}")
        if self.verb == "change":
            parse_address(self.options["to"])
        if self.verb == "priority" and not -HIGHEST <= int(self.options["value"]) <= HIGHEST:
            raise ValueError(f"a priority is from -{HIGHEST} to {HIGHEST}")
        if self.verb == "reroute" and self.options["way"] != BY_ROUTE and parse_detour(self.options["way"]) is None:
            raise ValueError(f"{self.options['way']!r} is no way")
        if self.selection.lanes and self.verb in ("release", "undelete", "purge"):
            object.__setattr__(self, "selection", _within(self.selection, VERBS[self.verb].lanes))

    def entries(self, hands: Hands) -> Iterator[QueueEntry]:
        return self.selection.entries(hands.spool, VERBS[self.verb].lanes)


def _within(selection: Selection, lanes: tuple[Lane, ...]) -> Selection:
    """Of the trash and of what is held only. Raises ValueError when another lane was named."""
    if not set(selection.lanes) <= set(lanes):
        raise ValueError(f"this verb is about the lane {' or '.join(lane.word for lane in lanes)}")
    return selection


@dataclass(frozen=True, slots=True)
class End:
    """What became of one entry; `wrong` is empty when it is done."""

    id: str
    lane: str
    did: str
    wrong: str = ""

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, "lane": self.lane, "did": self.did, "wrong": self.wrong}

    def line(self) -> str:
        return f"{self.id} {self.lane}: {self.wrong or self.did}"


async def carry_out(act: Act, entries: list[QueueEntry], hands: Hands, config: Config) -> AsyncIterator[End]:
    """One end for each entry, as it comes. Raises OSError when there is no writing at all."""
    verb = VERBS[act.verb]
    loop = asyncio.get_running_loop()
    beat = loop.time() + BEAT_EVERY
    with _letters(hands, config) as desk:
        for entry in entries:
            wrong = ""
            try:
                await _do(act, hands, desk, entry)
            except Refused as refused:
                wrong = str(refused)
            except OSError as error:
                wrong = error.strerror or str(error)
            yield End(entry.id, entry.lane.word, verb.done, wrong)
            if loop.time() > beat:
                await hands.in_thread(hands.owner.beat)
                beat = loop.time() + BEAT_EVERY


def _do(act: Act, hands: Hands, desk: Callable[[], Desk], entry: QueueEntry) -> Awaitable[None]:
    options = act.options
    match act.verb:
        case "bounce":
            return operator_letters.bounce(hands, desk(), entry, options.get("text", ""))
        case "change":
            return operator_letters.change(hands, desk(), entry, options["recipient"], parse_address(options["to"]))
        case "drop":
            return operator.drop(hands, entry, options["recipient"])
        case "priority":
            return operator.set_priority(hands, entry, int(options["value"]))
        case "reroute":
            return operator.reroute(hands, entry, options["way"])
        case _:
            return _PLAIN[act.verb](hands, entry)


_PLAIN: Mapping[str, Callable[[Hands, QueueEntry], Awaitable[None]]] = {
    RETRY: operator.retry,
    "hold": operator.hold,
    "release": operator.release,
    "remove": operator.remove,
    "undelete": operator.undelete,
    "purge": operator.purge,
}


@contextmanager
def _letters(hands: Hands, config: Config) -> Iterator[Callable[[], Desk]]:
    """A desk for new mail, set up when the first is written."""
    committers: list[Committer] = []
    desks: list[Desk] = []

    def desk() -> Desk:
        if not desks:
            loop = asyncio.get_running_loop()
            committer = Committer(loop.call_soon_threadsafe)
            committer.start()
            committers.append(committer)
            depositor = Depositor(hands.spool, committer, QueueIds(hands.spool.root, block=64))
            judge = Judge(hands.table)
            reports = Reports(
                config.hostname, depositor, judge.letters, hands.executor, hands.clock, hands.report, manners(config)
            )
            desks.append(Desk(depositor, reports))
        return desks[0]

    try:
        yield desk
    finally:
        for committer in committers:
            committer.stop()


async def audited(
    act: Act, entries: list[QueueEntry], hands: Hands, config: Config, audit: AuditLog, via: str
) -> AsyncIterator[End]:
    """As carry_out, with its lines in the audit log: the intent is on disk before anything is touched."""
    await hands.in_thread(
        lambda: audit.begin(
            act.caller,
            act.verb,
            str(act.selection),
            act.reason,
            count=len(entries),
            via=via,
            **({"options": dict(act.options)} if act.options else {}),
        )
    )
    async for end in carry_out(act, entries, hands, config):
        await hands.in_thread(audit.did, end.as_json())
        yield end
