"""A runner among fakes: a planner that goes by domain, a carrier that says what the test wrote down, hours that fly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fakes.hours import HourLoop, PromptExecutor, run_hours
from fakes.lanes import FakeLane, FakeOwner, FakeSpool, fake_watch
from fakes.spools import TestSpool

from shared.delivery.reports import Reports
from shared.delivery.rounds import Limits
from shared.delivery.runner import Runner
from shared.mail.address import parse_address
from shared.mail.content import Content
from shared.mail.envelope import Envelope, Notify, Recipient
from shared.mail.outcome import Deferred, Delivered, Failed, Outcome
from shared.mail.reply import Reply
from shared.retry.policies import RetryPolicies
from shared.routing.lane import Lane
from shared.routing.leg import Leg, Plan
from shared.spool.deposit import Letter
from shared.spool.schedule import Schedule

HOST = "mx.partner.example[192.0.2.1]:25"
OK = Delivered(Reply(250, "2.0.0", "queued as 4711"), HOST)
LATER = Deferred(Reply(451, "4.3.0", "come back later"), HOST)
NEVER = Failed(Reply(550, "5.1.1", "no such mailbox"), HOST)
MESSAGE = b"Received: by test\r\nSubject: hello\r\n\r\nbody\r\n"

Answer = Outcome | Exception | Callable[[], Any]


def who(text: str, *notify: Notify) -> Recipient:
    return Recipient(parse_address(text), notify)


@dataclass
class Planner:
    """One leg for each domain."""

    settled: dict[str, Outcome] = field(default_factory=dict)
    error: Exception | None = None

    async def plan(self, envelope: Envelope, recipients: Sequence[Recipient]) -> Plan:
        if self.error:
            raise self.error
        legs: dict[str, list[Recipient]] = {}
        settled = {who: self.settled[str(who.address)] for who in recipients if str(who.address) in self.settled}
        for recipient in recipients:
            if recipient not in settled:
                legs.setdefault(recipient.address.domain, []).append(recipient)
        return Plan(tuple(Leg(domain, tuple(group)) for domain, group in legs.items()), settled)


@dataclass
class Carrier:
    """`answers` by address; a list is used up, its last answer stays. `carried` notes the legs in order."""

    ledger: Any
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    carried: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def says(self, address: str, *answers: Answer) -> None:
        self.answers[address] = list(answers)

    async def carry(self, envelope: Envelope, content: Content, leg: Leg) -> Mapping[Recipient, Outcome]:
        self.carried.append((envelope.id, tuple(str(each.address) for each in leg.recipients)))
        self.ledger.note("carry", envelope.id, leg.destination)
        outcomes: dict[Recipient, Outcome] = {}
        for recipient in leg.recipients:
            answers = self.answers.get(str(recipient.address), [OK])
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if isinstance(answer, Exception):
                raise answer
            if callable(answer):
                answer = await answer()
            if answer is not None:
                outcomes[recipient] = answer
        return outcomes


class Run:
    """Everything around one runner of the relay lane; its spool is a fake, or on `disk`. Use it inside `run`."""

    def __init__(self, loop: HourLoop, lane: Lane = Lane.RELAY, disk: TestSpool | None = None, **limits: Any) -> None:
        self.loop = loop
        self.clock = loop.clock
        self.spool = FakeSpool(loop.clock)
        self.ledger = self.spool.ledger
        self.lane = lane
        self.owner: Any = disk.owner if disk else FakeOwner()
        depositor: Any = disk.depositor if disk else self.spool
        self.planner, self.carrier = Planner(), Carrier(self.ledger)
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.ways: dict[str, Lane] = {}
        executor = PromptExecutor()
        self.reports = Reports(
            "mail.hq.example", depositor, lambda e: [Letter(Lane.LOCAL, e)], executor, self.clock, self.report
        )
        self.limits = Limits(**{"beat": 900.0, "adopt": 1200.0, **limits})
        self.runner = Runner(
            lane=lane,
            folder=disk.lane(lane) if disk else FakeLane(self.spool, lane, self.owner),
            owner=self.owner,
            daemon="mercury-t",
            schedule=Schedule(),
            planner=self.planner,
            carrier=self.carrier,
            retry=RetryPolicies(),
            rejudge=self.rejudge,
            reports=self.reports,
            depositor=depositor,
            executor=executor,
            clock=self.clock,
            chance=lambda: 0.5,
            report=self.report,
            limits=self.limits,
            watch=None if disk else fake_watch(self.spool, lane),
        )

    def report(self, name: str, **fields: Any) -> None:
        self.events.append((str(name), fields))

    def said(self, name: str) -> list[dict[str, Any]]:
        return [fields for event, fields in self.events if event == name]

    def rejudge(self, envelope: Envelope, recipients: Sequence[Recipient]) -> dict[Lane, tuple[Recipient, ...]]:
        lanes: dict[Lane, list[Recipient]] = {}
        for recipient in recipients:
            lanes.setdefault(self.ways.get(recipient.address.domain, self.lane), []).append(recipient)
        return {lane: tuple(group) for lane, group in lanes.items()}

    def letter(
        self, *recipients: str | Recipient, sender: str = "anna@hq.example", due: float | None = None, **more: Any
    ) -> Envelope:
        """A message in the lane."""
        envelope = Envelope(
            id=self.spool.next_id(),
            sender=parse_address(sender) if sender else None,
            recipients=tuple(who(each) if isinstance(each, str) else each for each in recipients),
            arrived=self.clock(),
            **more,
        )
        self.spool.put(self.lane, envelope, MESSAGE, due)
        return envelope

    async def hours(self, hours: float) -> None:
        """Let time pass."""
        await asyncio.sleep(hours * 3600)

    def bounces(self) -> list[tuple[Envelope, bytes]]:
        """The reports, which all go to a mailbox here."""
        return [(each.envelope, each.message) for each in self.spool.entries[Lane.LOCAL].values()]

    def events_of_trail(self) -> list[tuple[str, str]]:
        return [(record.event, record.recipient) for record in self.spool.trail(self.lane)]


def run(test: Callable[[Run], Any], before: Callable[[Run], Any] = lambda stage: None, **more: Any) -> Run:
    """Start a runner, play the test, stop it. `before` puts there what the runner shall find."""
    loop = HourLoop()
    if "disk" in more:
        loop.offset = time.time()  #  Files get their times from the kernel.

    async def play() -> Run:
        stage = Run(loop, **more)
        before(stage)
        await stage.runner.start()
        try:
            await test(stage)
        finally:
            await stage.runner.stop(1)
        return stage

    return run_hours(play(), loop)
