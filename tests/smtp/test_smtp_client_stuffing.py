"""A message on the wire: the end of data is where we say it is, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.smtp.stuffing import as_it_is, stuffed, with_line_ends

bodies = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"..", b"a", b"\0", b"\xff", b"b" * 50])).map(
    b"".join
)


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


@pytest.mark.parametrize(
    ("body", "wire"),
    [
        (b"", b".\r\n"),
        (b"a\r\n", b"a\r\n.\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"a\r\n.b\r\n..\r\n", b"a\r\n..b\r\n...\r\n.\r\n"),
        (b"a\n.\nb\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\r.\rb", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\r\n.\rMAIL FROM:<>\r\n", b"a\r\n..\r\nMAIL FROM:<>\r\n.\r\n"),
        (b"a\r\r\n", b"a\r\n\r\n.\r\n"),
        (b"a\r", b"a\r\n.\r\n"),
        (b"\n", b"\r\n.\r\n"),
        (b"a.b\r\n", b"a.b\r\n.\r\n"),
    ],
)
def test_dots_are_doubled_and_line_ends_made_whole(body: bytes, wire: bytes) -> None:
    for size in (1, 2, 3, 100):
        assert b"".join(stuffed(cut(body, size))) == wire


def unstuffed(wire: bytes) -> bytes:
    """What a receiver by the book makes of it (RFC 5321 §4.5.2), line by line and slowly."""
    lines = wire.split(b"\r\n")
    assert lines[-2:] == [b".", b""] and b"." not in lines[:-2]
    return b"".join((line[1:] if line.startswith(b".") else line) + b"\r\n" for line in lines[:-2])


def normal(body: bytes) -> bytes:
    body = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return b"".join(line + b"\r\n" for line in body.removesuffix(b"\n").split(b"\n")) if body else b""


@settings(derandomize=True)
@given(bodies, st.integers(1, 60))
def test_no_body_ends_the_data_early_and_none_is_changed_but_in_its_line_ends(body: bytes, size: int) -> None:
    wire = b"".join(stuffed(cut(body, size)))
    assert wire.find(b"\r\n.\r\n") in (-1, len(wire) - 5)
    assert b"\n" not in wire.replace(b"\r\n", b"") and b"\r" not in wire.replace(b"\r\n", b"")
    assert unstuffed(wire) == normal(body)
    assert wire == b"".join(stuffed([body]))


@settings(derandomize=True)
@given(bodies, st.integers(1, 60))
def test_counted_octets_are_the_same_message(body: bytes, size: int) -> None:
    assert b"".join(with_line_ends(cut(body, size))) == normal(body)
    assert b"".join(as_it_is(cut(body, size))) == body


@pytest.mark.parametrize("encode", [stuffed, with_line_ends, as_it_is])
def test_the_last_piece_is_known_to_be_the_last(encode: Callable[[Iterable[bytes]], Iterator[bytes]]) -> None:
    #  A BDAT LAST of its own for nothing, or a dot in a segment of its own, would cost a round trip.
    for pieces in ([b"a\r\n", b"", b"b\r\n", b""], [b"a\r\n", b"b"], [b"a", b"", b"", b"b\r"]):
        assert len(list(encode(pieces))) == 2
    assert len(list(encode([]))) == 1
