"""Logging in: right or wrong takes the same work, a wrong one is answered late, and nobody locks out another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from people import ANNA, CARL, PASSWORD, People, account

from shared.config.passwords import PasswordHash
from shared.web.doorkeeper import FIRST_PAUSE, LONGEST_PAUSE, MOST_AT_ONCE, Busy, Doorkeeper


class Door:
    """A doorkeeper, and the pauses it made."""

    def __init__(self, pause: Callable[[float], Awaitable[object]] | None = None) -> None:
        self.people = People()
        self.pauses: list[float] = []
        self.executor = ThreadPoolExecutor(max_workers=1)
        people = self.people
        self.keeper = Doorkeeper(
            lambda: people.settings, people.lookup, self.executor, people.clock, pause or self._note
        )

    async def _note(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def knock(self, person: str, password: str) -> str | None:
        found = asyncio.run(self.keeper.check(person, password))
        return found.key if found else None


def test_who_is_let_in() -> None:
    door = Door()
    assert door.knock(ANNA, PASSWORD) == ANNA
    assert door.knock("Anna@HQ.example", PASSWORD) == ANNA
    assert door.pauses == []
    for person, password in (
        (ANNA, "wrong"), (ANNA, ""), (ANNA, PASSWORD + "x" * 2000), (CARL, PASSWORD), ("dora@hq.example", PASSWORD),
        ("anna", PASSWORD), ("", ""), ("\x00@\u202e", PASSWORD), ("x" * 5000, PASSWORD),
    ):  # fmt: skip
        assert door.knock(person, password) is None
    assert len(door.pauses) == 9
    door.people.known[ANNA] = account(ANNA, disabled=True)
    assert door.knock(ANNA, PASSWORD) is None


def test_a_stranger_costs_the_same_work_as_a_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[PasswordHash] = []

    def matches(stored: PasswordHash, password: str) -> bool:
        checked.append(stored)
        return False

    monkeypatch.setattr(PasswordHash, "matches", matches)
    door = Door()
    door.knock(ANNA, "wrong")
    door.knock("dora@hq.example", "wrong")
    door.knock("no address", "wrong")
    assert len(checked) == 3 and {(each.n, each.r, each.p) for each in checked} == {(2**14, 8, 1)}


def test_the_more_are_wrong_the_later_and_the_right_one_is_never_late() -> None:
    door = Door()
    for _ in range(8):
        door.knock("dora@hq.example", "guess")
    assert door.pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0]
    assert door.knock(ANNA, PASSWORD) == ANNA and len(door.pauses) == 8
    door.people.now += 601
    door.knock(ANNA, "slip of the pen")
    assert door.pauses[-1] == FIRST_PAUSE < LONGEST_PAUSE


def test_only_so_many_wait_at_once() -> None:
    async def crowd() -> None:
        ended = asyncio.Event()
        door = Door(lambda seconds: ended.wait())
        waiting = [asyncio.ensure_future(door.keeper.check(ANNA, "wrong")) for _ in range(MOST_AT_ONCE)]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await door.keeper.check(ANNA, PASSWORD)
        ended.set()
        assert await asyncio.gather(*waiting) == [None] * MOST_AT_ONCE
        assert await door.keeper.check(ANNA, PASSWORD)

    asyncio.run(crowd())
