"""The operator's process dies at each system call of each verb: the message is never lost, and nobody who is to have
it goes without. A dead owner's claim is adopted; then the verb has been done, or can be given again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest
from fakes.spools import MESSAGE, NOW, TestSpool
from fakes.syscalls import CHANGING, CrashNow, crash, spied

from shared.delivery.reports import Reports
from shared.mail.address import parse_address
from shared.routing.lane import Lane
from shared.routing.table import RoutingTable
from shared.service import operator, operator_letters
from shared.service.judge import Judge
from shared.service.operator import Hands
from shared.service.operator_letters import Desk
from shared.spool.queue_entry import QueueEntry, list_entries

ONE, TWO, NEW = "one@x.example", "two@x.example", "new@x.example"
TABLE = RoutingTable("mail.hq.example", frozenset({"hq.example"}))


class Inline(Executor):
    """Does it at once, in the caller's thread: a crash is the caller's."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except OSError as error:
            future.set_exception(error)
        return future


async def _nobody(entry: QueueEntry, owner: str) -> str:
    return f"held by {owner}"


def hands_of(place: TestSpool) -> tuple[Hands, Desk]:
    inline = Inline()
    hands = Hands(place.spool, place.owner, TABLE, inline, "root", "why", lambda *a, **k: None, _nobody, lambda: NOW)
    reports = Reports(
        "mail.hq.example", place.depositor, Judge(TABLE).letters, inline, lambda: NOW, lambda *a, **k: None
    )
    return hands, Desk(place.depositor, reports)


VERBS: dict[str, Callable[[Hands, Desk, QueueEntry], Any]] = {
    "retry": lambda hands, desk, entry: operator.retry(hands, entry),
    "hold": lambda hands, desk, entry: operator.hold(hands, entry),
    "remove": lambda hands, desk, entry: operator.remove(hands, entry),
    "reroute": lambda hands, desk, entry: operator.reroute(hands, entry, "direct"),
    "priority": lambda hands, desk, entry: operator.set_priority(hands, entry, 5),
    "drop": lambda hands, desk, entry: operator.drop(hands, entry, TWO),
    "bounce": lambda hands, desk, entry: operator_letters.bounce(hands, desk, entry),
    "change": lambda hands, desk, entry: operator_letters.change(hands, desk, entry, TWO, parse_address(NEW)),
}


def act(place: TestSpool, verb: str) -> None:
    (entry,) = list_entries(place.spool)
    asyncio.run(VERBS[verb](*hands_of(place), entry))


#  Those that share their steps with another are looked at with `-m proof`.
ALIKE = {"retry", "hold", "reroute", "drop"}


@pytest.mark.parametrize(
    "verb", [pytest.param(verb, marks=[pytest.mark.proof] if verb in ALIKE else []) for verb in VERBS]
)
def test_dying_at_any_call_loses_nobody(tmp_path: Path, verb: str) -> None:
    for at in range(1, 200):
        place = TestSpool(tmp_path / str(at))
        place.depositor.next_id()
        place.deposit(place.envelope(ONE, TWO), MESSAGE)
        try:
            with spied(at, crash, CHANGING):
                act(place, verb)
        except CrashNow:
            os.close(place.owner._descriptor)
            place.owner._descriptor = -1
            check(verb, TestSpool(tmp_path / str(at)), at)
            continue
        check(verb, place, 0)
        return
    raise AssertionError("it never came to an end")


def check(verb: str, after: TestSpool, at: int) -> None:
    """`at` is 0 when the verb came to its end."""
    for lane in Lane:
        after.lane(lane).adopt()
    entries = list(list_entries(after.spool, tuple(Lane)))
    waiting = {address for entry in entries if entry.envelope and entry.sender for address in entry.recipients}
    told = any(entry.envelope and entry.envelope.cause for entry in entries)
    assert list(after.spool.corrupt.iterdir()) == []
    assert ONE in waiting or (verb == "bounce" and told), f"crash {at}: {ONE} is lost"
    if verb == "change":
        assert {TWO, NEW} & waiting, f"crash {at}: neither the old nor the new is to have it"
    elif verb not in ("drop", "bounce"):
        assert TWO in waiting, f"crash {at}: {TWO} is lost"
    if not at:
        assert (TWO in waiting) == (verb not in ("drop", "bounce", "change"))
