"""Encoded words (RFC 2047): header text beyond ASCII, for servers and readers that know ASCII only.

Text is a str in which octets of no known charset are surrogates (PEP 383); those go out as unknown-8bit (RFC 1428),
so that nobody is told a charset that is not so. Not here: which part of a field may be encoded (ascii_header.py).
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator

#  RFC 2047 §2 allows 75; shorter ones leave room for the name of the field.
_LONGEST = 60
_WORD = re.compile(r"=\?[!-<>@-~]+\?[bBqQ]\?[!->@-~]*\?=\Z")
#  §5 (3): what may stand unencoded in a phrase may stand so everywhere.
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_Q = [chr(octet) if octet in _PLAIN else f"={octet:02X}" for octet in range(256)]
_Q[32] = "_"


def decode_octets(raw: bytes) -> str:
    """UTF-8 if it is that; otherwise what is not ASCII is kept as it is, in surrogates."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("ascii", "surrogateescape")


def charset_of(text: str) -> str:
    """In which it is said: utf-8, or unknown-8bit."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "unknown-8bit"
    return "utf-8"


def octets_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def encode_text(text: str, whole: bool = False) -> str:
    """`text` in ASCII. `whole`: every word is encoded, not only from the first that needs it to the last. Encoded
    words that stand in it stay; white space beside them is encoded, as readers leave it out between two (§6.2)."""
    pieces = re.split(r"([ \t]+)", text)
    out: list[str] = []
    at = 0
    while at < len(pieces):
        if at % 2 or _stays(pieces[at], whole):
            out.append(pieces[at])
            at += 1
            continue
        end = _end_of_run(pieces, at, whole)
        run = "".join(pieces[at : end + 1])
        if len(out) > 1 and _WORD.match(out[-2]):
            run = out[-1] + run
        if end + 2 < len(pieces) and _WORD.match(pieces[end + 2]):
            run += pieces[end + 1]
        out.append(" ".join(_encoded(run)))
        at = end + 1
    return "".join(out)


def _stays(word: str, whole: bool) -> bool:
    return not word or bool(_WORD.match(word)) or (not whole and word.isascii())


def _end_of_run(pieces: list[str], start: int, whole: bool) -> int:
    end = start
    for at in range(start, len(pieces), 2):
        if _WORD.match(pieces[at]):
            break
        if pieces[at] and (whole or not pieces[at].isascii()):
            end = at
    return end


def _encoded(text: str) -> Iterator[str]:
    """Each word holds whole characters (§5)."""
    charset = charset_of(text)
    octets = octets_of(text)
    is_short = sum(len(_Q[octet]) for octet in octets) <= len(octets) * 4 // 3 + 12
    head = f"=?{charset}?{'q' if is_short else 'b'}?"
    room = _LONGEST - len(head) - 2
    part = b""
    for letter in text:
        more = octets_of(letter)
        longer = part + more
        width = sum(len(_Q[octet]) for octet in longer) if is_short else (len(longer) + 2) // 3 * 4
        if width > room:
            yield f"{head}{_render(part, is_short)}?="
            part = more
        else:
            part = longer
    yield f"{head}{_render(part, is_short)}?="


def _render(octets: bytes, quoted: bool) -> str:
    return "".join([_Q[octet] for octet in octets]) if quoted else b64encode(octets).decode()
