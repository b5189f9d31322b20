"""The server's side of SASL exchanges (RFC 4422) as AUTH carries them (RFC 4954): PLAIN (RFC 4616) and LOGIN.

Base64 lines in, and out comes what to say next, what the client claims, or that it makes no sense. Whether the claim
is true is asked elsewhere (mercury_s/auth); the cancelling `*` is the caller's; no password is in any repr here.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import field
from typing import Protocol

from shared.mail.record import dataclass

#  RFC 4954 §4: both sides take base64 lines of up to 12288 octets.
LONGEST_RESPONSE = 12288
#  RFC 4616 §2 leaves room for 255 octets in each; nobody has a longer name or password here.
_LONGEST_NAME = 255
_LONGEST_PASSWORD = 1024


@dataclass(frozen=True, slots=True)
class Challenge:
    """Say 334 with `encoded`, and give the client's answer to `respond`."""

    data: bytes

    @property
    def encoded(self) -> str:
        return base64.b64encode(self.data).decode("ascii")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the client claims. `authzid` is empty or the same as `authcid`: nobody acts for others here."""

    authcid: str
    authzid: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Malformed:
    """The exchange has failed: 500 5.5.6 when `is_too_long`, else 501 5.5.2. `reason` repeats nothing of it."""

    reason: str
    is_too_long: bool = False


Step = Challenge | Credentials | Malformed


class Mechanism(Protocol):
    """One exchange. `start` once, then `respond` for as long as there are challenges."""

    def start(self, initial: bytes | None) -> Step:
        """`initial` is the response given with AUTH, in base64; None when there was none."""

    def respond(self, response: bytes) -> Step:
        """`response` is the client's line in base64, without its line end."""


class Plain:
    """message = [authzid] NUL authcid NUL passwd (RFC 4616 §2), in one response."""

    def start(self, initial: bytes | None) -> Step:
        return Challenge(b"") if initial is None else self.respond(initial)

    def respond(self, response: bytes) -> Step:
        message = decode(response)
        if isinstance(message, Malformed):
            return message
        parts = message.split(b"\0")
        if len(parts) != 3:
            return Malformed("PLAIN is [authzid] NUL authcid NUL password")
        return _credentials(*parts)


class Login:
    """Two questions, as old clients expect them (draft-murchison-sasl-login); a name may come with AUTH."""

    def __init__(self) -> None:
        self._name: bytes | None = None

    def start(self, initial: bytes | None) -> Step:
        return Challenge(b"Username:") if initial is None else self.respond(initial)

    def respond(self, response: bytes) -> Step:
        answer = decode(response)
        if isinstance(answer, Malformed):
            return answer
        if self._name is None:
            self._name = answer
            return Challenge(b"Password:")
        return _credentials(b"", self._name, answer)


#  By the name that EHLO offers and AUTH asks for, in upper case; in the order of the offer.
MECHANISMS: dict[str, type[Plain] | type[Login]] = {"PLAIN": Plain, "LOGIN": Login}


def decode(response: bytes) -> bytes | Malformed:
    """The octets of a base64 response; `=` stands for an empty one (RFC 4954 §4)."""
    if len(response) > LONGEST_RESPONSE:
        return Malformed("the response is longer than 12288 octets", is_too_long=True)
    if response == b"=":
        return b""
    try:
        octets = binascii.a2b_base64(response, strict_mode=True)
    except binascii.Error:
        return Malformed("the response is not base64")
    #  Bits behind the last octet are zero in the one right form (RFC 4648 §3.5); another is a mistake or a trick.
    if base64.b64encode(octets) != response:
        return Malformed("the response is not base64")
    return octets


def _credentials(authzid: bytes, authcid: bytes, password: bytes) -> Credentials | Malformed:
    if not authcid or not password:
        return Malformed("a name and a password are needed")
    if max(len(authzid), len(authcid)) > _LONGEST_NAME or len(password) > _LONGEST_PASSWORD:
        return Malformed("the name or the password is too long")
    if authzid and authzid != authcid:
        return Malformed("nobody acts for another one here")
    try:
        names, secret = authcid.decode("utf-8"), password.decode("utf-8")
    except UnicodeDecodeError:
        return Malformed("the name or the password is not UTF-8")
    if not names.isprintable() or any(character in secret for character in "\0\r\n"):
        return Malformed("the name or the password holds control characters")
    return Credentials(names, authzid.decode("utf-8"), secret)
