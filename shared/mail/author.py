"""The mailboxes of a From or Sender field (RFC 5322 §3.4), read strictly, with the place of each address.

Here: tokens and their grammar; white space and comments may stand wherever the RFC lets them, but not inside an
address. Groups, source routes and the other obsolete forms are refused: what we let our people write, nobody behind
us should read otherwise. Bounded in length and number.
"""

from __future__ import annotations

import re

from shared.mail.address import Address, AddressError, parse_address, parse_local_part
from shared.mail.record import dataclass

LONGEST_FIELD = 16 * 1024  #  octets
MOST_MAILBOXES = 100
_DEEPEST_COMMENT = 10

#  RFC 5322 §3.2.3, with dots, and with what is not ASCII (RFC 6532 §3.2; in names, anything that people send).
_WORD = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~.\x80-\U0010ffff]+")
_QUOTED = re.compile(r'"(?:[^"\\\r\n\0]|\\[^\r\n\0]|\r\n[ \t])*"')
_LITERAL = re.compile(r"\[[^\[\]\\\s]*\]")
_SPACE = re.compile(r"(?:[ \t]|\r\n(?=[ \t]))+")


class FieldFault(ValueError):
    """The field is malformed; the message says what is wrong, in words for the one who wrote it."""


@dataclass(frozen=True, slots=True)
class Author:
    """One mailbox. `address` has no domain if none was written. `start` and `end` are the address in the text."""

    address: Address
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Token:
    """`kind` is word, quoted, literal, end, or the special character itself."""

    kind: str
    text: str
    start: int
    end: int


def parse_authors(body: str) -> tuple[Author, ...]:
    """The mailboxes in the body of a field (what stands behind the colon, still folded). Raises FieldFault."""
    if len(body) > LONGEST_FIELD:
        raise FieldFault("is too long")
    tokens = _tokens(body)
    authors = []
    position = 0
    while True:
        author, position = _mailbox(tokens, position)
        authors.append(author)
        if len(authors) > MOST_MAILBOXES:
            raise FieldFault("names too many addresses")
        if tokens[position].kind == "end":
            return tuple(authors)
        if tokens[position].kind != ",":
            raise _unexpected(tokens[position])
        position += 1


def _mailbox(tokens: list[_Token], position: int) -> tuple[Author, int]:
    """RFC 5322 §3.4   mailbox = name-addr / addr-spec; name-addr = [display-name] "<" addr-spec ">"."""
    start = position
    while tokens[position].kind in ("word", "quoted"):
        position += 1
    if tokens[position].kind != "<":
        return _address(tokens, start)
    author, position = _address(tokens, position + 1)
    if tokens[position].kind != ">":
        raise _unexpected(tokens[position])
    return author, position + 1


def _address(tokens: list[_Token], position: int) -> tuple[Author, int]:
    """RFC 5322 §3.4.1   addr-spec = local-part "@" domain; the domain may be missing in a submission."""
    local = tokens[position]
    if local.kind not in ("word", "quoted"):
        raise _unexpected(local)
    at = tokens[position + 1]
    if at.kind != "@":
        if at.kind in ("word", "quoted"):
            raise FieldFault("has a name without an address in angle brackets")
        return Author(_bare(local), local.start, local.end), position + 1
    domain = tokens[position + 2]
    if domain.kind not in ("word", "literal"):
        raise FieldFault("has an address without a domain behind its @")
    if local.end != at.start or at.end != domain.start:
        raise FieldFault("has white space or a comment inside an address")
    try:
        address = parse_address(f"{local.text}@{domain.text}")
    except AddressError as error:
        raise FieldFault(f"has a bad address: {error}")
    return Author(address, local.start, domain.end), position + 3


def _bare(local: _Token) -> Address:
    try:
        return Address(parse_local_part(local.text), "")
    except AddressError as error:
        raise FieldFault(f"has a bad address: {error}")


def _unexpected(token: _Token) -> FieldFault:
    match token.kind:
        case "end":
            return FieldFault("ends where an address should stand")
        case ":" | ";":
            return FieldFault("names a group, or has a colon or semicolon outside of quotes")
        case ">":
            return FieldFault("has no address between its angle brackets")
        case "@":
            return FieldFault("has an @ without a name before it; quote a name that holds one")
        case kind:
            return FieldFault(f"has something other than an address where one should stand, at {kind}")


def _tokens(body: str) -> list[_Token]:
    tokens: list[_Token] = []
    position = 0
    while position < len(body):
        character = body[position]
        if found := _SPACE.match(body, position):
            position = found.end()
            continue
        if character == "(":
            position = _end_of_comment(body, position)
            continue
        token = _token(body, position, character)
        tokens.append(token)
        position = token.end
    end = _Token("end", "", len(body), len(body))
    return [*tokens, end, end, end]  #  so that looking ahead needs no check


def _token(body: str, position: int, character: str) -> _Token:
    if found := _WORD.match(body, position):
        return _Token("word", found[0], position, found.end())
    if character == '"':
        found = _QUOTED.match(body, position)
        if not found:
            raise FieldFault("has a quote that is not closed")
        return _Token("quoted", found[0], position, found.end())
    if character == "[":
        found = _LITERAL.match(body, position)
        if not found:
            raise FieldFault("has a square bracket that is not closed; quote a name that holds one")
        return _Token("literal", found[0], position, found.end())
    if character in "<>,:;@":
        return _Token(character, character, position, position + 1)
    shown = character if character.isprintable() else "a control character"
    raise FieldFault(f"holds {shown} where it cannot stand; quote a name that holds one")


def _end_of_comment(body: str, position: int) -> int:
    """Comments nest (RFC 5322 §3.2.2)."""
    depth = 0
    while position < len(body):
        character = body[position]
        if character == "\\":
            position += 1
        elif character == "(":
            depth += 1
            if depth > _DEEPEST_COMMENT:
                raise FieldFault("has comments too deep in each other")
        elif character == ")":
            depth -= 1
            if depth == 0:
                return position + 1
        position += 1
    raise FieldFault("has a bracket that is not closed")
