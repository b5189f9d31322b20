"""The table of what a reply means, and above all what it does not mean."""

from __future__ import annotations

import pytest

from shared.mail.outcome import Deferred, Delivered, Failed
from shared.mail.reply import Reply
from shared.smtp.judge import End, Step, judge_end, judge_reply


@pytest.mark.parametrize(
    ("step", "reply", "kind", "code"),
    [
        (Step.BODY, Reply(250, "2.0.0", "ok"), Delivered, 250),
        (Step.RCPT, Reply(450, "4.2.1", "greylisted"), Deferred, 450),
        (Step.RCPT, Reply(550, "5.1.1", "nobody"), Failed, 550),
        (Step.RCPT, Reply(501, "5.1.3", "bad address"), Failed, 501),
        (Step.RCPT, Reply(503, "5.5.1", "out of order"), Failed, 503),
        (Step.MAIL, Reply(550, "5.1.8", "bad sender"), Failed, 550),
        (Step.MAIL, Reply(530, "5.7.0", "log in first"), Deferred, 430),
        (Step.MAIL, Reply(535, "", "password expired"), Deferred, 435),
        (Step.RCPT, Reply(530, "5.7.1", "log in first"), Deferred, 430),
        (Step.MAIL, Reply(525, "5.7.13", "account disabled"), Deferred, 425),
        (Step.MAIL, Reply(523, "5.7.10", "encryption needed"), Deferred, 423),
        (Step.RCPT, Reply(550, "5.7.8", "who are you"), Deferred, 450),
        (Step.BODY, Reply(554, "5.7.14", "no trust"), Deferred, 454),
        (Step.DATA, Reply(503, "5.5.1", "RCPT first"), Deferred, 403),
        (Step.CHUNK, Reply(500, "5.5.1", "what?"), Deferred, 400),
        (Step.DATA, Reply(554, "5.7.1", "spam"), Failed, 554),
        (Step.RCPT, Reply(552, "", "too many"), Deferred, 452),
        (Step.RCPT, Reply(552, "5.5.3", "too many"), Deferred, 452),
        (Step.RCPT, Reply(552, "5.3.4", "too large"), Failed, 552),
        (Step.RCPT, Reply(552, "5.2.3", "too large"), Failed, 552),
        (Step.RCPT, Reply(552, "5.2.2", "full"), Deferred, 452),
        (Step.BODY, Reply(552, "5.3.4", "too large"), Failed, 552),
        (Step.BODY, Reply(550, "5.2.2", "mailbox full"), Deferred, 452),
        (Step.BODY, Reply(552, "", "Over Quota"), Deferred, 452),
    ],
)
def test_replies(step: Step, reply: Reply, kind: type, code: int) -> None:
    outcome = judge_reply(step, reply, "mx.example")
    assert type(outcome) is kind
    assert outcome.reply.code == code
    assert outcome.reply.text == reply.text
    assert outcome.host == "mx.example"


def test_a_softened_reply_says_why() -> None:
    outcome = judge_reply(Step.MAIL, Reply(535, "5.7.8", "no"), "mx.example")
    assert outcome == Deferred(Reply(435, "4.7.8", "no"), "mx.example", outcome.detail)
    assert "login" in outcome.detail


@pytest.mark.parametrize("end", list(End))
def test_an_end_never_fails_a_message(end: End) -> None:
    for reply in (None, Reply(421, "4.3.2", "later"), Reply(554, "5.7.1", "go away")):
        outcome = judge_end(end, reply, "why", "mx.example")
        assert outcome.reply.is_transient
        assert reply is None or reply.text in outcome.reply.text


def test_an_end_says_who_and_why() -> None:
    outcome = judge_end(End.LOST, None, "the connection broke", "mx.example", maybe_delivered=True)
    assert outcome.reply.text == "mx.example lost the connection (the connection broke)"
    assert outcome.maybe_delivered
