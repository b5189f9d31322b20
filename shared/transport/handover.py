"""Giving one message to one hop: signed, in portions that it takes, converted where it must be, and by its terms.

Whom the hop has not heard of comes back, for another one. Not here: which hops, and in which order (carrier.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field, replace

from shared.dkim.signed import Signed
from shared.mail.address import Address
from shared.mail.content import Content
from shared.mail.envelope import Envelope, Recipient
from shared.mail.lacks import Lacks
from shared.mail.light import light
from shared.mail.outcome import Deferred, Failed, Outcome
from shared.mail.record import dataclass
from shared.routing.leg import Leg
from shared.routing.next_hop import NextHop
from shared.smtp.client_events import Finished
from shared.transport.batches import first_batch
from shared.transport.dial import Unreached
from shared.transport.fitting import fit_for, with_note
from shared.transport.pool import MOST_RECIPIENTS
from shared.transport.pools import HopPools
from shared.transport.steward import Steward, Withheld
from shared.transport.verdict import counts, explained, lacks_requiretls, told_why, too_many

InNameOf = Callable[[Address, Envelope, Content], tuple[Envelope, Content]]
Sign = Callable[[Envelope, Content], Awaitable[Content | Deferred]]
Witness = Callable[[Leg, NextHop, Finished | Unreached], object]
Came = tuple[Sequence[Recipient], Unreached | None]


@light
@dataclass(frozen=True, slots=True)
class Load:
    """What is carried. `deadline`: of the reactor's clock, when the attempt is over if no server has begun to take
    it."""

    envelope: Envelope
    content: Content
    leg: Leg
    deadline: float


@dataclass(frozen=True, slots=True)
class Handover:
    """See SmtpCarrier for the arguments. `deadline` gives a new one: who does take mail may take his time."""

    pools: HopPools
    deadline: Callable[[], float]
    are_smarthosts: bool
    sign: Sign | None
    witness: Witness | None
    steward: Steward | None
    in_name_of: InNameOf | None

    async def give(
        self,
        hop: NextHop,
        load: Load,
        recipients: Sequence[Recipient],
        outcomes: dict[Recipient, Outcome],
        before: Sequence[Unreached],
        given: Finished | Unreached | None = None,
    ) -> Came:
        """Fills `outcomes`. `before`: what was wrong with the hops that were asked before. `given`: what came of
        giving it, just as it is and to all of them, when that has been done."""
        portions = _Portions(self, load, outcomes, before)
        while recipients:
            leaving: Content | Deferred = portions.load.content
            batch: Sequence[Recipient] = recipients
            rest: Sequence[Recipient] = ()
            if given is None:
                #  Signed here and not before: it is the bytes that go out, converted or not.
                leaving = await self._signed(portions.load)
                if isinstance(leaving, Deferred):
                    portions.tell(dict.fromkeys(recipients, leaving))
                    break
                pool = self.pools.of(hop)
                batch, rest = first_batch(recipients, min(portions.most, pool.most_recipients), pool.most_domains)
                given = await self.submit(hop, portions.load, batch, leaving)
            result, given = given, None
            if isinstance(result, Unreached):
                return [*portions.unanswered, *recipients], result
            if result.lacks is not None:
                recipients = await portions.convert(result.lacks, result, recipients)
            else:
                recipients = portions.take(result, leaving, batch, rest)
        return portions.unanswered, None

    async def _signed(self, load: Load) -> Content | Deferred:
        return load.content if self.sign is None else await self.sign(load.envelope, load.content)

    async def submit(
        self, hop: NextHop, load: Load, recipients: Sequence[Recipient], content: Content
    ) -> Finished | Unreached:
        """To the connections of `hop`."""
        result = await self.pools.of(hop).submit(load.envelope, recipients, content, load.deadline)
        if self.witness is not None:
            self.witness(load.leg, hop, result)
        return result

    async def give_by_terms(
        self,
        hop: NextHop,
        load: Load,
        recipients: Sequence[Recipient],
        outcomes: dict[Recipient, Outcome],
        before: Sequence[Unreached],
    ) -> Came:
        """As `give`, to a hop that demands something: as much of it as its terms let through now."""
        steward = self.steward
        assert steward is not None, "a hop with terms and nobody to keep to them"
        most = hop.terms.most_recipients or len(recipients)
        hop, given = self._as_demanded(hop, load)
        unanswered: list[Recipient] = []
        while recipients:
            batch, rest = first_batch(recipients, min(most, self.pools.of(hop).most_recipients))
            room = steward.room(hop, given.envelope, len(batch))
            if isinstance(room, Withheld):
                return [*unanswered, *recipients], room
            batch, rest = batch[:room], [*batch[room:], *rest]
            told: dict[Recipient, Outcome] = {}
            left, trouble = await self.give(hop, given, batch, told, before)
            used = sum(map(counts, told.values()))
            steward.give_back(hop, 0 if used else 1, len(batch) - used)
            outcomes.update(told if given.envelope is load.envelope else told_why(told, given.leg.reason))
            unanswered += left
            if trouble is not None:
                return [*unanswered, *rest], trouble
            recipients = rest
        return unanswered, None

    def _as_demanded(self, hop: NextHop, load: Load) -> tuple[NextHop, Load]:
        """The hop with its cap for this message, and the message in the name that it takes mail in."""
        terms, envelope, content, leg = hop.terms, load.envelope, load.content, load.leg
        if terms.author is not None and self.in_name_of is not None and envelope.sender != terms.author:
            envelope, content = self.in_name_of(terms.author, envelope, content)
            leg = replace(leg, reason=f"{leg.reason}; in the name of {terms.author}")
        if terms.bandwidth and envelope.priority > 0:
            #  Urgent mail has connections of its own, which are not slowed down.
            hop = replace(hop, terms=replace(terms, bandwidth=0))
        return hop, replace(load, envelope=envelope, content=content, leg=leg)


@dataclass(slots=True)
class _Portions:
    """Where a message stands at one hop: how it goes there, and who has answered for whom."""

    desk: Handover
    load: Load
    outcomes: dict[Recipient, Outcome]
    before: Sequence[Unreached]
    most: int = MOST_RECIPIENTS
    note: str = ""
    unanswered: list[Recipient] = field(default_factory=list)

    def heard(self) -> Load:
        """It does take mail, however long one transfer may last: the time that an attempt has begins anew."""
        self.load = replace(self.load, deadline=self.desk.deadline())
        return self.load

    def tell(self, outcomes: Mapping[Recipient, Outcome], words: str = "") -> None:
        told = explained(outcomes, self.load.leg.reason, self.before, self.desk.are_smarthosts)
        self.outcomes.update(with_note(told, words) if words else told)

    async def convert(self, lacks: Lacks, result: Finished, recipients: Sequence[Recipient]) -> Sequence[Recipient]:
        """The hop takes it only converted: who is to get it so."""
        load = self.heard()
        self.tell(result.outcomes)
        left = [who for who in recipients if who not in result.outcomes]
        fitted = await fit_for(lacks, load.envelope, load.content)
        if isinstance(fitted, Failed | Deferred):
            self.tell(dict.fromkeys(left, fitted))
            return ()
        envelope, content, self.note = fitted
        self.load = replace(load, envelope=envelope, content=content)
        return left

    def take(
        self, result: Finished, content: Content | Deferred, batch: Sequence[Recipient], rest: Sequence[Recipient]
    ) -> Sequence[Recipient]:
        """What the hop has said; who is still to be named to it."""
        self.heard()
        words = "; ".join(filter(None, (self.note, content.words))) if isinstance(content, Signed) else self.note
        self.tell(result.outcomes, words)
        self.unanswered += result.unanswered
        if self.load.envelope.requiretls:
            self.unanswered += [who for who, outcome in result.outcomes.items() if lacks_requiretls(outcome)]
        again = too_many(result)
        if again:
            self.most = len(batch) - len(again)
        return [*again, *rest] if rest or again else ()
