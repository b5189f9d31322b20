"""The runner over a real spool in a temporary folder: what is in which folder after which outcome."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fakes.runs import LATER, NEVER, OK, Run, run
from fakes.spools import MESSAGE, TestSpool

from shared.mail.envelope import Envelope
from shared.routing.lane import Lane
from shared.spool.names import parse_name, standing

B, C, D = "berta@partner.example", "carl@partner.example", "dora@third.example"
SECOND = 1 / 3600


@pytest.fixture
def disk(tmp_path: Path) -> TestSpool:
    return TestSpool(tmp_path)


def letter(stage: Run, disk: TestSpool, *recipients: str) -> Envelope:
    """Deposited, and arrived just now."""
    envelope = replace(disk.envelope(*recipients), arrived=stage.clock())
    disk.deposit(envelope)
    stage.runner.rescan()
    return envelope


def test_delivered_nothing_is_left(disk: TestSpool) -> None:
    async def test(stage: Run) -> None:
        for _ in range(100):
            letter(stage, disk, B)
        await stage.hours(60 * SECOND)  #  The files have the kernel's time, and a hundred take theirs.
        assert disk.files() == []
        assert len(stage.carrier.carried) == 100

    run(test, disk=disk)


def test_deferred_it_waits_with_a_trail_and_is_finished_later(disk: TestSpool) -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(B, LATER, OK)
        letter(stage, disk, B, D)
        await stage.hours(SECOND)
        [name] = disk.names()
        assert disk.names(part="trail") == [name]
        await stage.hours(0.2)
        assert disk.files() == []
        assert [who for _, who in stage.carrier.carried].count((D,)) == 1

    run(test, disk=disk)


def test_failed_it_becomes_a_report(disk: TestSpool) -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(B, NEVER)
        cause = letter(stage, disk, B)
        await stage.hours(SECOND)
        assert disk.names() == []
        [name] = disk.names(Lane.LOCAL)
        claim = disk.lane(Lane.LOCAL).claim(name)
        assert claim is not None
        assert (claim.envelope.sender, claim.envelope.cause) == (None, cause.id)
        assert b"550 5.1.1 no such mailbox" in b"".join(claim.content.chunks())

    run(test, disk=disk)


def test_a_part_that_goes_another_way_keeps_the_priority_an_operator_gave(disk: TestSpool) -> None:
    async def test(stage: Run) -> None:
        letter(stage, disk, B, D)
        [name] = disk.names()
        claim = disk.lane().claim(name)
        assert claim is not None and claim.envelope.priority == 0
        parsed = parse_name(name)
        assert parsed is not None
        disk.lane().rename(claim, str(parsed._replace(priority=7)))
        stage.ways = {"partner.example": Lane.DIRECT}
        stage.carrier.says(D, LATER)
        stage.runner.rescan()
        await stage.hours(SECOND)
        [moved] = disk.names(Lane.DIRECT)
        assert standing(moved)[1] == 7
        part = disk.lane(Lane.DIRECT).claim(moved)
        assert part is not None and part.envelope.priority == 0, "what the sender asked for"

    run(test, disk=disk)


def test_a_part_that_goes_another_way_takes_its_past_along(disk: TestSpool) -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(B, LATER)
        stage.carrier.says(D, LATER)
        letter(stage, disk, B, D)
        await stage.hours(6)
        stage.ways = {"partner.example": Lane.DIRECT}
        stage.runner.reload(rejudge=lambda envelope, recipients: stage.rejudge(envelope, recipients))
        await stage.hours(SECOND)
        [moved] = disk.names(Lane.DIRECT)
        part = disk.lane(Lane.DIRECT).claim(moved)
        assert part is not None and part.attempts > 3
        assert [record.event for record in part.trail.records].count("warned") == 1
        assert [str(who.address) for who in part.unfinished] == [B]

    run(test, disk=disk)


def test_rerouted_it_is_in_the_other_lane(disk: TestSpool) -> None:
    async def test(stage: Run) -> None:
        stage.ways = {"partner.example": Lane.DIRECT}
        whole, part = letter(stage, disk, B, C), letter(stage, disk, B, D)
        await stage.hours(SECOND)
        assert disk.names() == []
        lane = disk.lane(Lane.DIRECT)
        claims = [claim for name in disk.names(Lane.DIRECT) if (claim := lane.claim(name))]
        assert sorted(len(claim.unfinished) for claim in claims) == [1, 2]
        assert all(b"".join(claim.content.chunks()) == MESSAGE for claim in claims)
        assert {claim.envelope.id for claim in claims} == {whole.id, part.id}
        assert [who for _, who in stage.carrier.carried] == [(D,)]

    run(test, disk=disk)


def test_stopped_it_is_back_in_new(disk: TestSpool) -> None:
    stages: list[Run] = []

    async def test(stage: Run) -> None:
        stages.append(stage)

        async def slow() -> None:
            await stage.hours(5)

        stage.carrier.says(B, slow)
        letter(stage, disk, B)
        await stage.hours(SECOND)
        assert len(disk.names(part="cur")) == 1

    run(test, disk=disk)
    assert len(disk.names()) == 1
    assert disk.names(part="cur") == []


def test_parts_of_one_message_never_meet_under_one_name(disk: TestSpool) -> None:
    """Two recipients of equal length, rerouted one after the other: both files have the same size."""

    async def test(stage: Run) -> None:
        stage.carrier.says(D, LATER)
        twin = B.replace("partner", "another")
        stage.ways = {"partner.example": Lane.DIRECT}
        letter(stage, disk, B, twin, D)
        stage.carrier.says(twin, LATER)
        await stage.hours(SECOND)
        stage.ways["another.example"] = Lane.DIRECT
        stage.runner.reload()
        await stage.hours(SECOND)
        lane = disk.lane(Lane.DIRECT)
        claims = [claim for name in disk.names(Lane.DIRECT) if (claim := lane.claim(name))]
        assert sorted(str(claim.unfinished[0].address) for claim in claims) == sorted([B, twin])

    run(test, disk=disk)
