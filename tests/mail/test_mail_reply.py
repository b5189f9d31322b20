"""Replies on the wire: printable ASCII, at most 512 octets a line, one code."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mail.reply import Reply


def test_one_line() -> None:
    assert Reply(250, "2.1.0", "Sender OK").render() == b"250 2.1.0 Sender OK\r\n"


def test_several_lines() -> None:
    assert Reply(250, "", "mx\nSIZE 1").render() == b"250-mx\r\n250 SIZE 1\r\n"


@pytest.mark.parametrize(
    ("code", "enhanced"), [(100, ""), (600, ""), (250, "5.1.1"), (550, "550"), (550, "5.1"), (550, "5.1.1\n")]
)
def test_impossible_replies(code: int, enhanced: str) -> None:
    with pytest.raises(ValueError):
        Reply(code, enhanced, "x")


@settings(derandomize=True, max_examples=300)
@given(st.text(max_size=700), st.sampled_from(["", "5.1.1"]))
def test_whatever_is_echoed_the_wire_stays_clean(text: str, enhanced: str) -> None:
    lines = Reply(550, enhanced, text).render().split(b"\r\n")
    assert lines.pop() == b""
    for line in lines:
        assert len(line) <= 510
        assert line.startswith(b"550")
        assert all(0x20 <= octet <= 0x7E for octet in line)


def test_as_text_it_is_one_printable_line() -> None:
    assert str(Reply(550, "5.1.1", "no\nsuch \x1b[31muser")) == "550 5.1.1 no / such \\x1b[31muser"
