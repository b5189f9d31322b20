"""Who may say that a message is urgent, and what makes it bulk."""

from __future__ import annotations

import pytest

from shared.mail.priority import BULK, URGENT, USUAL, decide_priority


@pytest.mark.parametrize(
    ("fields", "ours", "strangers"),
    [
        (b"", USUAL, USUAL),
        (b"Priority: urgent\r\n", URGENT, USUAL),
        (b"X-Priority: 1 (Highest)\r\n", URGENT, USUAL),
        (b"IMPORTANCE:HIGH\r\n", URGENT, USUAL),
        (b"X-MSMail-Priority: Low\r\n", BULK, BULK),
        (b"Priority: non-urgent\r\n", BULK, BULK),
        (b"Precedence: bulk\r\n", BULK, BULK),
        (b"Priority: urgent\r\nList-Id: <all.hq.example>\r\n", BULK, BULK),
        (b"X-Priority: 3\r\nX-MSMail-Priority: High\r\n", USUAL, USUAL),
        (b"Priority: whatever\r\nX-Priority: 2\r\n", URGENT, USUAL),
        (b"Priority:\r\n", USUAL, USUAL),
        (b"Subject: Priority: urgent\r\n", USUAL, USUAL),
    ],
)
def test_what_a_header_says(fields: bytes, ours: int, strangers: int) -> None:
    for header in (fields + b"\r\n", b"Subject: x\r\n" + fields, fields + b"To: a@b.example\r\n\r\n"):
        assert decide_priority(header, is_trusted=True) == ours
        assert decide_priority(header, is_trusted=False) == strangers
