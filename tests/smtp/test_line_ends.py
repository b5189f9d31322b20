"""Fast and slow agree: whatever stands between the line ends."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.smtp.line_ends import has_only_crlf


def by_hand(data: bytes) -> bool:
    rest = data.replace(b"\r\n", b"")
    return b"\r" not in rest and b"\n" not in rest


@pytest.mark.parametrize("length", range(8))
def test_every_short_piece(length: int) -> None:
    for letters in itertools.product(b"\r\na", repeat=length):
        data = bytes(letters)
        assert has_only_crlf(data) == by_hand(data), data


@given(st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b"\x0b", b"\x0c", b"\x1c", b"\x85", b"text", b"."])))
def test_what_text_alone_takes_for_a_line_end(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    assert has_only_crlf(data) == by_hand(data)
