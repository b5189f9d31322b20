"""The runner: outcomes for each recipient, the order of consequences, and what does not stop it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from fakes.lanes import FakeOwner
from fakes.runs import HOST, LATER, MESSAGE, NEVER, OK, Run, run, who

from shared.delivery.reports import POSTMASTER, Manners
from shared.dsn.human import words_in
from shared.mail.envelope import Notify, Recipient
from shared.mail.outcome import Deferred
from shared.mail.reply import Reply
from shared.retry.policies import RetryPolicies
from shared.retry.schedule import RetryPolicy
from shared.routing.lane import Lane
from shared.spool.trail import TrailRecord

B, C, D = "berta@partner.example", "carl@partner.example", "dora@third.example"
SECOND = 1 / 3600


def test_a_message_that_is_delivered_at_once_leaves_nothing_and_syncs_nothing() -> None:
    async def test(stage: Run) -> None:
        stage.letter(B)
        await stage.hours(SECOND)
        assert stage.ledger.kinds() == ["claim", "carry", "retire"]
        [said] = stage.said("recipient-delivered")
        assert (said["id"], str(said["recipient"]), said["host"]) == ("TEST-0001", B, HOST)
        assert stage.said("message-finished") == [{"id": "TEST-0001", "lane": "relay"}]

    run(test)


def test_mail_that_was_there_before_the_start_is_found() -> None:
    async def test(stage: Run) -> None:
        await stage.hours(SECOND)
        assert stage.carrier.carried == [("TEST-0001", (B,))]

    run(test, before=lambda stage: stage.letter(B))


def test_a_deferred_message_comes_again_by_the_schedule_until_it_works() -> None:
    async def test(stage: Run) -> None:
        times: list[float] = []

        async def later() -> Deferred:
            times.append(stage.clock() - envelope.arrived)
            return LATER

        stage.carrier.says(B, later, later, later, OK)
        envelope = stage.letter(B)
        await stage.hours(1)
        assert times == [pytest.approx(t, abs=1) for t in (0, 300, 900)]
        assert not stage.spool.entries[Lane.RELAY]
        assert len(stage.said("recipient-deferred")) == 3
        assert "trail synced" not in stage.ledger.kinds(), "nothing was settled, so nothing was synced"

    run(test)


def test_the_carrier_may_say_when_to_come_again() -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(B, Deferred(LATER.reply, retry_after=7200.0), OK)
        stage.letter(B)
        await stage.hours(1.99)
        assert len(stage.carrier.carried) == 1
        await stage.hours(0.02)
        assert len(stage.carrier.carried) == 2

    run(test)


def test_each_recipient_has_its_own_end() -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(C, LATER)
        stage.carrier.says(D, NEVER)
        stage.letter(B, C, D)
        await stage.hours(SECOND)
        assert set(stage.events_of_trail()) == {("delivered", B), ("deferred", C), ("failed", D), ("bounced", D)}
        await stage.hours(0.1)
        assert stage.carrier.carried[2:] == [("TEST-0001", (C,))], "only who is unfinished is tried again"

    run(test)


def test_a_bounce_is_durable_before_its_cause_goes() -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(B, NEVER)
        stage.letter(B)
        await stage.hours(SECOND)
        assert stage.ledger.steps == [
            ("claim", "TEST-0001"),
            ("carry", "TEST-0001", "partner.example"),
            ("deposit", "local", "TEST-0002"),
            ("retire", "TEST-0001"),
        ]
        [(envelope, message)] = stage.bounces()
        assert envelope.sender is None
        assert envelope.cause == "TEST-0001"
        assert [str(each.address) for each in envelope.recipients] == ["anna@hq.example"]
        assert b"550 5.1.1 no such mailbox" in message
        assert b"Subject: hello" in message
        assert stage.said("message-bounced")[0]["report"] == "TEST-0002"

    run(test)


def test_a_bounce_is_in_the_trail_durably_before_others_are_tried_again() -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(B, NEVER)
        stage.carrier.says(C, LATER)
        stage.letter(B, C)
        await stage.hours(SECOND)
        assert stage.ledger.kinds() == ["claim", "carry", "deposit", "trail synced", "postpone"]
        assert stage.spool.trail(Lane.RELAY)[-1].detail == "report TEST-0002"

    run(test)


def test_a_delivery_is_synced_before_the_next_leg_is_tried() -> None:
    domains = [f"d{number}.example" for number in range(12)]

    async def test(stage: Run) -> None:
        stage.letter(*(f"x@{domain}" for domain in domains))
        await stage.hours(SECOND)
        kinds = stage.ledger.kinds()
        assert kinds[:11] == ["claim"] + ["carry"] * 10, "ten legs at once"
        assert kinds[11] == "trail synced"
        assert kinds.index("carry", 11) > 11
        assert kinds[-1] == "retire"

    run(test)


def test_the_postmaster_is_told_of_a_bounce_that_bounces() -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(B, NEVER)
        stage.letter(who(B, Notify.NEVER), sender="", cause="AAAA-BBBB")
        await stage.hours(SECOND)
        assert stage.ledger.kinds() == ["claim", "carry", "deposit", "retire"]
        [(envelope, message)] = stage.bounces()
        assert [each.address for each in envelope.recipients] == [POSTMASTER]
        assert (envelope.sender, envelope.cause) == (None, "TEST-0001")
        assert b"To: <postmaster@mail.hq.example>" in message
        assert b"Subject: hello" in message and b"\r\nbody" not in message, "the header only"

    run(test)


@pytest.mark.parametrize(
    ("address", "original"),
    [("postmaster", ""), (B, "rfc822;postmaster")],
    ids=["at home", "behind an alias that leads elsewhere"],
)
def test_a_report_to_the_postmaster_that_fails_is_held_and_makes_no_other(address: str, original: str) -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(address, NEVER)
        recipient = Recipient(POSTMASTER) if address == "postmaster" else replace(who(address), original=original)
        stage.letter(recipient, sender="")
        await stage.hours(SECOND)
        assert not stage.bounces()
        [stored] = stage.spool.entries[Lane.HOLD].values()
        assert [record.event for record in stored.trail] == ["failed", "held"]
        assert stage.said("bounce-held")

    run(test)


def test_a_bounce_that_bounces_is_held_where_that_is_said() -> None:
    async def test(stage: Run) -> None:
        stage.reports.manners = Manners(holds_double_bounces=True)
        stage.carrier.says(B, NEVER)
        stage.letter(B, sender="")
        await stage.hours(SECOND)
        assert not stage.bounces()
        assert stage.ledger.kinds()[-2:] == ["trail synced", "move"]
        assert len(stage.spool.waiting(Lane.HOLD)) == 1

    run(test)


def test_a_report_speaks_the_language_of_the_site() -> None:
    async def test(stage: Run) -> None:
        stage.reports.manners = Manners({"branch": words_in("de")})
        stage.carrier.says(B, NEVER)
        stage.letter(B, site="branch")
        stage.letter(B, site="hq")
        await stage.hours(SECOND)
        subjects = [message.partition(b"Subject: ")[2].partition(b"\r\n")[0] for _, message in stage.bounces()]
        assert subjects == [b"Ihre Nachricht konnte nicht zugestellt werden", b"Your message could not be delivered"]

    run(test)


def test_who_wants_to_hear_nothing_hears_nothing() -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(B, NEVER)
        stage.carrier.says(C, LATER)
        stage.letter(who(B, Notify.NEVER), C)
        await stage.hours(SECOND)
        assert not stage.bounces()
        assert stage.events_of_trail()[-1] == ("discarded", B)

    run(test)


def test_a_report_about_what_demands_tls_demands_it_too_and_shows_the_header_alone() -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(B, NEVER)
        stage.letter(B, requiretls=True)
        stage.letter(B)
        await stage.hours(SECOND)
        (demanding, short), (usual, whole) = stage.bounces()
        assert demanding.requiretls and not usual.requiretls
        assert b"text/rfc822-headers" in short and b"message/rfc822" in whole

    run(test)


def test_success_is_reported_to_who_asked() -> None:
    async def test(stage: Run) -> None:
        stage.letter(who(B, Notify.SUCCESS), C)
        await stage.hours(SECOND)
        [(_, message)] = stage.bounces()
        assert b"Action: relayed" in message
        assert C.encode() not in message

    run(test)


def test_a_message_expires_with_its_last_answer_in_the_bounce() -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(B, LATER)
        stage.letter(B)
        await stage.hours(121)
        failures = [message for _, message in stage.bounces() if b"Action: failed" in message]
        [message] = failures
        assert b"Status: 5.4.7" in message
        assert b"It was tried for 5 days" in message
        assert b"451 4.3.0 come back later" in message
        assert not stage.spool.entries[Lane.RELAY]
        assert "gave up after 5 days; last answer: 451 4.3.0 come back later" in str(
            stage.said("recipient-failed")[0]["reply"]
        )

    run(test)


def test_a_bounce_expires_sooner_than_other_mail() -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(B, LATER)
        stage.letter(B, sender="")
        await stage.hours(25)
        assert not stage.spool.entries[Lane.RELAY]
        [(envelope, _)] = stage.bounces()
        assert envelope.recipients[0].address == POSTMASTER

    run(test)


def test_the_sender_is_warned_once() -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(B, LATER)
        stage.letter(B)
        await stage.hours(30)
        [(_, message)] = stage.bounces()
        assert b"Action: delayed" in message
        assert b"Will-Retry-Until:" in message
        assert [event for event, _ in stage.events_of_trail()].count("warned") == 1

    run(test)


def test_who_waits_for_a_carrier_that_said_when_is_warned_in_time_as_well() -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(B, Deferred(Reply(451, "4.3.2", "the budget is used up"), retry_after=24 * 3600.0))
        stage.letter(B)
        await stage.hours(3.9)
        assert not stage.said("message-delayed")
        await stage.hours(0.2)
        assert len(stage.said("message-delayed")) == 1
        await stage.hours(60)
        assert len(stage.said("message-delayed")) == 1
        assert 3 <= len(stage.carrier.carried) <= 5

    run(test)


def test_what_may_have_arrived_is_said_in_the_bounce() -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(B, Deferred(LATER.reply, HOST, maybe_delivered=True), NEVER)
        stage.letter(B)
        await stage.hours(1)
        assert b"may have received" in stage.bounces()[0][1]

    run(test)


def test_a_carrier_that_raises_costs_its_leg_a_deferral_and_nobody_else() -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(B, KeyError("surprise"), OK)
        stage.letter(B, D)
        stage.letter(C)
        await stage.hours(SECOND)
        assert ("deferred", B) in stage.events_of_trail()
        assert ("delivered", D) in stage.events_of_trail()
        assert "surprise" in stage.said("carrier-fault")[0]["traceback"]
        await stage.hours(0.2)
        assert not stage.spool.entries[Lane.RELAY]
        assert stage.runner.in_flight == 0

    run(test)


@pytest.mark.parametrize("error", [RuntimeError("no plan"), asyncio.CancelledError()])
def test_a_planner_that_raises_defers(error: Any) -> None:
    async def test(stage: Run) -> None:
        stage.planner.error = error
        stage.letter(B)
        await stage.hours(SECOND)
        assert stage.events_of_trail() == [("deferred", B)]

    run(test)


def test_a_carrier_that_is_cancelled_within_defers() -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    async def test(stage: Run) -> None:
        stage.carrier.says(B, cancelled)
        stage.letter(B)
        await stage.hours(SECOND)
        assert stage.events_of_trail() == [("deferred", B)]

    run(test)


def test_a_recipient_without_an_outcome_is_deferred() -> None:
    async def silent() -> None:
        return None

    async def test(stage: Run) -> None:
        stage.carrier.says(B, silent)
        stage.letter(B, C)
        await stage.hours(SECOND)
        assert set(stage.events_of_trail()) == {("deferred", B), ("delivered", C)}
        assert stage.said("carrier-fault")[0]["reason"] == "no outcome"

    run(test)


def test_what_the_planner_settles_needs_no_carrier() -> None:
    async def test(stage: Run) -> None:
        stage.planner.settled = {B: NEVER}
        stage.letter(B)
        await stage.hours(SECOND)
        assert stage.carrier.carried == []
        assert len(stage.bounces()) == 1

    run(test)


def test_a_slow_leg_does_not_block_other_messages() -> None:
    async def slow() -> object:
        await asyncio.sleep(600)
        return OK

    async def test(stage: Run) -> None:
        stage.carrier.says(B, slow)
        stage.letter(B)
        for _ in range(50):
            stage.letter(D)
        await stage.hours(SECOND)
        assert len(stage.said("message-finished")) == 50
        assert stage.runner.in_flight == 1
        await stage.hours(0.2)
        assert len(stage.said("message-finished")) == 51

    run(test)


def test_no_more_is_in_flight_than_the_limit_says() -> None:
    most = 0

    async def test(stage: Run) -> None:
        async def slow() -> object:
            nonlocal most
            most = max(most, stage.runner.in_flight)
            await asyncio.sleep(10)
            return OK

        for number in range(40):
            stage.carrier.says(f"x@d{number}.example", slow)
            stage.letter(f"x@d{number}.example")
        await stage.hours(0.1)
        assert len(stage.said("message-finished")) == 40

    run(test, in_flight=7, claims_at_once=3)
    assert most == 7


def test_new_mail_is_not_delayed_by_a_backlog_that_is_due() -> None:
    async def test(stage: Run) -> None:
        async def a_second() -> object:
            await asyncio.sleep(1)
            return OK

        stage.carrier.says(B, a_second)
        stage.carrier.says(D, a_second)
        later = stage.clock() + 60
        for _ in range(400):
            stage.letter(B, due=later)
        await asyncio.sleep(65)
        new = stage.letter(D)
        await asyncio.sleep(3)
        assert new.id in [said["id"] for said in stage.said("message-finished")]
        assert len(stage.said("message-finished")) < 50

    run(test, in_flight=4)


def test_the_entry_of_a_dead_owner_is_taken_over() -> None:
    async def test(stage: Run) -> None:
        stage.letter(B, due=stage.clock() + 1e6)
        (stored,) = stage.spool.entries[Lane.RELAY].values()
        stored.owner, stored.due = FakeOwner("dead.1").id, stage.clock()
        await stage.hours(0.5)
        assert stage.carrier.carried == [("TEST-0001", (B,))]

    run(test)


def test_the_owner_beats() -> None:
    async def test(stage: Run) -> None:
        await stage.hours(1.01)
        assert stage.owner.beats == 4

    run(test)


def test_an_entry_with_nobody_left_is_retired_unseen() -> None:
    async def test(stage: Run) -> None:
        stage.letter(B, due=stage.clock() + 10)
        (stored,) = stage.spool.entries[Lane.RELAY].values()
        stage.carrier.says(B, NEVER)
        stored.trail.append(TrailRecord(stage.clock(), "mercury-t", "delivered", B))
        await stage.hours(0.01)
        assert stage.ledger.kinds() == ["claim", "retire"]

    run(test)


@pytest.mark.parametrize("days", [0.5, 1, 3650])
def test_a_clock_that_goes_back_does_not_strand_what_waits(days: float) -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(B, LATER, OK)
        stage.letter(B)
        await stage.hours(SECOND)
        stage.loop.jump(-days * 86400)
        stage.runner.rescan()
        await stage.hours(0.2)
        assert len(stage.carrier.carried) == 2
        assert not stage.spool.entries[Lane.RELAY]

    run(test)


@pytest.mark.parametrize("seconds", [20, 3000])
def test_a_clock_that_goes_ahead_and_back_between_two_scans_strands_nothing(seconds: float) -> None:
    """What is put off in the meantime, and at the last moment before it is over, comes when it should have."""

    async def test(stage: Run) -> None:
        stage.carrier.says(B, LATER, OK)
        stage.carrier.says(D, LATER, OK)
        await stage.hours(SECOND)
        stage.loop.jump(0.9 * 86400)
        stage.letter(B)
        await stage.hours((seconds - 1) / 3600)
        stage.letter(D)
        await stage.hours(SECOND)
        stage.loop.jump(-0.9 * 86400)
        await stage.hours(0.5)
        assert not stage.spool.entries[Lane.RELAY]

    run(test)


def test_a_clock_that_goes_ahead_bounces_nothing() -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(B, LATER)
        stage.letter(B)
        await stage.hours(0.02)
        stage.loop.jump(3650 * 86400)
        await stage.hours(1)
        assert len(stage.carrier.carried) > 2
        assert not stage.bounces()

    run(test)


def test_a_new_schedule_counts_from_the_next_attempt_on() -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(B, LATER)
        stage.letter(B)
        await stage.hours(SECOND)
        stage.runner.reload(retry=RetryPolicies(RetryPolicy(first=60, longest=60)))
        await stage.hours(0.5)
        assert len(stage.carrier.carried) > 20

    run(test)


def test_the_message_itself_is_never_changed() -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(B, LATER)
        stage.letter(B)
        await stage.hours(1)
        assert stage.spool.message(Lane.RELAY, "TEST-0001") == MESSAGE

    run(test)


def test_an_unfinished_reply_of_many_lines_stays_one_line_in_the_trail() -> None:
    async def test(stage: Run) -> None:
        stage.carrier.says(B, Deferred(Reply(451, "4.0.0", "one\ntwo\r\x1b[0m"), HOST))
        stage.letter(B)
        await stage.hours(SECOND)
        assert stage.spool.trail(Lane.RELAY)[0].reply == "451 4.0.0 one / two\\r\\x1b[0m"

    run(test)
