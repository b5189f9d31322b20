"""The SMTP carrier: takes a message over one leg, by the first next hop that can be reached.

MercuryC and MercuryE share it; they differ in their planners. A hop that cannot be reached, does not answer, or
refuses our login or our TLS is passed over for the next. What a server says about a recipient is final for this
attempt: a 4xx waits, and is not carried to another server.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shared.dkim.signed import Signed
from shared.mail.address import Address
from shared.mail.content import Content
from shared.mail.envelope import Envelope, Recipient
from shared.mail.outcome import Deferred, Delivered, Failed, Feedback, Outcome
from shared.mail.reply import Reply
from shared.routing.leg import Leg
from shared.routing.next_hop import NextHop, Tls
from shared.routing.terms import NO_TERMS
from shared.smtp.client_events import Ended, Finished
from shared.smtp.errand import NO_REQUIRETLS
from shared.smtp.judge import End, judge_end, judge_smarthost
from shared.tls.client import ClientTls
from shared.transport.back_off import BackOff
from shared.transport.batches import first_batch
from shared.transport.bounds import AttemptBounds
from shared.transport.connection import SmtpConnection
from shared.transport.dial import AddressLookup, Dialer, TokenSource, Unreached
from shared.transport.fitting import fit_for, with_note
from shared.transport.infirmary import Infirmary, words_of
from shared.transport.pace import Pace
from shared.transport.pool import MOST_RECIPIENTS, NEVER, HopPool, PoolLimits
from shared.transport.steward import Steward, Withheld

#  For a server to answer QUIT when we stop.
FAREWELL = 1.0
_STOPPING = Unreached(Ended(End.GOODBYE, None, "this daemon is stopping"), "")

InNameOf = Callable[[Address, Envelope, Content], tuple[Envelope, Content]]
Sign = Callable[[Envelope, Content], Awaitable[Content | Deferred]]


@dataclass(frozen=True, slots=True)
class _Load:
    """What is carried."""

    envelope: Envelope
    content: Content
    leg: Leg
    #  Of the reactor's clock: when the attempt is over, if no server has begun to take it.
    deadline: float


Witness = Callable[[Leg, NextHop, Finished | Unreached], object]


class SmtpCarrier:
    """Satisfies shared.delivery.carrier.Carrier. `helo` is our own host name. See Dialer for the other arguments.

    `are_smarthosts`: a hop that fails where there are others is passed over until a probe has found it well, and a
    refusal to relay is not the recipient's fault. `unreached` is called when a message found no hop at all, `witness`
    with whatever came of giving one to a hop. `steward`: keeps to the terms of hops and the book of what is known of
    them; a carrier without one has hops without terms. `in_name_of` gives envelope and message as they go to a hop
    that takes mail in the name of its account only. `bounds`: what an attempt may cost; without them every hop is
    tried. `sign` gives the message as it leaves the house.
    """

    def __init__(
        self,
        *,
        reactor: Any,
        helo: str,
        resolver: AddressLookup,
        read_secret: Callable[[str], str],
        tls: ClientTls | None = None,
        limits: PoolLimits = PoolLimits(),  # noqa: B008 - it is frozen
        bounds: AttemptBounds | None = None,
        connect_timeout: float = 30.0,
        source_addresses: tuple[str, ...] = (),
        are_smarthosts: bool = False,
        unreached: Callable[[], object] | None = None,
        witness: Witness | None = None,
        steward: Steward | None = None,
        in_name_of: InNameOf | None = None,
        sign: Sign | None = None,
        tokens: TokenSource | None = None,
        make_nonce: Callable[[], str] = secrets.token_urlsafe,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._dialer = Dialer(
            reactor=reactor,
            helo=helo,
            resolver=resolver,
            tls=tls or ClientTls(),
            read_secret=read_secret,
            make_nonce=make_nonce,
            connect_timeout=connect_timeout,
            source_addresses=source_addresses,
            chance=chance,
            tokens=tokens,
            spares_dead=bounds is not None,
        )
        self._reactor = reactor
        self._limits = limits
        self._bounds = bounds
        self._unreached = unreached
        self._witness = witness
        self._back_off: BackOff[NextHop, Unreached] = BackOff(reactor.seconds, chance)
        self._infirmary = Infirmary(reactor, self._dialer.dial, self._note_recovered) if are_smarthosts else None
        self._steward = steward
        self._in_name_of = in_name_of
        self._sign = sign
        self._paces: dict[NextHop, Pace] = {}
        self._pools: dict[NextHop, HopPool] = {}
        self._idle: dict[SmtpConnection, None] = {}
        #  As the book has it: those that had trouble when mail was last given to them.
        self._unwell: set[NextHop] = set()
        self._is_closing = False
        self._emptied: asyncio.Future[None] | None = None

    async def carry(self, envelope: Envelope, content: Content, leg: Leg) -> Mapping[Recipient, Outcome]:
        outcomes: dict[Recipient, Outcome] = {}
        remaining: Sequence[Recipient] = leg.recipients
        troubles: list[Unreached] = [_STOPPING] if self._is_closing else []
        passed_over: list[Unreached] = []
        bounds, sessions = self._bounds, 0
        load = _Load(envelope, content, leg, self._deadline())
        for hop in self._hops_in_turn(leg.hops, passed_over) if not self._is_closing else ():
            if envelope.requiretls and hop.tls not in (Tls.VERIFY, Tls.PIN, Tls.DANE):
                hop = replace(hop, tls=Tls.VERIFY)  #  RFC 8689 §4.2.1
            before = passed_over + troubles if passed_over or troubles else ()
            if hop.terms is NO_TERMS:
                remaining, trouble = await self._hand_over(hop, load, remaining, outcomes, before)
            else:
                remaining, trouble = await self._by_its_terms(hop, load, remaining, outcomes, before)
            if trouble is not None:
                troubles.append(trouble)
            if isinstance(trouble, Withheld):
                if trouble.is_to_wait:
                    break
                continue
            self._note_health(hop, trouble, len(leg.hops) > 1)
            if not remaining or self._is_closing:
                break
            if bounds is not None:
                sessions += trouble is None
                if sessions >= bounds.sessions or self._reactor.seconds() >= load.deadline:
                    break
        if remaining and self._unreached is not None:
            self._unreached()
        for recipient in remaining:
            #  A word that came from a server before it was lost says more than that another could not be reached;
            #  that a server has no REQUIRETLS says less, as the other may have it.
            known = outcomes.get(recipient)
            if known is None or (_lacks_requiretls(known) and troubles and not _lack_tls(troubles)):
                outcomes[recipient] = self._not_carried(envelope, troubles)
        return outcomes

    def _deadline(self) -> float:
        return NEVER if self._bounds is None else self._reactor.seconds() + self._bounds.seconds

    def _not_carried(self, envelope: Envelope, troubles: Sequence[Unreached]) -> Outcome:
        #  At a smarthost it is the operator's fault, and mail is not returned for that.
        if envelope.requiretls and self._infirmary is None and troubles and _lack_tls(troubles):
            return _without_tls(troubles)
        return _not_carried(troubles)

    def _hops_in_turn(self, hops: Sequence[NextHop], passed_over: list[Unreached]) -> Sequence[NextHop]:
        """Those that are known to be ill come last: they are better than nothing."""
        if not self._infirmary or len(hops) == 1:
            return hops
        ill: list[NextHop] = []
        for hop in hops:
            if (trouble := self._infirmary.why_not(hop)) is not None:
                ill.append(hop)
                passed_over.append(trouble)
        if len(ill) == len(hops):
            passed_over.clear()
        return [*(hop for hop in hops if hop not in ill), *ill] if ill else hops

    def _note_health(self, hop: NextHop, trouble: Unreached | None, has_others: bool) -> None:
        infirmary = self._infirmary
        if infirmary is None or self._is_closing:
            return
        if trouble is None:
            if infirmary:
                infirmary.discharge(hop)
            if self._unwell:
                self._note_recovered(hop)
            return
        if self._steward is not None:
            self._unwell.add(hop)
            self._steward.note_health(hop, words_of(trouble))
        if has_others:
            infirmary.admit(hop, trouble)

    def _note_recovered(self, hop: NextHop) -> None:
        self._back_off.note_success(hop)
        self._unwell.discard(hop)
        if self._steward is not None and self._steward.is_unwell(hop):
            self._steward.note_health(hop, "")

    def connections(self) -> list[dict[str, str | int]]:
        """Those to each next hop, as they are now."""
        return [pool.describe() for pool in self._pools.values()]

    async def close(self) -> None:
        """Let go of every connection. Messages still on their way are deferred."""
        self._is_closing = True
        if self._infirmary is not None:
            self._infirmary.close()
        self._emptied = asyncio.get_running_loop().create_future()
        for pool in list(self._pools.values()):
            pool.close()
        if self._pools:
            await asyncio.wait([self._emptied], timeout=FAREWELL)

    async def _hand_over(
        self,
        hop: NextHop,
        load: _Load,
        recipients: Sequence[Recipient],
        outcomes: dict[Recipient, Outcome],
        before: Sequence[Unreached],
    ) -> tuple[Sequence[Recipient], Unreached | None]:
        """Give the message to `hop`. Whom it has not heard of comes back, for another hop."""
        envelope, content, leg = load.envelope, load.content, load.leg
        unanswered: list[Recipient] = []
        most, note, deadline = MOST_RECIPIENTS, "", load.deadline
        while recipients:
            #  Signed here and not before: it is the bytes that go out, converted or not.
            leaving = content if self._sign is None else await self._sign(envelope, content)
            if isinstance(leaving, Deferred):
                outcomes.update(self._explained(dict.fromkeys(recipients, leaving), leg.reason, before))
                break
            pool = self._pool(hop)
            batch, rest = first_batch(recipients, min(most, pool.most_recipients), pool.most_domains)
            result = await pool.submit(envelope, batch, leaving, deadline)
            if self._witness is not None:
                self._witness(leg, hop, result)
            if isinstance(result, Unreached):
                return [*unanswered, *recipients], result
            deadline = self._deadline()  #  It does take mail, however long one transfer may last.
            if result.lacks is not None:
                outcomes.update(self._explained(result.outcomes, leg.reason, before))
                recipients = [who for who in recipients if who not in result.outcomes]
                fitted = await fit_for(result.lacks, envelope, content)
                if isinstance(fitted, Failed | Deferred):
                    outcomes.update(self._explained(dict.fromkeys(recipients, fitted), leg.reason, before))
                    break
                envelope, content, note = fitted
                continue
            told = self._explained(result.outcomes, leg.reason, before)
            words = "; ".join(filter(None, (note, leaving.words))) if isinstance(leaving, Signed) else note
            outcomes.update(with_note(told, words) if words else told)
            unanswered += result.unanswered
            if envelope.requiretls:
                unanswered += [who for who, outcome in result.outcomes.items() if _lacks_requiretls(outcome)]
            again = _too_many(result)
            if again:
                most = len(batch) - len(again)
            recipients = [*again, *rest] if rest or again else ()
        return unanswered, None

    async def _by_its_terms(
        self,
        hop: NextHop,
        load: _Load,
        recipients: Sequence[Recipient],
        outcomes: dict[Recipient, Outcome],
        before: Sequence[Unreached],
    ) -> tuple[Sequence[Recipient], Unreached | None]:
        """As _hand_over, to a hop that demands something: as much of it as its terms let through now."""
        steward, terms, envelope, content, leg = self._steward, hop.terms, load.envelope, load.content, load.leg
        assert steward is not None, "a hop with terms and nobody to keep to them"
        if terms.bandwidth and envelope.priority > 0:
            #  Urgent mail has connections of its own, which are not slowed down.
            hop = replace(hop, terms=replace(terms, bandwidth=0))
        if terms.author is not None and self._in_name_of is not None and envelope.sender != terms.author:
            envelope, content = self._in_name_of(terms.author, envelope, content)
            leg = replace(leg, reason=f"{leg.reason}; in the name of {terms.author}")
        given = replace(load, envelope=envelope, content=content, leg=leg)
        unanswered: list[Recipient] = []
        most = terms.most_recipients or len(recipients)
        while recipients:
            batch, rest = first_batch(recipients, min(most, self._pool(hop).most_recipients))
            room = steward.room(hop, envelope, len(batch))
            if isinstance(room, Withheld):
                return [*unanswered, *recipients], room
            batch, rest = batch[:room], [*batch[room:], *rest]
            told: dict[Recipient, Outcome] = {}
            left, trouble = await self._hand_over(hop, given, batch, told, before)
            used = sum(map(_counts, told.values()))
            steward.give_back(hop, 0 if used else 1, len(batch) - used)
            outcomes.update(told if envelope is load.envelope else _told_why(told, leg.reason))
            unanswered += left
            if trouble is not None:
                return [*unanswered, *rest], trouble
            recipients = rest
        return unanswered, None

    def _explained(
        self, outcomes: Mapping[Recipient, Outcome], reason: str, before: Sequence[Unreached]
    ) -> Mapping[Recipient, Outcome]:
        """With why it was this hop, unless it went as it should: the first hop, and delivered."""
        if not before and all(type(outcome) is Delivered for outcome in outcomes.values()):
            return outcomes
        choice = _choice(reason, before)
        told: dict[Recipient, Outcome] = {}
        for who, outcome in outcomes.items():
            if self._infirmary is not None:
                outcome = judge_smarthost(outcome)
            told[who] = replace(outcome, detail="; ".join(filter(None, (outcome.detail, choice))))
        return told

    def _pool(self, hop: NextHop) -> HopPool:
        pool = self._pools.get(hop)
        if pool is None:
            #  The book is about smarthosts; of strangers there is no end.
            steward = self._steward if self._infirmary is not None else None
            bandwidth = hop.terms.bandwidth
            heard = steward.hear if steward is not None else None
            pace = self._pace(hop) if bandwidth else None
            pool = HopPool(
                self._reactor,
                hop,
                self._dialer,
                self._limits,
                self._back_off,
                self._note_idle,
                self._forget,
                heard,
                pace,
            )
            if steward is not None:
                pool.note_limits(*steward.most_recipients(hop))
            self._pools[hop] = pool
        return pool

    def _pace(self, hop: NextHop) -> Pace:
        """The same for all connections to it, and for those that come after them."""
        pace = self._paces.get(hop)
        if pace is None:
            pace = self._paces[hop] = Pace(hop.terms.bandwidth, self._reactor)
        return pace

    def _note_idle(self, connection: SmtpConnection) -> None:
        """Connections that have nothing to do are bounded over all hops: MercuryE meets hundreds in a second."""
        self._idle.pop(connection, None)
        self._idle[connection] = None
        if len(self._idle) > self._limits.most_idle:
            oldest = next(iter(self._idle))
            del self._idle[oldest]
            oldest.quit()

    def _forget(self, pool: HopPool) -> None:
        if self._pools.get(pool.hop) is pool:
            del self._pools[pool.hop]
        if self._emptied is not None and not self._pools and not self._emptied.done():
            self._emptied.set_result(None)


def _choice(reason: str, troubles: Sequence[Unreached]) -> str:
    """Why the mail is given to this hop: the route, and what was wrong with those before it."""
    return "; ".join([reason, *(f"not {words_of(trouble)}" for trouble in troubles)])


def _told_why(outcomes: Mapping[Recipient, Outcome], reason: str) -> Mapping[Recipient, Outcome]:
    """Also where all went as usual: mail that was changed on its way says so in its trail."""
    return {who: outcome if outcome.detail else replace(outcome, detail=reason) for who, outcome in outcomes.items()}


def _too_many(result: Finished) -> list[Recipient]:
    """Those refused only because there were too many in one transaction (RFC 5321 §4.5.3.1.10).

    Only when somebody got the message, so that each further transaction makes progress.
    """
    outcomes = result.outcomes
    refused = [who for who, it in outcomes.items() if isinstance(it, Deferred) and _is_too_many(it.reply)]
    if refused and any(isinstance(outcome, Delivered) for outcome in outcomes.values()):
        return refused
    return []


def _is_too_many(reply: Reply) -> bool:
    return reply.code == 452 and reply.enhanced in ("4.5.3", "")


def _lacks_requiretls(outcome: Outcome) -> bool:
    """Nothing was given to this server, and the next one is asked (RFC 8689 §4.2.1)."""
    return isinstance(outcome, Failed) and outcome.reply.enhanced == NO_REQUIRETLS


def _lack_tls(troubles: Sequence[Unreached]) -> bool:
    return all(trouble.ended.end in (End.NO_TLS, End.TLS) for trouble in troubles)


def _without_tls(troubles: Sequence[Unreached]) -> Failed:
    """Every host is there, and none has the TLS that the sender demands: it goes back (RFC 8689 §4.2.1)."""
    last = troubles[-1]
    text = f"The sender demands TLS all the way (REQUIRETLS); {last.host} {last.ended.end.value}: {last.ended.detail}"
    detail = "; ".join(words_of(trouble) for trouble in troubles)
    return Failed(Reply(550, "5.7.10", text.removesuffix(": ")), last.host, detail)


def _not_carried(troubles: Sequence[Unreached]) -> Outcome:
    """No hop could be reached, for these reasons."""
    if not troubles:
        return Deferred(Reply(451, "4.4.4", "There is no next hop to give this message to"))
    last = troubles[-1]
    withheld = [trouble for trouble in troubles if isinstance(trouble, Withheld)]
    if all(trouble.ended.end is End.LOOP for trouble in troubles):
        return Failed(Reply(554, "5.4.6", f"Mail loops back to this host: {last.ended.detail}"), last.host)
    detail = "; ".join(words_of(it) for it in troubles)
    outcome = judge_end(last.ended.end, last.ended.reply, last.ended.detail, last.host)
    if all(trouble.is_remembered for trouble in troubles):
        outcome = replace(outcome, feedback=Feedback.NONE)
    if len(withheld) == len(troubles):
        return replace(outcome, detail=detail, retry_after=min(trouble.seconds for trouble in withheld))
    return replace(outcome, detail=detail)


def _counts(outcome: Outcome) -> bool:
    """Whether this recipient is one of those that the hop counts."""
    return isinstance(outcome, Delivered) or (isinstance(outcome, Deferred) and outcome.maybe_delivered)
