"""Greylisting as servers in the field say it, and what is none."""

from __future__ import annotations

import pytest

from shared.mail.reply import Reply
from shared.smtp.greylist import LONGEST_WAIT, MARGIN, MOST_ATTEMPTS, USUAL_WAIT, greylist_wait


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (
            "Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help/example.org.html",
            USUAL_WAIT,
        ),
        ("Greylisted for 5 minutes", 300),
        ("Greylisting in action, please come back in 00:02:30", 150),
        ("<x@example.org>: Recipient address rejected: Greylisted for 60 seconds", 60),
        ("You have been greylisted; try again in 2 hours", LONGEST_WAIT),
        ("Gray-listed, please try again later", USUAL_WAIT),
        ("temporary grey listing, retry after 90s", 90),
    ],
)
def test_who_is_put_off_once_comes_just_after_the_time(text: str, seconds: float) -> None:
    assert greylist_wait(Reply(450, "4.7.1", text), 1) == min(seconds + MARGIN, LONGEST_WAIT)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(450, "4.2.1", "mailbox busy, try again in 5 minutes"),
        Reply(451, "4.7.1", "try again later"),
        Reply(550, "5.7.1", "greylisted for ever"),
        Reply(250, "2.0.0", "greylisted no more"),
    ],
)
def test_what_is_no_greylisting(reply: Reply) -> None:
    assert greylist_wait(reply, 1) is None


def test_who_is_put_off_again_and_again_is_left_to_the_back_off() -> None:
    reply = Reply(451, "4.7.1", "Greylisted")
    assert greylist_wait(reply, MOST_ATTEMPTS) is not None
    assert greylist_wait(reply, MOST_ATTEMPTS + 1) is None
