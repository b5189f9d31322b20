"""The connections to one next hop: few at first, more while it goes well, fewer when the server complains.

A message waits in a queue until a connection is free and goes over it as the next of many. Here: who goes over which
connection, how many there are, and when nobody tries for a while. Not here: how a connection is made (dial.py), what
happens to a message that found none (carrier.py).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from shared.mail.content import Content
from shared.mail.envelope import Envelope, Recipient
from shared.mail.outcome import Feedback
from shared.mail.record import dataclass
from shared.observe import events
from shared.observe.log import log
from shared.routing.next_hop import NextHop
from shared.smtp.client_events import Ended, Finished
from shared.smtp.ehlo import Extensions
from shared.smtp.feedback import feedback_of
from shared.smtp.judge import End
from shared.transport.back_off import BackOff
from shared.transport.connection import SmtpConnection
from shared.transport.dial import Dialer, Unreached
from shared.transport.pace import Pace

#  A message that found its connection closed is put on another one at once, but not for ever.
MOST_FRESH_STARTS = 2
#  Every server takes a hundred recipients in one transaction (RFC 5321 §4.5.3.1.8), unless it says otherwise.
MOST_RECIPIENTS = 100
NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """`first` and `most` connections to one next hop; seconds an idle connection is kept; idle ones over all hops:
    more than there are messages under way at once (shared/delivery/rounds.py), as with fewer fifty hosts close each
    other's connections, and each costs more to make than two messages."""

    first: int = 4
    most: int = 20
    idle_time: float = 5.0
    most_idle: int = 256


@dataclass(slots=True, eq=False)
class Job:
    """One message for the hop. `answer` is resolved once, with Unreached when no connection could be had by
    `deadline`, a time of the pool's clock."""

    envelope: Envelope
    recipients: Sequence[Recipient]
    content: Content
    answer: asyncio.Future[Finished | Unreached]
    deadline: float
    fresh_starts: int = 0
    timer: IDelayedCall | None = None


class HopPool:
    """`went_idle` is told of every connection without work, `emptied` when the pool holds nothing any more, `heard`
    of what the server says of itself on each connection. `pace` is the cap of them all together.

    `most_recipients` and `most_domains` (0: any) are what the server takes in one transaction.
    """

    def __init__(
        self,
        clock: IReactorTime,
        hop: NextHop,
        dialer: Dialer,
        limits: PoolLimits,
        back_off: BackOff[NextHop, Unreached],
        went_idle: Callable[[SmtpConnection], None],
        emptied: Callable[[HopPool], None],
        heard: Callable[[NextHop, Extensions], None] | None = None,
        pace: Pace | None = None,
    ) -> None:
        self.hop = hop
        self._clock = clock
        self.most_recipients, self.most_domains = MOST_RECIPIENTS, 0
        self._heard = heard
        self._pace = pace
        self._dialer = dialer
        self._limits = limits
        self._back_off = back_off
        self._went_idle = went_idle
        self._emptied = emptied
        self._limit = float(limits.first)
        self._waiting: deque[Job] = deque()
        self._idle: list[SmtpConnection] = []
        self._busy: dict[SmtpConnection, deque[Job]] = {}
        self._open: set[SmtpConnection] = set()
        self._dials: set[asyncio.Task[None]] = set()
        self._employing: set[SmtpConnection] = set()
        self._last_trouble: Unreached | None = None

    # -- for the carrier -------------------------------------------------------------------------------------------

    def submit(
        self, envelope: Envelope, recipients: Sequence[Recipient], content: Content, deadline: float = NEVER
    ) -> asyncio.Future[Finished | Unreached]:
        """Its answer is there soon after `deadline` at the latest, unless it is on a connection by then."""
        job = Job(envelope, recipients, content, asyncio.get_running_loop().create_future(), deadline)
        connection = self._take_idle()
        if connection is not None:
            self._give(connection, job)
        elif not self._open and (trouble := self._back_off.recall(self.hop)) is not None:
            job.answer.set_result(replace(trouble, is_remembered=True))
        else:
            self._set_timer(job)
            self._waiting.append(job)
            self._grow()
        return job.answer

    @property
    def is_empty(self) -> bool:
        return not (self._open or self._dials or self._waiting)

    def note_limits(self, recipients: int, domains: int) -> None:
        """As the server has them, 0: it names none. More than every server takes is asked of none."""
        self.most_recipients = min(recipients, MOST_RECIPIENTS) if recipients else MOST_RECIPIENTS
        self.most_domains = domains

    def describe(self) -> dict[str, str | int]:
        """For who looks at the live connections."""
        return {
            "next_hop": str(self.hop),
            "busy": len(self._busy),
            "idle": len(self._idle),
            "open": len(self._open),
            "dialling": len(self._dials),
            "waiting": len(self._waiting),
        }

    def close(self) -> None:
        """Say goodbye on idle connections, drop the others; what waits is answered."""
        for dial in self._dials:
            dial.cancel()
        for connection in list(self._open):
            if connection.is_idle:
                connection.quit()
            else:
                connection.abort("this daemon is stopping")
        self._fail_waiting(Unreached(Ended(End.GOODBYE, None, "this daemon is stopping"), ""))

    # -- messages over connections ---------------------------------------------------------------------------------

    def _take_idle(self) -> SmtpConnection | None:
        """The one used last: the others may grow old and go."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_idle:
                return connection
        return None

    def _next_job(self) -> Job | None:
        while self._waiting:
            job = self._waiting.popleft()
            if job.timer is not None:
                job.timer.cancel()
                job.timer = None
            if not job.answer.done():  #  whoever waited may have been called off
                return job
        return None

    def _set_timer(self, job: Job) -> None:
        if job.deadline != NEVER:
            job.timer = self._clock.callLater(max(job.deadline - self._clock.seconds(), 0.0), self._expire, job)

    def _expire(self, job: Job) -> None:
        """It has waited here as long as it may. Nobody dials on for messages that have gone."""
        job.timer = None
        self._waiting.remove(job)
        if job.answer.done():
            return
        trouble = Unreached(Ended(End.SILENT, None, "no session in the time that an attempt has"), str(self.hop))
        job.answer.set_result(trouble)
        if self._dials and not any(not other.answer.done() for other in self._waiting):
            self._note_trouble(trouble)
            for dial in self._dials:
                dial.cancel()

    def _give(self, connection: SmtpConnection, job: Job) -> None:
        self._busy[connection] = deque((job,))
        connection.send(job.envelope, job.recipients, job.content)

    def _feed(self, connection: SmtpConnection) -> None:
        """One message behind another, when it waits and no connection of its own is on the way."""
        if self._dials or not self._waiting or 0 < connection.limits.get("MAILMAX", 0) <= connection.messages:
            return
        job = self._next_job()
        if job is not None:
            self._busy[connection].append(job)
            connection.follow(job.envelope, job.recipients, job.content)

    def _finished(self, connection: SmtpConnection, finished: Finished) -> None:
        jobs = self._busy[connection]
        job = jobs.popleft()
        if not jobs:
            del self._busy[connection]
        if finished.is_untouched and connection.messages > 1 and job.fresh_starts < MOST_FRESH_STARTS:
            job.fresh_starts += 1
            self._set_timer(job)
            self._waiting.appendleft(job)
        elif not job.answer.done():
            job.answer.set_result(finished)
        connection.remember_session()
        if connection.is_over:
            if not finished.is_untouched:
                self._limit = max(1.0, self._limit / 2)
            return
        #  One more connection after each round of successes, one less after each message that is put off; a
        #  conversation that breaks off takes half of them away.
        feedback = feedback_of(finished.outcomes.values())
        if feedback is Feedback.GOOD:
            self._limit = min(self._limit + 1 / self._limit, self._limits.most)
        elif feedback is not Feedback.NONE:
            self._limit = max(1.0, self._limit - 1)
        if not jobs:
            self._employ(connection)

    def _employ(self, connection: SmtpConnection) -> None:
        """The next message for a connection, or a rest."""
        if connection in self._employing:
            return  #  a message was settled before a byte was sent; the loop below goes on
        self._employing.add(connection)
        while connection.is_idle:
            is_used_up = 0 < connection.limits.get("MAILMAX", 0) <= connection.messages
            if is_used_up or len(self._busy) >= int(self._limit):
                connection.quit()
                break
            job = self._next_job()
            if job is None:
                self._idle.append(connection)
                connection.rest(self._limits.idle_time)
                self._went_idle(connection)
                break
            self._give(connection, job)
        self._employing.discard(connection)

    def _ended(self, connection: SmtpConnection, ended: Ended) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        log.event(events.CONNECTION_CLOSED, host=connection.host, reason=ended.end.value, detail=ended.detail,
                  messages=connection.messages)  # fmt: skip
        self._grow()
        if self.is_empty:
            self._emptied(self)

    # -- connections -----------------------------------------------------------------------------------------------

    def _grow(self) -> None:
        """As many attempts to connect as there are messages waiting, within the limit."""
        if len(self._waiting) <= len(self._dials) or len(self._busy) + len(self._dials) >= int(self._limit):
            return
        #  Every connection is busy, idle, or about to end.
        staying = len(self._busy) + sum(connection.is_idle for connection in self._idle)
        while len(self._waiting) > len(self._dials) and staying + len(self._dials) < int(self._limit):
            dial = asyncio.get_running_loop().create_task(self._dial())
            self._dials.add(dial)
            dial.add_done_callback(self._dialed)

    async def _dial(self) -> None:
        result = await self._dialer.dial(self.hop)
        if isinstance(result, Unreached):
            self._note_trouble(result)
            return
        self._back_off.note_success(self.hop)
        self._last_trouble = None
        self._open.add(result)
        self.note_limits(*_limits_in(result.offer))
        if self._heard is not None:
            self._heard(self.hop, result.offer)
        if self._pace is not None:
            result.slow_down(self._pace)
        result.finished = self._finished
        result.ended = self._ended
        result.hungry = self._feed
        log.event(events.CONNECTION_OPENED, host=result.host, tls=result.tls_version or None)
        #  Between the future and this line the server may have gone.
        if result.is_idle:
            self._employ(result)
        else:
            self._ended(result, Ended(End.LOST))

    def _dialed(self, dial: asyncio.Task[None]) -> None:
        self._dials.discard(dial)
        if not dial.cancelled() and (fault := dial.exception()) is not None:
            log.event(events.FAULT, reason=f"{type(fault).__name__}: {fault}", host=str(self.hop))
            self._note_trouble(Unreached(Ended(End.UNREACHABLE, None, "a fault of ours: see the log"), str(self.hop)))
        if not (self._open or self._dials) and self._last_trouble is not None:
            self._fail_waiting(self._last_trouble)
        if self.is_empty:
            self._emptied(self)

    def _note_trouble(self, trouble: Unreached) -> None:
        """A server that takes so many connections and no more is not asked for more at once."""
        self._last_trouble = trouble
        self._limit = float(max(1, len(self._open)))
        if not self._open and not trouble.is_remembered:
            self._back_off.note_failure(self.hop, trouble)

    def _fail_waiting(self, trouble: Unreached) -> None:
        while (job := self._next_job()) is not None:
            job.answer.set_result(trouble)


def _limits_in(offer: Extensions) -> tuple[int, int]:
    """RFC 9422 §5: recipients, and domains of recipients, in one transaction."""
    return (offer.limits.get("RCPTMAX", 0), offer.limits.get("RCPTDOMAINMAX", 0)) if offer.limits else (0, 0)
