"""Message content: only CRLF.CRLF ends it, dots come off once, and no cut of the input changes anything."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.smtp.data import ChunkDecoder, DotDecoder

#  Bodies made of the octets that matter, so that every combination of ends and dots turns up.
TROUBLE = st.lists(st.sampled_from([b"\r\n", b".", b"\r", b"\n", b"x", b"\0", b"\r\n.", b"\xff"]), max_size=14).map(
    b"".join
)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


def decode(parts: list[bytes], limit: int = 10_000) -> tuple[bytes, object, bytes]:
    dots = DotDecoder(limit)
    content = rest = b""
    for part in parts:
        if dots.is_ended:
            rest += part
            continue
        content += dots.feed(part)
        if dots.is_ended:
            rest = dots.rest
    return (b"" if dots.fault else content), dots.fault, rest if dots.is_ended else b"<open>"


def line_by_line(data: bytes) -> tuple[bytes, bool, bytes]:
    """The plainest reading of RFC 5321 §4.5.2, to compare with."""
    content = b""
    while True:
        end = data.find(b"\r\n")
        if end < 0:
            return content, True, b"<open>"
        line, data = data[:end], data[end + 2 :]
        if line == b".":
            strict = content.replace(b"\r\n", b"")
            return content, b"\r" in strict or b"\n" in strict or b"\0" in strict, data
        content += line.removeprefix(b".") + b"\r\n"


@settings(derandomize=True, max_examples=600)
@given(TROUBLE, st.lists(st.integers(0, 60), max_size=6))
def test_any_cut_equals_one_piece_equals_the_plain_reading(body: bytes, cuts: list[int]) -> None:
    stream = body + b"\r\n.\r\nREST"
    content, fault, rest = decode([stream])
    assert decode(pieces(stream, cuts)) == (content, fault, rest)
    assert decode([bytes([octet]) for octet in stream]) == (content, fault, rest)
    expected, spoiled, expected_rest = line_by_line(stream)
    assert rest == expected_rest
    assert bool(fault) == spoiled
    if not spoiled:
        assert content == expected


def test_an_empty_message_ends_at_once() -> None:
    assert decode([b".\r\n"]) == (b"", None, b"")


def test_size_counts_content_only() -> None:
    assert decode([b"12345678\r\n.\r\n"], limit=10)[1] is None
    assert decode([b"123456789\r\n.\r\n"], limit=10)[1] is not None


@settings(derandomize=True, max_examples=400)
@given(TROUBLE, st.lists(st.integers(0, 40), max_size=5))
def test_chunks_are_counted_not_parsed(body: bytes, cuts: list[int]) -> None:
    stream = body + b"QUIT\r\n"
    chunks = ChunkDecoder(10_000)
    chunks.begin(len(body))
    content = rest = b""
    for part in pieces(stream, cuts):
        if chunks.missing:
            got, behind = chunks.feed(part)
            content += got
            rest += behind
        else:
            rest += part
    chunks.finish()
    assert rest == b"QUIT\r\n"
    strict = body.replace(b"\r\n", b"")
    assert (chunks.fault is None) == (not (b"\r" in strict or b"\n" in strict or b"\0" in strict))
    if chunks.fault is None:
        assert content == body


def test_a_line_end_may_be_split_between_two_chunks() -> None:
    chunks = ChunkDecoder(100)
    chunks.begin(2)
    chunks.feed(b"a\r")
    chunks.begin(2)
    chunks.feed(b"\nb")
    chunks.finish()
    assert chunks.fault is None
