"""A change of the route while mail is queued: what waits moves, at once and without an attempt."""

from __future__ import annotations

import asyncio

import pytest
from fakes.runs import LATER, MESSAGE, OK, Run, run

from shared.mail.outcome import Outcome
from shared.routing.lane import Lane

B, D = "berta@partner.example", "dora@third.example"
SECOND = 1 / 3600


def test_a_claimed_entry_that_belongs_elsewhere_is_moved_and_not_carried() -> None:
    async def test(stage: Run) -> None:
        stage.ways = {"partner.example": Lane.DIRECT}
        stage.letter(B)
        await stage.hours(SECOND)
        assert stage.ledger.kinds() == ["claim", "move"]
        assert [each.id for each in stage.spool.waiting(Lane.DIRECT)] == ["TEST-0001"]
        assert stage.said("recipient-moved")[0]["to"] == "direct"

    run(test)


def test_a_reload_moves_what_waits_for_tomorrow() -> None:
    async def test(stage: Run) -> None:
        for _ in range(100):
            stage.letter(B, due=stage.clock() + 86400)
        stage.letter(D, due=stage.clock() + 86400)
        await stage.hours(SECOND)
        stage.ways = {"partner.example": Lane.DIRECT}
        stage.runner.reload()
        await stage.hours(SECOND)
        assert len(stage.spool.waiting(Lane.DIRECT)) == 100
        assert stage.carrier.carried == []
        [stored] = stage.spool.entries[Lane.RELAY].values()
        assert stored.envelope.recipients[0].address.domain == "third.example"
        assert stored.due > stage.clock() + 80000, "who stays keeps his time"
        assert all(each.due <= stage.clock() for each in stage.spool.entries[Lane.DIRECT].values())
        await stage.hours(24)
        assert len(stage.carrier.carried) == 1, "and is not forgotten"

    run(test)


def test_a_reload_in_the_middle_of_another_counts() -> None:
    async def test(stage: Run) -> None:
        for _ in range(100):
            stage.letter(B, due=stage.clock() + 86400)
        stage.runner.reload()
        await asyncio.sleep(0)
        stage.ways = {"partner.example": Lane.HOLD}
        stage.runner.reload()
        await stage.hours(SECOND)
        assert len(stage.spool.waiting(Lane.HOLD)) == 100

    run(test)


def test_some_recipients_become_an_entry_of_their_own() -> None:
    async def test(stage: Run) -> None:
        stage.ways = {"partner.example": Lane.DIRECT}
        stage.carrier.says(D, LATER)
        whole = stage.letter(B, D)
        await stage.hours(SECOND)
        kinds = stage.ledger.kinds()
        assert kinds.index("deposit") < kinds.index("trail synced") < kinds.index("carry")
        [moved] = stage.spool.waiting(Lane.DIRECT)
        assert [str(each.address) for each in moved.recipients] == [B]
        assert (moved.id, moved.sender, moved.arrived) == (whole.id, whole.sender, whole.arrived)
        assert stage.spool.message(Lane.DIRECT, moved.id) == MESSAGE
        assert stage.events_of_trail() == [("moved", B), ("deferred", D)]
        assert stage.spool.trail(Lane.RELAY)[0].detail == "to direct"
        await stage.hours(1)
        assert all(who == (D,) for _, who in stage.carrier.carried)

    run(test)


def test_recipients_that_part_into_two_other_lanes_both_arrive() -> None:
    async def test(stage: Run) -> None:
        stage.ways = {"partner.example": Lane.DIRECT, "third.example": Lane.HOLD}
        stage.letter(B, D)
        await stage.hours(SECOND)
        assert not stage.spool.entries[Lane.RELAY]
        assert len(stage.spool.waiting(Lane.DIRECT)) == len(stage.spool.waiting(Lane.HOLD)) == 1
        assert stage.carrier.carried == []

    run(test)


def test_what_is_under_way_moves_when_it_is_deferred() -> None:
    async def test(stage: Run) -> None:
        async def slow() -> Outcome:
            await asyncio.sleep(60)
            return LATER

        stage.carrier.says(B, slow)
        stage.letter(B)
        await asyncio.sleep(30)
        stage.ways = {"partner.example": Lane.DIRECT}
        stage.runner.reload()
        await asyncio.sleep(40)
        [envelope] = stage.spool.waiting(Lane.DIRECT)
        assert envelope.id == "TEST-0001"
        assert len(stage.carrier.carried) == 1

    run(test)


@pytest.mark.parametrize("answer", [LATER, ValueError("a fault of ours")])
def test_what_is_on_its_way_back_into_the_lane_moves_as_well(answer: Outcome | Exception) -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(B, answer)
        stage.ledger.failures["postpone"] = 1
        stage.letter(B)
        await asyncio.sleep(0.5)
        assert stage.said("spool-trouble") and stage.spool.claimed(Lane.RELAY), "it is tried again in a second"
        stage.ways = {"partner.example": Lane.HOLD}
        stage.runner.reload()
        await asyncio.sleep(0.2)
        stage.ways = {"partner.example": Lane.DIRECT}
        stage.runner.reload()
        await asyncio.sleep(1)
        assert [envelope.id for envelope in stage.spool.waiting(Lane.DIRECT)] == ["TEST-0001"]
        assert len(stage.carrier.carried) == 1

    run(test)


def test_who_stays_keeps_his_time_when_the_route_of_others_changes() -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(D, LATER)
        stage.ledger.failures["postpone"] = 1
        stage.letter(D)
        await asyncio.sleep(0.5)
        stage.ways = {"partner.example": Lane.DIRECT}
        stage.runner.reload()
        await asyncio.sleep(1)
        [stored] = stage.spool.entries[Lane.RELAY].values()
        assert stored.due > stage.clock() + 60 and not stored.owner
        await stage.hours(2)
        assert len(stage.carrier.carried) > 1, "and is not forgotten"

    run(test)


def test_a_rejudge_that_raises_keeps_the_entry_where_it_is() -> None:
    async def test(stage: Run) -> None:
        def broken(*_: object) -> dict[Lane, tuple[object, ...]]:
            raise ValueError("no such lane")

        stage.letter(B, due=stage.clock() + 600)
        stage.runner.reload(rejudge=broken)
        await stage.hours(SECOND)
        assert len(stage.spool.waiting(Lane.RELAY)) == 1
        stage.runner.reload(rejudge=stage.rejudge)
        await stage.hours(1)
        assert stage.carrier.carried == [("TEST-0001", (B,))]
        assert stage.said("carrier-fault")[0]["where"] == "recheck"

    run(test)


def test_what_is_split_off_late_knows_its_attempts_and_that_the_sender_was_warned() -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(B, LATER)
        stage.carrier.says(D, LATER)
        stage.letter(B, D)
        await stage.hours(6)
        assert len(stage.said("message-delayed")) == 1
        tried = stage.events_of_trail().count(("deferred", B))
        stage.ways = {"partner.example": Lane.DIRECT}
        stage.runner.reload(rejudge=lambda envelope, recipients: stage.rejudge(envelope, recipients))
        await stage.hours(SECOND)
        past = [(record.event, record.recipient) for record in stage.spool.trail(Lane.DIRECT)]
        assert past.count(("deferred", B)) == tried and past.count(("warned", "")) == 1
        assert not any(recipient == D for _, recipient in past)
        kinds = stage.ledger.kinds()
        assert kinds.index("foretell") < kinds.index("deposit", kinds.index("foretell"))

    run(test)


def test_a_disk_that_is_full_while_splitting_loses_nobody() -> None:
    async def test(stage: Run) -> None:
        stage.ways = {"partner.example": Lane.DIRECT}
        stage.ledger.failures["deposit"] = 3
        stage.ledger.failures["trail synced"] = 2
        stage.carrier.says(D, OK)
        stage.letter(B, D)
        await stage.hours(0.1)
        assert [str(each.recipients[0].address) for each in stage.spool.waiting(Lane.DIRECT)] == [B]
        assert stage.carrier.carried == [("TEST-0001", (D,))]
        assert not stage.spool.entries[Lane.RELAY]

    run(test)


def test_a_reload_that_leaves_the_routes_alone_opens_nothing() -> None:
    async def test(stage: Run) -> None:
        rejudge = stage.rejudge
        stage.runner.reload(rejudge=rejudge)
        await stage.hours(SECOND)
        claims = stage.ledger.kinds().count("claim")
        stage.runner.reload(rejudge=rejudge)
        await stage.hours(SECOND)
        assert stage.ledger.kinds().count("claim") == claims == 0

    run(test, before=lambda stage: stage.letter(B, due=stage.clock() + 3600))
