"""The mailboxes of a From field: what the RFC allows is read, the rest is refused with a reason."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mail.author import LONGEST_FIELD, FieldFault, parse_authors

GOOD = {
    " anna@hq.example": ["anna@hq.example"],
    " Anna <anna@hq.example>": ["anna@hq.example"],
    " Anna Q. Berg <anna@hq.example>": ["anna@hq.example"],
    ' "Berg, Anna" <anna@HQ.example>': ["anna@hq.example"],
    ' "a \\" <evil@x.example>" <anna@hq.example>': ["anna@hq.example"],
    " =?utf-8?q?Anna_Berg?= <anna@hq.example>": ["anna@hq.example"],
    " Jürgen <anna@hq.example>": ["anna@hq.example"],
    " <anna@hq.example> (office (2nd floor) \\) )": ["anna@hq.example"],
    "\r\n Anna\r\n\t<anna@hq.example>": ["anna@hq.example"],
    " anna@hq.example, Bert <bert@hq.example>": ["anna@hq.example", "bert@hq.example"],
    ' "front desk"@hq.example': ['"front desk"@hq.example'],
    " anna@[192.0.2.1]": ["anna@[192.0.2.1]"],
    " anna": ["anna"],
    " Anna <anna>": ["anna"],
    " jürgen@münchen.example": ["jürgen@münchen.example"],
}
BAD = {
    "": "ends where an address",
    " <>": "no address between",
    " Anna Berg": "without an address in angle",
    " Anna <anna@hq.example": "ends where",
    " anna@": "without a domain",
    " @hq.example": "before it",
    " anna @ hq.example": "white space or a comment inside",
    " anna(x)@hq.example": "white space or a comment inside",
    " <@relay.example:anna@hq.example>": "before it",
    " friends: anna@hq.example;": "group",
    " anna@hq.example;": "group",
    " anna@hq.example,": "ends where",
    " a@b@hq.example": "before it",
    " anna@hq.example <bert@hq.example>": "at <",
    ' "anna <anna@hq.example>': "quote that is not closed",
    " (anna@hq.example": "bracket that is not closed",
    " ((((((((((((x))))))))))))": "too deep",
    " an\\na@hq.example": "quote a name",
    " anna@hq..example": "bad address",
    " .anna@hq.example": "bad address",
    " anna\r\n@hq.example": "control character",
    " [Anna] <anna@hq.example>": "other than an address",
    " [Anna <anna@hq.example>": "square bracket",
    " " + "a" * LONGEST_FIELD: "too long",
    " a@b.example" + ",a@b.example" * 200: "too many",
}


@pytest.mark.parametrize("body", GOOD)
def test_good_fields(body: str) -> None:
    authors = parse_authors(body)
    assert [str(author.address) for author in authors] == GOOD[body]


@pytest.mark.parametrize("body", BAD)
def test_bad_fields_are_refused_with_a_reason(body: str) -> None:
    with pytest.raises(FieldFault, match=BAD[body]):
        parse_authors(body)


@pytest.mark.parametrize("body", GOOD)
def test_the_place_of_an_address_is_told(body: str) -> None:
    for author in parse_authors(body):
        written = body[author.start : author.end]
        assert written.lower() == str(author.address)


PIECES = [
    "anna",
    "@",
    "hq.example",
    "<",
    ">",
    ",",
    '"',
    "(",
    ")",
    "\\",
    " ",
    "\r\n ",
    ":",
    ";",
    "[",
    "]",
    "é",
    "\0",
    ".",
]


@settings(derandomize=True)
@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_any_text_is_read_or_refused(body: str) -> None:
    try:
        authors = parse_authors(body)
    except FieldFault as fault:
        assert str(fault).isprintable()
    else:
        assert authors
        assert all(0 <= author.start < author.end <= len(body) for author in authors)
