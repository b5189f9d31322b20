"""Room on the way: one alone gets nearly all, many share, a stranger always finds some, and nobody waits for ever."""

from __future__ import annotations

import asyncio

from fakes.hours import run_hours
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.delivery.destinations import Destinations


def fill(destinations: Destinations, name: str) -> int:
    """Enter until there is no room."""
    count = 0
    while destinations.enter_now(name):
        count += 1
    return count


def prove(destinations: Destinations, name: str) -> None:
    assert destinations.enter_now(name)
    destinations.leave(name, True)


def test_who_has_not_shown_that_it_takes_mail_gets_a_small_share() -> None:
    assert fill(Destinations(200), "black.hole") == 4


def test_who_takes_mail_gets_nearly_everything_when_alone() -> None:
    destinations = Destinations(200)
    prove(destinations, "good.example")
    assert fill(destinations, "good.example") == 160


def test_a_stranger_finds_room_whatever_dozens_of_others_hold() -> None:
    destinations = Destinations(200)
    for number in range(40):
        fill(destinations, f"hole{number}.example")
    assert destinations.enter_now("stranger.example")


def test_trouble_makes_the_share_small_again() -> None:
    destinations = Destinations(200)
    prove(destinations, "good.example")
    assert destinations.enter_now("good.example")
    destinations.leave("good.example", False)
    assert fill(destinations, "good.example") == 4


def test_a_leg_waits_for_room_where_legs_end() -> None:
    async def play() -> None:
        destinations = Destinations(4)
        assert destinations.enter_now("a")
        waiting = asyncio.create_task(destinations.enter("a"))
        await asyncio.sleep(0.1)
        destinations.leave("a", True)
        assert await waiting

    run_hours(play())


def test_a_leg_waits_a_moment_where_none_ends_and_the_next_not_even_that() -> None:
    async def play() -> None:
        loop = asyncio.get_running_loop()
        destinations = Destinations(4)
        assert destinations.enter_now("a")
        began = loop.time()
        assert not await destinations.enter("a")
        assert 0 < loop.time() - began < 1
        began = loop.time()
        assert not await destinations.enter("a")
        assert loop.time() == began
        destinations.leave("a", False)
        assert destinations.enter_now("a"), "whoever gave up holds no place"

    run_hours(play())


def test_who_is_called_off_while_waiting_holds_no_place() -> None:
    async def play() -> None:
        destinations = Destinations(4)
        assert fill(destinations, "a") == 4
        waiting = asyncio.create_task(destinations.enter("a"))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        destinations.leave("a", True)
        assert fill(destinations, "a") == 1

    run_hours(play())


def test_as_many_are_called_back_as_there_is_room_for() -> None:
    destinations = Destinations(8)
    assert destinations.room("never.heard.of") == 1
    assert fill(destinations, "a") == 4
    assert destinations.room("a") == 0
    destinations.leave("a", True)
    assert destinations.room("a") == 4 * 5 - 3
    destinations.expect("a", 17)
    assert destinations.room("a") == 0
    destinations.arrived("a")
    assert destinations.room("a") == 1


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans(), st.booleans()), max_size=200))
def test_no_slot_is_ever_lost_or_given_twice(steps: list[tuple[str, bool, bool]]) -> None:
    destinations = Destinations(6)
    busy: list[str] = []
    for name, is_entering, is_well in steps:
        if is_entering and destinations.enter_now(name):
            busy.append(name)
        elif not is_entering and name in busy:
            busy.remove(name)
            destinations.leave(name, is_well)
        assert len(busy) <= 6
    for name in busy:
        destinations.leave(name, False)
    assert sum(fill(destinations, str(number)) for number in range(9)) == 6


def test_a_destination_that_wants_few_at_once_gets_no_more_however_well_it_is() -> None:
    it = Destinations(100)
    assert it.enter_now("a", 2)
    it.leave("a", is_well=True)
    assert it.room("a") == 2
    assert [it.enter_now("a", 2) for _ in range(3)] == [True, True, False]
    assert it.room("a") == 0
    assert it.enter_now("b")
    it.leave("a", is_well=True)
    assert it.room("a") == 1
    assert it.enter_now("a", 0), "the limit is gone with the next configuration"
    assert it.room("a") > 10
