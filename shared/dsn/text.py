"""Foreign text made fit for a report: no line break, no control, no character that hides or turns others around.

Also xtext (RFC 3461 §4), in which ENVID and ORCPT come, and the forms of internationalized addresses (RFC 6533 §3).
"""

from __future__ import annotations

import re

from shared.mail.address import Address
from shared.mail.reply import printable

#  RFC 3461 §4   xtext = *( xchar / hexchar ), hexchar = ASCII "+" immediately followed by two upper case digits
_HEXCHAR = re.compile(r"\+([0-9A-F]{2})")
#  RFC 6533 §3   EmbeddedUnicodeChar = %x5C.78 "{" HEXPOINT "}", for what is not in QCHAR
_NOT_QCHAR = re.compile(r"[^\x21-\x2a\x2c-\x3c\x3e-\x5b\x5d-\x7e]")
#  RFC 3464 §2.1.2: address-type and the like are atoms.
_ATOM = re.compile(r"[A-Za-z0-9-]{1,40}\Z")


def readable(text: str) -> str:
    """`text` as people read it: letters of every script, but nothing unprintable."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escape(letter) for letter in text)


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def decode_xtext(text: str) -> str:
    """What `text` stands for; a hexchar that stands for nothing printable stays as it is."""

    def decode(found: re.Match[str]) -> str:
        letter = chr(int(found[1], 16))
        return letter if " " <= letter <= "~" else found[0]

    return _HEXCHAR.sub(decode, text)


def embed_unicode(text: str) -> str:
    """utf-8-addr-xtext (RFC 6533 §3): an internationalized address in ASCII."""
    return _NOT_QCHAR.sub(lambda found: f"\\x{{{ord(found[0]):X}}}", text)


def typed_address(address: Address, is_global: bool) -> str:
    """`type; address` for Final-Recipient (RFC 3464 §2.3.2, RFC 6533 §3)."""
    if address.local.isascii() and (address.is_ascii or not is_global):
        domain = address.domain if address.is_ascii else address.ascii_domain
        return f"rfc822; {printable(str(Address(address.local, domain)))}"
    text = str(address)
    if is_global and text.isprintable():
        return f"utf-8; {text}"
    return f"utf-8; {embed_unicode(text)}"


def typed_original(original: str, is_global: bool) -> str:
    """`type; address` for Original-Recipient out of an ORCPT value; empty when there is none to show."""
    kind, semicolon, xtext = original.partition(";")
    if not semicolon or not xtext or not _ATOM.match(kind):
        return ""
    if kind.lower() == "utf-8":
        fits = xtext.isprintable() and (is_global or xtext.isascii())
        return f"{kind}; {xtext if fits else _embed_rest(xtext)}"
    return f"{kind}; {printable(decode_xtext(xtext))}"


def _embed_rest(text: str) -> str:
    """What is already embedded stays; only what would not fit becomes so."""
    return "".join(letter if "!" <= letter <= "~" else f"\\x{{{ord(letter):X}}}" for letter in text)
