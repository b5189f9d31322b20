"""Encoded words (RFC 2047): shown as a mail program shows them, whatever a stranger writes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mercury_s.encoded_word import decode_words


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("plain", "plain"),
        ("=?utf-8?B?TG90dGVyeQ==?=", "Lottery"),
        ("=?utf-8?B?TG90dGVyeQ?=", "Lottery"),
        ("=?ISO-8859-1?q?caf=E9_au_lait?= today", "café au lait today"),
        ("=?utf-8?q?Lot?= =?utf-8?q?tery?=", "Lottery"),
        ("=?utf-8*en?q?hello?=", "hello"),
        ("a =?utf-8?q?b?= c", "a b c"),
        ("=?utf-8?B?A?=", "=?utf-8?B?A?="),
        ("=?zip?B?AAAA?=", "=?zip?B?AAAA?="),
        ("=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
        ("=?utf-8?q?=FF?=", "\ufffd"),
    ],
)
def test_words(written: str, shown: str) -> None:
    assert decode_words(written) == shown


@settings(derandomize=True)
@given(
    st.lists(st.sampled_from(["=?", "?=", "utf-8", "?q?", "?B?", "=E9", "TG90", " ", "\t", "é", "*"])).map("".join)
)
def test_any_text_is_text(text: str) -> None:
    assert isinstance(decode_words(text), str)
