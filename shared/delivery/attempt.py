"""One attempt for one claimed entry: plan, carry the legs, and have an outcome for every recipient.

A planner or a carrier that breaks its promise (an exception, a recipient without an outcome) costs its own leg a
deferral and the operator an event; it never ends the runner. What the outcomes mean is in settlement.py.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from shared.delivery.carrier import Carrier, RoutePlanner
from shared.delivery.same_host import same_host_first
from shared.mail.content import Content
from shared.mail.envelope import Envelope, Recipient
from shared.mail.outcome import Deferred, Delivered, Outcome
from shared.mail.reply import Reply
from shared.observe import events
from shared.retry.schedule import RetryPolicy
from shared.routing.lane import Lane
from shared.routing.leg import Leg, Plan

#  Of one message, so that a letter to a hundred domains does not take every connection there is.
LEGS_AT_ONCE = 10

OUR_FAULT = Deferred(Reply(451, "4.3.0", "internal error of the mail system; it will be tried again"))

Outcomes = dict[Recipient, Outcome]
Report = Callable[..., None]
Rejudge = Callable[[Envelope, Sequence[Recipient]], Mapping[Lane, tuple[Recipient, ...]]]


@dataclass(frozen=True, slots=True)
class Crew:
    """Who knows the way and when to come again; a reload puts another crew in place, and attempts under way keep
    theirs."""

    planner: RoutePlanner
    carrier: Carrier
    retry: RetryPolicy
    rejudge: Rejudge


async def attempt(
    crew: Crew,
    envelope: Envelope,
    content: Content,
    recipients: Sequence[Recipient],
    outcomes: Outcomes,
    keep: Callable[[Outcomes], Awaitable[None]],
    report: Report,
    may_have_it: Sequence[str] = (),
) -> None:
    """Fill `outcomes`; what is in it when the attempt is called off, counts. `may_have_it`: see same_host.py.

    `keep` makes deliveries durable before more of the message is carried: a crash then repeats at most the legs that
    were under way.
    """
    plan = await _plan(crew.planner, envelope, recipients, report)
    if plan.settled:
        outcomes.update(plan.settled)
    if may_have_it:
        plan = Plan(tuple(same_host_first(leg, may_have_it) for leg in plan.legs))
    if len(plan.legs) == 1:
        outcomes.update(await _carry(crew.carrier, envelope, content, plan.legs[0], report))
    elif plan.legs:
        await _carry_several(crew.carrier, envelope, content, plan.legs, outcomes, keep, report)
    if len(outcomes) != len(recipients):
        _complete(outcomes, recipients, envelope, report)


async def _plan(planner: RoutePlanner, envelope: Envelope, recipients: Sequence[Recipient], report: Report) -> Plan:
    try:
        return await planner.plan(envelope, recipients)
    except (Exception, asyncio.CancelledError) as error:
        if _is_called_off(error):
            raise
        say_fault(report, envelope, error, "plan")
        return Plan((), dict.fromkeys(recipients, OUR_FAULT))


async def _carry(
    carrier: Carrier, envelope: Envelope, content: Content, leg: Leg, report: Report
) -> Mapping[Recipient, Outcome]:
    try:
        return await carrier.carry(envelope, content, leg)
    except (Exception, asyncio.CancelledError) as error:
        if _is_called_off(error):
            raise
        say_fault(report, envelope, error, leg.destination)
        return dict.fromkeys(leg.recipients, OUR_FAULT)


def _is_called_off(error: BaseException) -> bool:
    """We were cancelled; otherwise something inside the carrier was, which is a fault like any other."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


async def _carry_several(
    carrier: Carrier,
    envelope: Envelope,
    content: Content,
    legs: Sequence[Leg],
    outcomes: Outcomes,
    keep: Callable[[Outcomes], Awaitable[None]],
    report: Report,
) -> None:
    waiting = deque(legs)
    running: set[asyncio.Task[Mapping[Recipient, Outcome]]] = set()
    try:
        while waiting or running:
            while waiting and len(running) < LEGS_AT_ONCE:
                running.add(asyncio.create_task(_carry(carrier, envelope, content, waiting.popleft(), report)))
            ended, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            news: Outcomes = {}
            for task in ended:
                news.update(task.result())
            outcomes.update(news)
            if waiting or running:
                await keep(news)
    finally:
        for task in running:
            task.cancel()
        for task in running:
            #  A leg that ended while it was called off still counts.
            if result := await _result_of(task):
                outcomes.update(result)


async def _result_of(task: asyncio.Task[Mapping[Recipient, Outcome]]) -> Mapping[Recipient, Outcome] | None:
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
