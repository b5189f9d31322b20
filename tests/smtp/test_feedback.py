"""What the outcomes of a message say of its server: the table."""

from __future__ import annotations

import pytest

from shared.mail.outcome import Delivered, Failed, Feedback, Outcome
from shared.mail.reply import Reply
from shared.smtp.feedback import feedback_of
from shared.smtp.judge import End, Step, judge_end, judge_reply

GOOD, NONE, BAD, TURNED_AWAY = Feedback
TAKEN, UNKNOWN = Delivered(Reply(250, "2.0.0", "ok")), Failed(Reply(550, "5.1.1", "nobody"))


def said(step: Step, words: str) -> Outcome:
    code, enhanced, text = words.split(maxsplit=2)
    return judge_reply(step, Reply(int(code), enhanced, text), "mx.example")


def ended(end: End, words: str = "") -> Outcome:
    reply = Reply(int(words[:3]), "", words[4:]) if words else None
    return judge_end(end, reply, "", "mx.example")


@pytest.mark.parametrize(
    ("outcomes", "feedback"),
    [
        ([TAKEN], GOOD),
        ([UNKNOWN], GOOD),
        ([said(Step.RCPT, "451 4.3.0 busy"), TAKEN], GOOD),
        ([], NONE),
        ([said(Step.RCPT, "452 4.2.2 the mailbox is full")], NONE),
        ([said(Step.RCPT, "450 4.1.1 not known yet")], NONE),
        ([said(Step.RCPT, "450 4.2.0 Greylisted, come again")], NONE),
        ([said(Step.RCPT, "451 4.7.1 Greylisting in action, please come back in 00:05:00")], NONE),
        ([said(Step.MAIL, "451 4.7.1 greylisted")], NONE),
        ([ended(End.REFUSED, "421 greylisted for 5 minutes")], NONE),
        ([said(Step.MAIL, "450 4.1.8 the domain of the sender is not found")], NONE),
        ([ended(End.WITHHELD)], NONE),
        ([ended(End.GOODBYE)], NONE),
        ([said(Step.RCPT, "451 4.7.1 try later")], BAD),
        ([said(Step.BODY, "452 4.3.1 no room")], BAD),
        ([said(Step.RCPT, "450 4.2.0 Greylisted"), said(Step.RCPT, "451 4.3.0 busy")], BAD),
        ([ended(End.UNREACHABLE)], BAD),
        ([ended(End.SILENT)], BAD),
        ([ended(End.LOST)], BAD),
        ([said(Step.RCPT, "421 4.7.0 too fast")], TURNED_AWAY),
        ([said(Step.MAIL, "450 4.7.1 too many messages from you")], TURNED_AWAY),
        ([said(Step.RCPT, "451 4.3.0 busy"), ended(End.CLOSING, "421 enough")], TURNED_AWAY),
        ([ended(End.REFUSED, "421 too many connections")], TURNED_AWAY),
        ([ended(End.REFUSED, "450 slow down")], TURNED_AWAY),
        ([ended(End.REFUSED, "554 not you")], TURNED_AWAY),
    ],
)
def test_what_outcomes_say_of_the_server(outcomes: list[Outcome], feedback: Feedback) -> None:
    assert feedback_of(outcomes) is feedback
