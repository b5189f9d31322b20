"""A greylisted message comes again when its server said, not when the back-off says; and not for ever."""

from __future__ import annotations

import pytest

from shared.delivery.settlement import History, decide_settlement
from shared.mail.address import parse_address
from shared.mail.envelope import Envelope, Recipient
from shared.mail.outcome import Deferred
from shared.mail.reply import Reply
from shared.retry.schedule import RetryPolicy
from shared.smtp.greylist import MARGIN

POLICY = RetryPolicy(first=100.0, longest=14400.0)
WHO = Recipient(parse_address("x@example.org"))
OTHER = Recipient(parse_address("y@example.org"))
GREY = Deferred(Reply(450, "4.7.1", "Greylisted for 600 seconds"), "mx.example.org")


def due(outcomes: dict[Recipient, Deferred], attempts: int = 0, policy: RetryPolicy = POLICY) -> float | None:
    envelope = Envelope("7Q2M-K4ZC", parse_address("a@hq.example"), tuple(outcomes), arrived=0.0)
    return decide_settlement(policy, envelope, outcomes, History(attempts), 0.0, 0.5, is_final=False).when


def test_it_comes_just_after_the_time_that_was_named() -> None:
    assert due({WHO: GREY}) == pytest.approx(600 + MARGIN)


def test_another_recipient_need_not_wait_for_it() -> None:
    assert due({WHO: GREY, OTHER: Deferred(Reply(451, "4.3.0", "busy"), "mx.example.org")}) == pytest.approx(100)


def test_from_the_fourth_attempt_on_the_back_off_counts() -> None:
    assert due({WHO: GREY}, attempts=3) == pytest.approx(800)


def test_what_we_say_ourselves_is_no_greylist() -> None:
    assert due({WHO: Deferred(GREY.reply)}) == pytest.approx(100)


def test_it_does_not_outlive_its_lifetime() -> None:
    assert due({WHO: GREY}, policy=RetryPolicy(first=100.0, longest=200.0, lifetime=300.0)) == pytest.approx(300)
