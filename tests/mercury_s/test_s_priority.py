"""The priority that a header asks for, on its way into the envelope; with the setting off nobody looks."""

from __future__ import annotations

import pytest
from fakes.doors import open_session

from shared.mail.priority import BULK, URGENT, USUAL

MAIL = b"EHLO pc.example\r\nMAIL FROM:<a@elsewhere.example>\r\nRCPT TO:<alice@test.example>\r\nDATA\r\n"


@pytest.mark.parametrize(
    ("field", "stranger", "ours"),
    [
        (b"X-Priority: 1\r\n", USUAL, URGENT),
        (b"Precedence: bulk\r\n", BULK, BULK),
        (b"X-Priority: 1\r\nTLS-Required: no\r\n", USUAL, URGENT),
        (b"", USUAL, USUAL),
    ],
)
def test_who_may_raise_it_and_who_may_lower_it(field: bytes, stranger: int, ours: int) -> None:
    for is_ours, priority in ((False, stranger), (True, ours)):
        for is_on in (True, False):
            visit = open_session(may_relay=is_ours, priorities=is_on)
            visit.say(MAIL, field, b"Subject: x\r\n", b"\r\ntext\r\n.\r\n")
            [([envelope], content)] = visit.depositor.messages
            assert envelope.priority == (priority if is_on else USUAL)
            assert envelope.tls_optional is (b"TLS-Required" in field)
            assert content.endswith(field + b"Subject: x\r\n\r\ntext\r\n")


def test_a_message_that_ends_before_its_body_and_one_that_breaks_off() -> None:
    visit = open_session(priorities=True)
    visit.say(MAIL, b"Precedence: bulk\r\n.\r\n")
    [([envelope], _)] = visit.depositor.messages
    assert envelope.priority == BULK
    visit.say(b"MAIL FROM:<a@elsewhere.example>\r\nRCPT TO:<alice@test.example>\r\nDATA\r\nSubject: x\r\n")
    visit.session.lost()
    assert len(visit.depositor.messages) == 1
