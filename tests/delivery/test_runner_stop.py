"""Stopping and disks that fail: what is in flight ends or goes back, what was delivered is not forgotten."""

from __future__ import annotations

import asyncio

import pytest
from fakes.hours import HourLoop, run_hours
from fakes.runs import LATER, NEVER, OK, Run, run

from shared.mail.outcome import Outcome
from shared.routing.lane import Lane

B, C, D = "berta@partner.example", "carl@partner.example", "dora@third.example"
SECOND = 1 / 3600


def lasting(seconds: float, outcome: Outcome = OK) -> object:
    async def carry() -> Outcome:
        await asyncio.sleep(seconds)
        return outcome

    return carry


def play(test: object) -> None:
    """As run(), for tests that stop the runner themselves."""
    loop = HourLoop()
    stage = Run(loop)

    async def main() -> None:
        await stage.runner.start()
        await test(stage)  # type: ignore[operator]

    run_hours(main(), loop)


def test_what_ends_within_the_grace_is_finished() -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(B, lasting(5))
        stage.letter(B)
        await asyncio.sleep(1)
        await stage.runner.stop(10)
        assert not stage.spool.entries[Lane.RELAY]
        assert stage.clock() - stage.loop.offset == pytest.approx(5)

    play(test)


def test_what_takes_longer_goes_back_and_is_due() -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(B, lasting(500))
        stage.letter(B)
        await asyncio.sleep(1)
        await stage.runner.stop(10)
        assert stage.ledger.kinds() == ["claim", "carry", "release"]
        [stored] = stage.spool.entries[Lane.RELAY].values()
        assert stored.due <= stage.clock()
        assert stage.said("stop-cut-short")

    play(test)


def test_a_leg_that_was_delivered_is_kept_when_the_other_is_called_off() -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(D, lasting(500))
        stage.letter(B, D)
        await asyncio.sleep(1)
        await stage.runner.stop(1)
        assert stage.events_of_trail() == [("delivered", B)]
        assert len(stage.spool.waiting(Lane.RELAY)) == 1

    play(test)


def test_nothing_is_claimed_while_stopping() -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(B, lasting(5))
        stage.letter(B)
        await asyncio.sleep(1)
        stopping = asyncio.create_task(stage.runner.stop(10))
        await asyncio.sleep(1)
        stage.letter(C)
        await stopping
        assert len(stage.carrier.carried) == 1
        assert len(stage.spool.waiting(Lane.RELAY)) == 1

    play(test)


def test_it_still_beats_while_the_last_ones_end() -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(B, lasting(2000))
        stage.letter(B)
        await asyncio.sleep(1)
        await stage.runner.stop(1950)
        assert stage.owner.beats >= 2

    play(test)


def test_a_stop_ends_even_if_the_disk_never_comes_back() -> None:
    async def test(stage: Run) -> None:
        stage.ledger.failures["retire"] = 10_000
        stage.letter(B)
        await asyncio.sleep(1)
        await stage.runner.stop(10)
        assert stage.clock() - stage.loop.offset < 30
        assert len(stage.spool.claimed(Lane.RELAY)) == 1, "left to whoever sees that we are gone"

    play(test)


def test_a_delivered_message_that_cannot_be_retired_is_not_carried_again() -> None:
    async def test(stage: Run) -> None:
        stage.ledger.failures["retire"] = 8
        stage.letter(B)
        await stage.hours(1)
        assert len(stage.carrier.carried) == 1
        assert not stage.spool.entries[Lane.RELAY]
        assert len(stage.said("spool-trouble")) == 8

    run(test)


def test_a_bounce_that_finds_the_disk_full_keeps_its_cause() -> None:
    async def test(stage: Run) -> None:
        stage.ledger.failures["deposit"] = 5
        stage.carrier.says(B, NEVER)
        stage.letter(B)
        stage.letter(C)
        await stage.hours(SECOND)
        assert len(stage.spool.claimed(Lane.RELAY)) == 1
        assert len(stage.said("message-finished")) == 1, "others go on"
        await stage.hours(1)
        assert len(stage.bounces()) == 1
        assert not stage.spool.entries[Lane.RELAY]

    run(test)


def test_a_full_disk_does_not_hold_up_what_is_only_deferred() -> None:
    async def test(stage: Run) -> None:
        stage.ledger.failures["trail"] = 1
        stage.carrier.says(B, LATER, OK)
        stage.letter(B)
        await stage.hours(SECOND)
        assert stage.ledger.kinds() == ["claim", "carry", "postpone"]
        await stage.hours(1)
        assert not stage.spool.entries[Lane.RELAY]

    run(test)


def test_a_claim_that_fails_is_tried_at_the_next_scan() -> None:
    async def test(stage: Run) -> None:
        await stage.hours(SECOND)
        stage.ledger.failures["claim"] = 1
        stage.letter(B)
        await stage.hours(SECOND)
        assert stage.carrier.carried == []
        stage.runner.rescan()
        await stage.hours(SECOND)
        assert stage.carrier.carried == [("TEST-0001", (B,))]

    run(test)
