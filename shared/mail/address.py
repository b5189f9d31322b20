"""A mailbox address: parsed once at the door, never re-read from text inside.

Here: the grammar of Mailbox (RFC 5321 §4.1.2, RFC 6531 §3.3), equality, the wire form. Not here: paths with
their angle brackets and parameters (shared/smtp/grammar.py), who is local (mercury_s/local).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

import idna

from shared.mail.light import light

#  RFC 5321 §4.1.2   Mailbox       = Local-part "@" ( Domain / address-literal )
#                    Local-part    = Dot-string / Quoted-string
#                    Dot-string    = Atom *("." Atom)
#  RFC 5322 §3.2.3   atext; RFC 6531 §3.3 adds every non-ASCII character of well-formed UTF-8.
_ATEXT = r"A-Za-z0-9!#$%&'*+\-/=?^_`{|}~"
_DOT_STRING = re.compile(rf"[{_ATEXT}\u0080-\U0010ffff]+(?:\.[{_ATEXT}\u0080-\U0010ffff]+)*\Z")
#                    Quoted-string = DQUOTE *( %d32-33 / %d35-91 / %d93-126 / "\" %d32-126 ) DQUOTE
_QUOTED = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e\u00a0-\U0010ffff]|\\[\x20-\x7e])*)"')
#  RFC 5321 §4.1.2   Domain = sub-domain *("." sub-domain); RFC 1035 limits a label to 63 octets.
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\Z")
_LITERAL = re.compile(r"\[(?:(IPv6:)([0-9A-Fa-f:.]+)|([0-9.]+))\]\Z", re.IGNORECASE)

LONGEST_LOCAL_PART = 64  #  octets, RFC 5321 §4.5.3.1.1
LONGEST_DOMAIN = 255  #  octets, RFC 5321 §4.5.3.1.2
LONGEST_PATH = 256  #  octets with the angle brackets, RFC 5321 §4.5.3.1.3


def lower(text: str) -> str:
    """`text` in lower case, but for letters that would become ASCII by it, such as the Kelvin sign: they stay, since
    an address that looks like another one must not become it (RFC 5891 refuses them in a domain)."""
    if text.isascii():
        return text.lower()
    return "".join([_lower_letter(letter) for letter in text])


def _lower_letter(letter: str) -> str:
    lowered = letter.lower()
    return lowered if letter.isascii() or not any(map(str.isascii, lowered)) else letter


class AddressError(ValueError):
    """The text is no mailbox address; the message says what is wrong with it, in words fit for a 5xx reply."""


@light
@dataclass(frozen=True)
class Address:
    """`local` without quotes; `domain` in lower case, or an address literal in brackets.

    `domain` is empty only in the bare `postmaster` that RFC 5321 §4.5.1 allows as a recipient.
    """

    local: str
    domain: str

    @cached_property
    def ascii_domain(self) -> str:
        """The domain as the DNS knows it (A-labels). Two addresses share a domain when these are equal."""
        return to_ascii(self.domain)

    @property
    def is_ascii(self) -> bool:
        """False when SMTPUTF8 is needed to name this address (RFC 6531)."""
        return self.local.isascii() and self.domain.isascii()

    @property
    def is_literal(self) -> bool:
        return self.domain.startswith("[")

    @property
    def key(self) -> str:
        """What mailboxes are looked up by: local part and domain without regard to case."""
        return f"{lower(self.local)}@{self.ascii_domain}"

    def __str__(self) -> str:
        """The wire form, the local part quoted where it must be. It is kept: every station of a message asks."""
        try:
            known: str = self.__dict__["_text"]
            return known
        except KeyError:
            local = self.local
        if not _DOT_STRING.match(local):
            local = '"' + re.sub(r'(["\\])', r"\\\1", local) + '"'
        text = f"{local}@{self.domain}" if self.domain else local
        self.__dict__["_text"] = text
        return text


def to_ascii(domain: str) -> str:
    """`domain` in A-labels and lower case: mapped as UTS 46 has it (wide letters, other full stops; not transitional,
    so that ß stays ß), then encoded as RFC 5891 demands. Raises AddressError when a label is no IDN label."""
    if domain.isascii():
        return domain.lower()
    return _encode_idn(domain)


@lru_cache(maxsize=4096)
def _encode_idn(domain: str) -> str:
    try:
        encoded = idna.encode(_mapped(domain), strict=True, std3_rules=True).decode("ascii")
    except (idna.IDNAError, UnicodeError) as error:
        raise AddressError("the domain is not a valid internationalized name") from error
    if not _DOMAIN.match(encoded):
        raise AddressError("the domain is not a valid internationalized name")
    return encoded


def _mapped(domain: str) -> str:
    """What is written with wide letters, other full stops, letters that are no letters, as the name that is meant."""
    try:
        return idna.uts46_remap(domain, std3_rules=True, transitional=False)
    except (idna.IDNAError, UnicodeError) as error:
        raise AddressError("the domain is not a valid internationalized name") from error


def parse_domain(text: str) -> str:
    """The domain or address literal in `text`, canonical (lower case). Raises AddressError."""
    if text.startswith("["):
        return _parse_literal(text)
    if text.isascii():
        if len(text) > LONGEST_DOMAIN:
            raise AddressError("the domain is longer than 255 octets")
        if not _DOMAIN.match(text):
            raise AddressError("the domain is not a valid name")
        return text.lower()
    domain = _mapped(text)
    if domain.isascii():
        return parse_domain(domain)
    if len(domain.encode()) > LONGEST_DOMAIN or len(to_ascii(domain)) > LONGEST_DOMAIN:
        raise AddressError("the domain is longer than 255 octets")
    return domain


def _parse_literal(text: str) -> str:
    found = _LITERAL.match(text)
    if not found:
        raise AddressError("the address literal is neither [IPv4] nor [IPv6:...]")
    try:
        if found[1]:
            return f"[IPv6:{ipaddress.IPv6Address(found[2]).compressed}]"
        return f"[{ipaddress.IPv4Address(found[3])}]"
    except ValueError:
        raise AddressError("the address literal holds no valid IP address")


def parse_local_part(text: str) -> str:
    """The local part in `text` without its quotes. Raises AddressError."""
    if len(text) > LONGEST_LOCAL_PART or len(text.encode("utf-8", "surrogatepass")) > LONGEST_LOCAL_PART:
        raise AddressError("the local part is longer than 64 octets")
    if _DOT_STRING.match(text):
        return text
    quoted = _QUOTED.fullmatch(text)
    if not quoted:
        raise AddressError("the local part is malformed")
    local = re.sub(r"\\(.)", r"\1", quoted[1])
    if not local:
        raise AddressError("the local part is empty")
    return local


def parse_address(text: str) -> Address:
    """The mailbox in `text`, which is `local@domain` and nothing else. Raises AddressError."""
    if text.startswith('"'):
        quoted = _QUOTED.match(text)
        at = quoted.end() if quoted else -1
        if not quoted or text[at : at + 1] != "@":
            raise AddressError("the quoted local part does not end in a quote and an @")
    else:
        at = text.find("@")
        if at < 0:
            raise AddressError("there is no @ and no domain")
    return Address(parse_local_part(text[:at]), parse_domain(text[at + 1 :]))
