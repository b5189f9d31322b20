"""Room on the way: one alone gets nearly all, many share, a stranger always finds some, and nobody waits for ever."""

from __future__ import annotations

import asyncio

from fakes.hours import run_hours
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.delivery.destinations import Destinations
from shared.mail.outcome import Feedback

GOOD, NONE, BAD, TURNED_AWAY = Feedback


def fill(destinations: Destinations, name: str) -> int:
    """Enter until there is no room."""
    count = 0
    while destinations.enter_now(name):
        count += 1
    return count


def prove(destinations: Destinations, name: str) -> None:
    assert destinations.enter_now(name)
    destinations.leave(name, GOOD)


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
    destinations.leave("good.example", BAD)
    assert fill(destinations, "good.example") == 4


def test_a_leg_waits_for_room_where_legs_end() -> None:
    async def play() -> None:
        destinations = Destinations(4)
        assert destinations.enter_now("a")
        waiting = asyncio.create_task(destinations.enter("a"))
        await asyncio.sleep(0.1)
        destinations.leave("a", GOOD)
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
        destinations.leave("a", BAD)
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
        destinations.leave("a", GOOD)
        assert fill(destinations, "a") == 1

    run_hours(play())


def test_as_many_are_called_back_as_there_is_room_for() -> None:
    destinations = Destinations(8)
    assert destinations.room("never.heard.of") == 1
    assert fill(destinations, "a") == 4
    assert destinations.room("a") == 0
    destinations.leave("a", GOOD)
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
            destinations.leave(name, GOOD if is_well else BAD)
        assert len(busy) <= 6
    for name in busy:
        destinations.leave(name, BAD)
    assert sum(fill(destinations, str(number)) for number in range(9)) == 6


def test_a_destination_that_wants_few_at_once_gets_no_more_however_well_it_is() -> None:
    it = Destinations(100)
    assert it.enter_now("a", 2)
    it.leave("a", GOOD)
    assert it.room("a") == 2
    assert [it.enter_now("a", 2) for _ in range(3)] == [True, True, False]
    assert it.room("a") == 0
    assert it.enter_now("b")
    it.leave("a", GOOD)
    assert it.room("a") == 1
    assert it.enter_now("a", 0), "the limit is gone with the next configuration"
    assert it.room("a") > 10


#  Strangers: what they get at once follows what they bear.


def strangers(slots: int = 200) -> Destinations:
    return Destinations(slots, are_strangers=True)


def round_trip(destinations: Destinations, name: str, is_well: bool = True) -> int:
    """As many as may go at once go, and end alike."""
    count = fill(destinations, name)
    for _ in range(count):
        destinations.leave(name, GOOD if is_well else BAD)
    return count


def test_a_stranger_starts_small_and_grows_while_it_goes_well() -> None:
    destinations = strangers()
    assert [round_trip(destinations, "a") for _ in range(4)] == [4, 8, 16, 32]
    assert fill(destinations, "b") == 4, "what one bears says nothing of another"


def test_what_is_put_off_halves_it_once_a_round_and_then_it_grows_slowly() -> None:
    destinations = strangers()
    for _ in range(4):
        round_trip(destinations, "a")
    assert fill(destinations, "a") == 64
    for number in range(64):
        destinations.leave("a", BAD if number in (30, 31, 32) else GOOD)
    after = fill(destinations, "a")
    assert 30 <= after <= 50, "three of one round are one sign"
    for _ in range(after):
        destinations.leave("a", GOOD)
    assert after <= fill(destinations, "a") <= after + 2


def test_one_that_puts_everything_off_gets_one_at_a_time() -> None:
    destinations = strangers()
    counts = [round_trip(destinations, "a", is_well=False) for _ in range(5)]
    assert counts[0] == 4 and counts[-1] == 1


async def next_leg(destinations: Destinations, woken: asyncio.Event) -> float:
    """Seconds until one may set out, as it does."""
    began = asyncio.get_running_loop().time()
    while not destinations.enter_now("a"):
        assert destinations.room("a") == 0 and not await destinations.enter("a")
        woken.clear()
        await asyncio.wait_for(woken.wait(), 60)
    return asyncio.get_running_loop().time() - began


def test_one_that_turns_even_single_ones_away_gets_pauses_that_grow_and_end() -> None:
    async def play() -> None:
        woken = asyncio.Event()
        destinations = Destinations(200, True, woken.set)
        pauses = []
        for _ in range(9):
            pauses.append(round(await next_leg(destinations, woken)))
            destinations.leave("a", TURNED_AWAY)
        assert pauses == [0, 0, 0, 1, 2, 4, 8, 16, 32]
        for _ in range(8):
            await next_leg(destinations, woken)
            destinations.leave("a", GOOD)
        assert [round(await next_leg(destinations, woken)) for _ in range(2)] == [0, 0], "without pauses again"

    run_hours(play())


def test_what_says_nothing_of_a_stranger_changes_nothing() -> None:
    destinations = strangers()
    for _ in range(3):
        round_trip(destinations, "a")
    count = fill(destinations, "a")
    for _ in range(count):
        destinations.leave("a", NONE)
    assert fill(destinations, "a") == count


def test_one_that_cannot_be_reached_gets_one_at_a_time_and_no_pauses() -> None:
    destinations = strangers()
    for _ in range(9):
        assert destinations.enter_now("a")
        destinations.leave("a", BAD)
    assert fill(destinations, "a") == 1, "without a loop there was no timer to set"


def test_a_leg_under_way_somewhere_is_never_kept_from_an_idle_stranger() -> None:
    """Whatever has happened before, one leg may go to who is not resting."""
    destinations = strangers(8)
    for _ in range(10):
        round_trip(destinations, "a", is_well=False)
    assert destinations.room("a") >= 1 and destinations.enter_now("a")
