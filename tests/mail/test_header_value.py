"""One field's value out of a header, however it is written."""

from __future__ import annotations

import pytest

from shared.mail.header_value import value_of


@pytest.mark.parametrize(
    ("header", "value"),
    [
        (b"From: a\r\nMessage-ID: <1@x>\r\nTo: b\r\n\r\n", "<1@x>"),
        (b"Message-Id: <1@x>\r\nTo: b\r\n\r\n", "<1@x>"),
        (b"MESSAGE-ID:<1@x>\r\n\r\n", "<1@x>"),
        (b"From: a\r\nmessage-id:\r\n <1@x>\r\n\r\n", "<1@x>"),
        (b"From: a\r\nMessage-ID: <1@x>", "<1@x>"),
        (b"From: a\r\nX-Message-ID: <1@x>\r\n\r\n", ""),
        (b"From: a\r\n message-id: <1@x>\r\n\r\n", ""),
        (b"", ""),
    ],
)
def test_a_message_id(header: bytes, value: str) -> None:
    assert value_of(header, b"message-id") == value


def test_a_folded_subject_is_one_line() -> None:
    assert value_of(b"To: x\r\nSubject: one\r\n\ttwo\r\n three\r\n\r\n", b"subject") == "one\ttwo three"
    assert value_of(b"To: x\r\nSubject: \xff\r\n\r\n", b"subject") == "\ufffd"
