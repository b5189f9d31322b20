"""A dead next hop delays only its own mail, and ten thousand letters of one sender not one of another."""

from __future__ import annotations

import asyncio

from fakes.runs import LATER, OK, Run, run

from shared.mail.outcome import Deferred, Outcome
from shared.routing.lane import Lane
from shared.spool.flow import flow_of

HOLE, GOOD, FAR = "x@black.hole", "berta@partner.example", "dora@third.example"


async def never_answers() -> Outcome:
    await asyncio.sleep(300)
    return LATER


def finished(stage: Run) -> list[str]:
    return [said["id"] for said in stage.said("message-finished")]


def test_a_black_hole_delays_no_letter_to_somebody_else() -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(HOLE, never_answers)
        for _ in range(1000):
            stage.letter(HOLE)
        await asyncio.sleep(2)
        letter = stage.letter(GOOD)
        await asyncio.sleep(1)
        assert finished(stage) == [letter.id]
        assert len(stage.carrier.carried) < 20, "what waits for the black hole is not even tried"

    run(test)


def test_nor_one_that_was_there_behind_a_thousand_at_the_start() -> None:
    def before(stage: Run) -> None:
        stage.carrier.says(HOLE, never_answers)
        for _ in range(1000):
            stage.letter(HOLE)
        stage.letter(GOOD)

    async def test(stage: Run) -> None:
        await asyncio.sleep(3)
        assert finished(stage) == ["TEST-1001"]

    run(test, before=before)


def test_thirty_black_holes_leave_room_for_a_stranger() -> None:
    async def test(stage: Run) -> None:
        for number in range(30):
            stage.carrier.says(f"x@d{number}.hole", never_answers)
            for _ in range(50):
                stage.letter(f"x@d{number}.hole")
        await asyncio.sleep(2)
        letter = stage.letter(GOOD)
        await asyncio.sleep(1)
        assert finished(stage) == [letter.id]

    run(test)


def test_everything_for_the_hole_goes_when_it_answers() -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(HOLE, never_answers, never_answers, OK)
        for _ in range(1000):
            stage.letter(HOLE)
        await stage.hours(0.5)
        assert len(finished(stage)) == 1000
        assert stage.runner.waiting == stage.runner.in_flight == 0

    run(test)


def test_what_waits_for_a_hole_is_warned_about_and_given_up_like_all_mail() -> None:
    async def test(stage: Run) -> None:
        async def refuses() -> Outcome:
            await asyncio.sleep(20)
            return LATER

        stage.carrier.says(HOLE, refuses)
        for _ in range(60):
            stage.letter(HOLE)
        await stage.hours(5 * 24 + 4)
        assert not stage.spool.entries[Lane.RELAY]
        reports = [message for _, message in stage.bounces()]
        assert sum(b"Action: delayed" in message for message in reports) == 60
        assert sum(b"Action: failed" in message for message in reports) == 60

    run(test)


def test_a_message_for_the_hole_and_others_goes_to_the_others() -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(HOLE, never_answers)
        for _ in range(50):
            stage.letter(HOLE)
        await asyncio.sleep(2)
        both = stage.letter(HOLE, GOOD, FAR)
        await asyncio.sleep(2)
        assert sorted(who for id, who in stage.carrier.carried if id == both.id) == [(GOOD,), (FAR,)]
        [stored] = [each for each in stage.spool.entries[Lane.RELAY].values() if each.envelope.id == both.id]
        assert {(record.event, record.recipient) for record in stored.trail} == {
            ("delivered", GOOD),
            ("delivered", FAR),
        }
        await stage.hours(5)
        assert both.id in {id for id, who in stage.carrier.carried if who == (HOLE,)}

    run(test)


def test_a_slow_destination_does_not_slow_another() -> None:
    async def test(stage: Run) -> None:
        async def ten_seconds() -> Outcome:
            await asyncio.sleep(10)
            return OK

        stage.carrier.says(HOLE, OK, ten_seconds)
        for _ in range(1000):
            stage.letter(HOLE)
        await asyncio.sleep(30)
        letter = stage.letter(GOOD)
        await asyncio.sleep(1)
        assert letter.id in finished(stage)
        assert stage.runner.in_flight > 150, "and uses what nobody else needs"

    run(test)


def test_an_operator_who_removes_what_was_called_back_takes_no_room_away() -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(HOLE, never_answers, OK)
        for _ in range(40):
            stage.letter(HOLE)
        await asyncio.sleep(10)
        for name, stored in list(stage.spool.entries[Lane.RELAY].items()):
            if not stored.owner and stored.envelope.id > "TEST-0030":
                del stage.spool.entries[Lane.RELAY][name]
        await stage.hours(2)
        assert not stage.spool.entries[Lane.RELAY]
        assert stage.runner.waiting == 0

    run(test)


def test_a_deferral_that_says_when_is_kept_to_beside_a_hole() -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(HOLE, never_answers)
        stage.carrier.says(GOOD, Deferred(LATER.reply, retry_after=60.0), OK)
        for _ in range(50):
            stage.letter(HOLE)
        await asyncio.sleep(2)
        both = stage.letter(HOLE, GOOD)
        await asyncio.sleep(62)
        assert [who for id, who in stage.carrier.carried if id == both.id] == [(GOOD,), (GOOD,)]

    run(test)


def test_flows_are_logins_or_clients_with_their_domain() -> None:
    async def test(stage: Run) -> None:
        news = [stage.letter(GOOD, sender=f"news+{n}@list.example", client=f"10.0.0.1 pc{n}") for n in range(3)]
        assert len({flow_of(each) for each in news}) == 1
        others = [
            stage.letter(GOOD, client="10.0.0.2 pc"),
            stage.letter(GOOD, client="10.0.0.1 pc"),
            stage.letter(GOOD, client="10.0.0.1 pc", login="anna@hq.example"),
            stage.letter(GOOD, client="uid 33 www"),
            stage.letter(GOOD, client="uid 34 cron"),
            stage.letter(GOOD),
            news[0],
        ]
        assert len({flow_of(each) for each in others}) == len(others)
        assert flow_of(others[5]) == ""

    run(test)
