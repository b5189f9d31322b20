"""CRLF becomes LF, however the bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mercury_s.local.line_ends import header_to_lf, to_lf

texts = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b".", b"\0"]), max_size=30).map(b"".join)


@settings(derandomize=True, max_examples=500)
@given(texts, st.data())
def test_any_cut_gives_the_same(text: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert b"".join(to_lf(pieces)) == text.replace(b"\r\n", b"\n")


@settings(derandomize=True)
@given(texts)
def test_byte_by_byte_gives_the_same(text: bytes) -> None:
    assert b"".join(to_lf(bytes([byte]) for byte in text)) == text.replace(b"\r\n", b"\n")


@pytest.mark.parametrize(
    ("wire", "stored"),
    [(b"", b""), (b"\r", b"\r"), (b"\r\r\n", b"\r\n"), (b"a\r\n\r\n", b"a\n\n"), (b"\n\r", b"\n\r")],
)
def test_the_ends(wire: bytes, stored: bytes) -> None:
    assert b"".join(to_lf([wire])) == stored


@settings(derandomize=True, max_examples=500)
@given(st.sampled_from([b"", b"A: b\r\n", b"A: b\r\n c\r\nD:\r\n"]), texts, st.data())
def test_a_binary_body_keeps_every_octet_however_it_is_cut(header: bytes, body: bytes, data: st.DataObject) -> None:
    text = header + b"\r\n" + body
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert b"".join(header_to_lf(pieces)) == header.replace(b"\r\n", b"\n") + b"\n" + body


def test_a_message_that_is_all_header_has_no_body_to_keep() -> None:
    assert b"".join(header_to_lf([b"A: b\r", b"\nC: d\r\n"])) == b"A: b\nC: d\n"
