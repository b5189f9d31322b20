"""Fast and slow agree: whatever stands between the line ends."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.smtp.line_ends import DOT, has_dotted_line, has_only_crlf


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


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4000, 4095, 4096, 4097, 70_000])
@pytest.mark.parametrize("filling", [b"a", b".", b"\r", b"\n", b"\r\n", b"x.\r\n", b".\r\n\r", b"\0", b"\xff"])
def test_a_dot_behind_a_line_end_is_found_wherever_it_stands(size: int, filling: bytes) -> None:
    plain = (filling * size)[:size].replace(DOT, b"")
    assert not has_dotted_line(plain)
    for place in {0, 1, size // 2, max(size - 1, 0), size}:
        data = plain[:place] + DOT + plain[place:]
        assert has_dotted_line(data)
        assert has_dotted_line(data[: place + 3])


def test_a_nul_hides_no_dot() -> None:
    for size in (0, 5000):
        assert has_dotted_line(b"\0" + b"a" * size + DOT)
        assert not has_dotted_line(DOT[:2] + b"\0." + b"a" * size)


def test_a_dot_that_another_piece_begins_with_is_not_in_this_one() -> None:
    #  One object behind another in memory: the search ends with the first.
    whole = b"a" * 5000 + DOT
    assert not has_dotted_line(whole[:-1]) and has_dotted_line(whole)
    for size in range(4090, 4120):
        assert not has_dotted_line(b"a" * size + b"\r\n")
