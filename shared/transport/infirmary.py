"""The next hops that mail is kept away from, because there are others: each until a probe has found it well.

A probe is a connection with all that a message would need (TLS, login) and no message. So nobody's mail waits for a
server that may not answer, and the first choice gets its mail back soon after it can take it. Not here: who is sent
here (carrier.py), how a connection is made (dial.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from shared.observe import events
from shared.observe.log import log
from shared.routing.next_hop import NextHop
from shared.transport.connection import SmtpConnection
from shared.transport.dial import Unreached

FIRST_PROBE, LAST_PROBE = 2.0, 60.0
#  A hop that no mail has been kept away from for so long is forgotten: the next message will see how it is.
MEMORY = 1800.0


@dataclass(slots=True)
class _Patient:
    trouble: Unreached
    pause: float
    missed: float  #  when it would have got mail last
    timer: Any = None
    probe: asyncio.Task[None] | None = None


class Infirmary:
    """`dial` makes a connection ready for mail; `reactor` keeps the time; `recovered` hears of each that is well."""

    def __init__(
        self,
        reactor: Any,
        dial: Callable[[NextHop], Awaitable[SmtpConnection | Unreached]],
        recovered: Callable[[NextHop], object],
    ) -> None:
        self._reactor = reactor
        self._dial = dial
        self._recovered = recovered
        self._patients: dict[NextHop, _Patient] = {}

    def __len__(self) -> int:
        return len(self._patients)

    def why_not(self, hop: NextHop) -> Unreached | None:
        """What `hop` suffers from, when mail goes elsewhere for that; None when it is well."""
        patient = self._patients.get(hop)
        if patient is None:
            return None
        patient.missed = self._reactor.seconds()
        return patient.trouble

    def admit(self, hop: NextHop, trouble: Unreached) -> None:
        if hop in self._patients:
            self._patients[hop].trouble = trouble
            return
        patient = _Patient(trouble, FIRST_PROBE, self._reactor.seconds())
        self._patients[hop] = patient
        log.event(events.HOP_PASSED_OVER, host=str(hop), reason=words_of(trouble))
        self._wait(hop, patient)

    def discharge(self, hop: NextHop) -> None:
        """It has taken mail, or a probe."""
        patient = self._patients.pop(hop, None)
        if patient is None:
            return
        log.event(events.HOP_RECOVERED, host=str(hop))
        self._recovered(hop)
        if patient.timer is not None and patient.timer.active():
            patient.timer.cancel()

    def close(self) -> None:
        for patient in self._patients.values():
            if patient.timer is not None and patient.timer.active():
                patient.timer.cancel()
            if patient.probe is not None:
                patient.probe.cancel()
        self._patients.clear()

    def _wait(self, hop: NextHop, patient: _Patient) -> None:
        patient.timer = self._reactor.callLater(patient.pause, self._begin_probe, hop, patient)
        patient.pause = min(patient.pause * 2, LAST_PROBE)

    def _begin_probe(self, hop: NextHop, patient: _Patient) -> None:
        if self._reactor.seconds() - patient.missed > MEMORY:
            self._patients.pop(hop, None)
            return
        patient.probe = asyncio.ensure_future(self._probe(hop, patient))

    async def _probe(self, hop: NextHop, patient: _Patient) -> None:
        result = await self._dial(hop)
        if isinstance(result, SmtpConnection):
            result.quit()
            self.discharge(hop)
        elif self._patients.get(hop) is patient:
            patient.trouble = result
            self._wait(hop, patient)


def words_of(trouble: Unreached) -> str:
    """What happened, for people: `smtp.isp.example[192.0.2.1]:465 cannot be reached (connection refused)`."""
    ended = trouble.ended
    about = f" ({ended.reply or ended.detail})" if ended.reply or ended.detail else ""
    return f"{trouble.host} {ended.end.value}{about}".strip()
