"""Replies of foreign servers: what is one, how much of it is kept, and what may come out of it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mail.reply import Reply
from shared.smtp.reply_parser import LONGEST_LINE, MalformedReply, ReplyParser


def parse(data: bytes, step: int = 0) -> list[Reply]:
    parser = ReplyParser()
    found = []
    for start in range(0, len(data), step or len(data) or 1):
        parser.feed(data[start : start + (step or len(data))])
        while (reply := parser.next_reply()) is not None:
            found.append(reply)
    return found


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"250 2.1.0 Sender ok\r\n", Reply(250, "2.1.0", "Sender ok")),
        (b"250 Sender ok\n", Reply(250, "", "Sender ok")),
        (b"250\r\n", Reply(250, "", "")),
        (b"250 \r\n", Reply(250, "", "")),
        (b"550 5.1.1\r\n", Reply(550, "5.1.1", "")),
        (b"550 5.1\r\n", Reply(550, "", "5.1")),
        (b"550 5.1.1.1 x\r\n", Reply(550, "", "5.1.1.1 x")),
        (b"550 2.1.1 x\r\n", Reply(550, "", "2.1.1 x")),
        (b"250 5.0.0\r\n", Reply(250, "", "5.0.0")),
        (b"354 Go ahead\r\n", Reply(354, "", "Go ahead")),
        (b"250-mx.example\r\n250-SIZE 1\r\n250 DSN\r\n", Reply(250, "", "mx.example\nSIZE 1\nDSN")),
        (b"550-5.7.1 You\r\n550-5.7.1 shall\r\n550 5.7.1 not\r\n", Reply(550, "5.7.1", "You\nshall\nnot")),
        (b"550-5.7.1 You\r\n550 5.7.2 not\r\n", Reply(550, "5.7.1", "You\n5.7.2 not")),
    ],
)
def test_a_reply_is_read_whole_and_one_octet_at_a_time(data: bytes, expected: Reply) -> None:
    assert parse(data) == [expected]
    assert parse(data, 1) == [expected]


@pytest.mark.parametrize(
    "data",
    [b"25\r\n", b"abc\r\n", b"999 x\r\n", b"2500 x\r\n", b"150 x\r\n", b"\r\n", b" 250 x\r\n", b"250\tx\r\n",
     b"-250 x\r\n", b"HTTP/1.1 400 Bad Request\r\n", "٢٥٠ x\r\n".encode(), b"250-x\r\n550 y\r\n", b"250-x\r\nabc\r\n"],
)  # fmt: skip
def test_what_is_no_reply_is_malformed(data: bytes) -> None:
    for step in (0, 1):
        with pytest.raises(MalformedReply):
            parse(data, step)


@pytest.mark.parametrize("step", [0, 1000])
def test_the_limits_hold(step: int) -> None:
    assert len(parse(b"250-x\r\n" * 99 + b"250 x\r\n", step)[0].text.split("\n")) == 100
    for endless in (b"250-x\r\n" * 101, b"250 " + b"x" * 70_000, (b"250-" + b"x" * 1990 + b"\r\n") * 40):
        with pytest.raises(MalformedReply):
            parse(endless, step)


def test_of_a_long_line_the_beginning_is_kept() -> None:
    [reply] = parse(b"550 5.1.1 " + b"x" * 10_000 + b"\r\n", 7)
    assert reply.enhanced == "5.1.1"
    assert LONGEST_LINE - 20 < len(reply.text) <= LONGEST_LINE


@pytest.mark.parametrize("evil", ["\r", "\x0b", "\x85", "\u2028", "\x1b[2J", "\0", "\x9b", "é", "\udcff"])
def test_text_comes_out_printable_on_one_line(evil: str) -> None:
    [reply] = parse(b"550 5.1.1 a" + evil.encode("utf-8", "surrogateescape") + b"b\r\n")
    assert reply.text.isascii() and reply.text.isprintable()
    assert reply.text.startswith("a") and reply.text.endswith("b")


def test_replies_in_one_segment_come_out_in_order() -> None:
    data = b"250 2.1.0 a\r\n550-5.1.1 b\r\n550 5.1.1 c\r\n354 d\r\n25"
    assert [reply.code for reply in parse(data)] == [250, 550, 354]
    parser = ReplyParser()
    parser.feed(data)
    while parser.next_reply() is not None:
        pass
    assert not parser.is_empty


texts = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=40)


@settings(derandomize=True)
@given(st.lists(st.tuples(st.integers(200, 599), st.lists(texts, min_size=1, max_size=4)), max_size=5), st.data())
def test_any_cut_gives_the_same_replies(replies: list[tuple[int, list[str]]], data: st.DataObject) -> None:
    wire = b""
    for code, lines in replies:
        for number, line in enumerate(lines):
            wire += f"{code}{' ' if number == len(lines) - 1 else '-'}{line}\r\n".encode()
    expected = parse(wire)
    assert [reply.code for reply in expected] == [code for code, _ in replies]
    assert all(reply.text.replace("\n", "").isascii() for reply in expected)
    assert parse(wire, data.draw(st.integers(1, 20))) == expected
