"""The SMTP carrier: takes a message over one leg, by the first next hop that can be reached.

MercuryC and MercuryE share it; they differ in their planners. A hop that cannot be reached, does not answer, or
refuses our login or our TLS is passed over for the next. What a server says about a recipient is final for this
attempt: a 4xx waits, and is not carried to another server. Not here: what giving a message to one hop takes
(handover.py), how the smarthosts are (health.py), the connections (pools.py), what the trail is told (verdict.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeGuard

from shared.mail.content import Content
from shared.mail.envelope import Envelope, Recipient
from shared.mail.outcome import Delivered, Outcome
from shared.routing.leg import Leg
from shared.routing.next_hop import NextHop, Tls
from shared.routing.terms import NO_TERMS
from shared.smtp.client_events import Ended, Finished
from shared.smtp.judge import End
from shared.transport.back_off import BackOff
from shared.transport.bounds import AttemptBounds
from shared.transport.dial import Dialer, Unreached
from shared.transport.handover import Handover, InNameOf, Load, Sign, Witness
from shared.transport.health import Health
from shared.transport.pool import NEVER, PoolLimits
from shared.transport.pools import HopPools
from shared.transport.steward import Steward, Withheld
from shared.transport.verdict import complete

_STOPPING = Unreached(Ended(End.GOODBYE, None, "this daemon is stopping"), "")


class SmtpCarrier:
    """Satisfies shared.delivery.carrier.Carrier.

    `are_smarthosts`: a hop that fails where there are others is passed over until a probe has found it well, and a
    refusal to relay is not the recipient's fault. `unreached` is called when a message found no hop at all, `witness`
    with whatever came of giving one to a hop. `steward`: keeps to the terms of hops and the book of what is known of
    them; a carrier without one has hops without terms. `in_name_of` gives envelope and message as they go to a hop
    that takes mail in the name of its account only. `bounds`: what an attempt may cost; without them every hop is
    tried. `sign` gives the message as it leaves the house.
    """

    def __init__(
        self,
        dialer: Dialer,
        *,
        limits: PoolLimits = PoolLimits(),  # noqa: B008 - it is frozen
        bounds: AttemptBounds | None = None,
        are_smarthosts: bool = False,
        unreached: Callable[[], object] = lambda: None,
        witness: Witness | None = None,
        steward: Steward | None = None,
        in_name_of: InNameOf | None = None,
        sign: Sign | None = None,
    ) -> None:
        reactor = dialer.reactor
        self._seconds: Callable[[], float] = reactor.seconds
        self._bounds = bounds
        self._unreached = unreached
        self._relent = dialer.relent
        self._back_off = back_off = BackOff[NextHop, Unreached](reactor.seconds, dialer.chance)
        self._health = Health(reactor, dialer.dial, back_off, steward) if are_smarthosts else None
        self._pools = HopPools(reactor, dialer, limits, back_off, steward if are_smarthosts else None)
        self._desk = Handover(self._pools, self._deadline, are_smarthosts, sign, witness, steward, in_name_of)
        self._is_closing = False

    async def carry(self, envelope: Envelope, content: Content, leg: Leg) -> Mapping[Recipient, Outcome]:
        passed_over: list[Unreached] = []
        hops = self._health.in_turn(leg.hops, passed_over) if self._health is not None else leg.hops
        load = Load(envelope, content, leg, self._deadline())
        given: Finished | Unreached | None = None
        if self._is_usual(load, hops) and not passed_over:
            given = await self._desk.submit(hops[0], load, leg.recipients, content)
            if _is_all_delivered(given):
                self._note_health(hops[0], None, len(hops) > 1)
                return given.outcomes
        return await self._carry_on(load, hops, passed_over, given)

    def relent(self) -> None:
        """Somebody says that it may go now: who did not answer a moment ago is dialled again."""
        self._back_off.relent()
        self._relent()

    def connections(self) -> list[dict[str, str | int]]:
        """Those to each next hop, as they are now."""
        return self._pools.describe()

    async def close(self) -> None:
        """Let go of every connection. Messages still on their way are deferred."""
        self._is_closing = True
        if self._health is not None:
            self._health.close()
        await self._pools.close()

    def _is_usual(self, load: Load, hops: Sequence[NextHop]) -> bool:
        """It goes just as it is, and in one transaction, to a hop that demands nothing."""
        if self._is_closing or not hops or self._desk.sign is not None or load.envelope.requiretls:
            return False
        pool = self._pools.of(hops[0])
        return (
            hops[0].terms is NO_TERMS and len(load.leg.recipients) <= pool.most_recipients and not pool.most_domains
        )

    async def _carry_on(
        self,
        load: Load,
        hops: Sequence[NextHop],
        passed_over: list[Unreached],
        given: Finished | Unreached | None,
    ) -> Mapping[Recipient, Outcome]:
        """By one hop after the other. `given`: what came of giving it to the first, when that has been done."""
        outcomes: dict[Recipient, Outcome] = {}
        remaining: Sequence[Recipient] = load.leg.recipients
        troubles: list[Unreached] = [_STOPPING] if self._is_closing and given is None else []
        bounds, sessions = self._bounds, 0
        for hop in hops if not troubles else ():
            if load.envelope.requiretls and hop.tls not in (Tls.VERIFY, Tls.PIN, Tls.DANE):
                hop = replace(hop, tls=Tls.VERIFY)  #  RFC 8689 §4.2.1
            before = passed_over + troubles
            if hop.terms is NO_TERMS:
                remaining, trouble = await self._desk.give(hop, load, remaining, outcomes, before, given)
            else:
                remaining, trouble = await self._desk.give_by_terms(hop, load, remaining, outcomes, before)
            given = None
            if trouble is not None:
                troubles.append(trouble)
            if isinstance(trouble, Withheld):
                if trouble.is_to_wait:
                    break
                continue
            self._note_health(hop, trouble, len(load.leg.hops) > 1)
            if not remaining or self._is_closing:
                break
            if bounds is not None:
                sessions += trouble is None
                if sessions >= bounds.sessions or self._seconds() >= load.deadline:
                    break
        if remaining:
            self._unreached()
        complete(outcomes, remaining, load.envelope, troubles, self._health is not None)
        return outcomes

    def _note_health(self, hop: NextHop, trouble: Unreached | None, has_others: bool) -> None:
        if self._health is not None and not self._is_closing:
            self._health.note(hop, trouble, has_others)

    def _deadline(self) -> float:
        return NEVER if self._bounds is None else self._seconds() + self._bounds.seconds


def _is_all_delivered(given: Finished | Unreached) -> TypeGuard[Finished]:
    """Nothing is left to say or do."""
    if isinstance(given, Unreached) or given.unanswered or given.lacks is not None:
        return False
    return all(type(outcome) is Delivered for outcome in given.outcomes.values())
