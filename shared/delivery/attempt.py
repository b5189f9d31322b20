"""One attempt for one claimed entry: plan, carry the legs, and have an outcome for every recipient.

A planner or a carrier that breaks its promise (an exception, a recipient without an outcome) costs its own leg a
deferral and the operator an event; it never ends the runner. What the outcomes mean is in settlement.py.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence

from shared.delivery.carrier import Carrier, RoutePlanner
from shared.delivery.destinations import Destinations
from shared.delivery.detour import Detour, FindHops
from shared.delivery.same_host import same_host_first
from shared.mail.content import Content
from shared.mail.envelope import Envelope, Recipient
from shared.mail.light import light
from shared.mail.outcome import Deferred, Delivered, Feedback, Outcome
from shared.mail.record import dataclass
from shared.mail.reply import Reply
from shared.observe import events
from shared.retry.policies import RetryPolicies
from shared.routing.lane import Lane
from shared.routing.leg import Leg, Plan
from shared.smtp.feedback import feedback_of

#  Of one message, so that a letter to a hundred domains does not take every connection there is.
LEGS_AT_ONCE = 10

OUR_FAULT = Deferred(Reply(451, "4.3.0", "internal error of the mail system; it will be tried again"))

Outcomes = dict[Recipient, Outcome]
Report = Callable[..., None]
Rejudge = Callable[[Envelope, Sequence[Recipient]], Mapping[Lane, tuple[Recipient, ...]]]
Travel = asyncio.Task[Mapping[Recipient, Outcome] | None]


@dataclass(frozen=True, slots=True)
class Crew:
    """Who knows the way and when to come again; a reload puts another crew in place, and attempts under way keep
    theirs."""

    planner: RoutePlanner
    carrier: Carrier
    retry: RetryPolicies
    rejudge: Rejudge
    destinations: Destinations
    report: Report
    find_hops: FindHops


@light
@dataclass(frozen=True, slots=True)
class Load:
    """What is carried. `may_have_it`: see same_host.py. `keep` makes deliveries durable before more of it is carried:
    a crash then repeats at most the legs that were under way. `arrive` is called where a leg is about to set out."""

    envelope: Envelope
    content: Content
    may_have_it: Sequence[str]
    keep: Callable[[Outcomes], Awaitable[None]]
    arrive: Callable[[], None]
    detour: Detour | None = None


async def attempt(crew: Crew, load: Load, recipients: Sequence[Recipient], outcomes: Outcomes) -> str:
    """Fill `outcomes`; what is in it when the attempt is called off, counts.

    The answer is a destination that had no room, or empty. Recipients who go there have no outcome, and are to come
    again when it has.
    """
    plan = _plan_detour(crew, load, recipients) or await _plan(crew, load.envelope, recipients)
    if plan.settled:
        outcomes.update(plan.settled)
    legs: Sequence[Leg] = plan.legs
    if load.may_have_it:
        legs = [same_host_first(leg, load.may_have_it) for leg in legs]
    put_off: list[Leg] = []
    if len(legs) == 1:
        if (result := await _travel(crew, load, legs[0])) is not None:
            outcomes.update(result)
        else:
            put_off = [legs[0]]
    elif legs:
        put_off = await _travel_all(crew, load, legs, outcomes)
    if put_off:
        waiting = {who for leg in put_off for who in leg.recipients}
        recipients = [who for who in recipients if who not in waiting]
    if len(outcomes) != len(recipients):
        _complete(outcomes, recipients, load.envelope, crew.report)
    return put_off[0].destination if put_off else ""


def _plan_detour(crew: Crew, load: Load, recipients: Sequence[Recipient]) -> Plan | None:
    """None: by the planner. MercuryE looks every domain up, whatever its route; the relay needs to be told."""
    if load.detour is None or load.detour.lane is not Lane.RELAY:
        return None
    hops = crew.find_hops(load.detour, load.envelope)
    if not hops:
        reply = Reply(451, "4.4.4", "rerouted to the relay, but there is no smarthost")
        return Plan((), dict.fromkeys(recipients, Deferred(reply)))
    return Plan((Leg(f"relay {hops[0]}", tuple(recipients), hops, "rerouted by an operator"),))


async def _plan(crew: Crew, envelope: Envelope, recipients: Sequence[Recipient]) -> Plan:
    try:
        return await crew.planner.plan(envelope, recipients)
    except (Exception, asyncio.CancelledError) as error:
        if _is_called_off(error):
            raise
        say_fault(crew.report, envelope, error, "plan")
        return Plan((), dict.fromkeys(recipients, OUR_FAULT))


async def _travel(crew: Crew, load: Load, leg: Leg) -> Mapping[Recipient, Outcome] | None:
    """None: there was no room."""
    destinations, name = crew.destinations, leg.destination
    load.arrive()
    if not destinations.enter_now(name, leg.most) and not await destinations.enter(name):
        return None
    feedback = Feedback.NONE
    try:
        result = await _carry(crew, load, leg)
        feedback = feedback_of(result.values())
        return result
    finally:
        destinations.leave(name, feedback)


async def _carry(crew: Crew, load: Load, leg: Leg) -> Mapping[Recipient, Outcome]:
    try:
        return await crew.carrier.carry(load.envelope, load.content, leg)
    except (Exception, asyncio.CancelledError) as error:
        if _is_called_off(error):
            raise
        say_fault(crew.report, load.envelope, error, leg.destination)
        return dict.fromkeys(leg.recipients, OUR_FAULT)


def _is_called_off(error: BaseException) -> bool:
    """We were cancelled; otherwise something inside the carrier was, which is a fault like any other."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


async def _travel_all(crew: Crew, load: Load, legs: Sequence[Leg], outcomes: Outcomes) -> list[Leg]:
    """Those that found no room."""
    waiting = deque(legs)
    running: dict[Travel, Leg] = {}
    put_off: list[Leg] = []
    try:
        while waiting or running:
            while waiting and len(running) < LEGS_AT_ONCE:
                leg = waiting.popleft()
                running[asyncio.create_task(_travel(crew, load, leg))] = leg
            ended, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            news: Outcomes = {}
            for task in ended:
                leg, result = running.pop(task), task.result()
                if result is None:
                    put_off.append(leg)
                else:
                    news.update(result)
            outcomes.update(news)
            if news and (waiting or running):
                await load.keep(news)
    finally:
        for task in running:
            task.cancel()
        for task in running:
            #  A leg that ended while it was called off still counts.
            if late := await _result_of(task):
                outcomes.update(late)
    return put_off


async def _result_of(task: Travel) -> Mapping[Recipient, Outcome] | None:
    await asyncio.wait((task,))
    return None if task.cancelled() else task.result()


def _complete(outcomes: Outcomes, recipients: Sequence[Recipient], envelope: Envelope, report: Report) -> None:
    """Exactly the recipients that were asked for: no outcome is missing, and none is about somebody else."""
    asked = set(recipients)
    for recipient in [each for each in outcomes if each not in asked]:
        del outcomes[recipient]
        report(
            events.CARRIER_FAULT, id=envelope.id, recipient=recipient.address, reason="an outcome nobody asked for"
        )
    for recipient in recipients:
        if recipient not in outcomes:
            outcomes[recipient] = OUR_FAULT
            report(events.CARRIER_FAULT, id=envelope.id, recipient=recipient.address, reason="no outcome")


def deliveries(outcomes: Mapping[Recipient, Outcome]) -> dict[Recipient, Delivered]:
    """Those that must never be carried again."""
    return {who: outcome for who, outcome in outcomes.items() if isinstance(outcome, Delivered)}


def say_fault(report: Report, envelope: Envelope, error: BaseException, where: str) -> None:
    """Somebody broke a promise: for the operator, with the traceback."""
    report(
        events.CARRIER_FAULT,
        id=envelope.id,
        where=where,
        reason=f"{type(error).__name__}: {error}",
        traceback="".join(traceback.format_exception(error)),
    )
