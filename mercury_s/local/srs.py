"""The Sender Rewriting Scheme: a forwarded message gets a sender of ours, and what comes back finds its way.

    SRS0=HHHHH=TT=far.example=who@ours            first forwarder: who@far.example
    SRS1=HHHHH=other.example==rest@ours           a later one: SRS0 `=rest` at other.example, which keeps the rest

There is no RFC. HHHHH is the beginning of an HMAC, TT the day. Letters may change their case on the way, so case
means nothing here. Pure but for the clock it is given. Not here: the key's file (srs_key.py), what is forwarded
(carrier.py), which addresses are ours (directory.py).
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Sequence

from shared.mail.address import LONGEST_LOCAL_PART, Address, AddressError, lower, parse_address

_DAY = 86400
_DAYS = 1024  #  the day is written in two digits of base 32
_LIFETIME = 21  #  days; longer than any queue keeps a message
_HASH = 5  #  digits of base 32
_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
#  A forwarder may separate by any of these behind SRS0 and SRS1; we write the first.
_SEPARATORS = "=+-"


class Srs:
    """`domain` is ours. The first of `keys` signs, all of them verify."""

    def __init__(self, keys: Sequence[bytes], domain: str, clock: Callable[[], float]) -> None:
        if not keys:
            raise ValueError("SRS needs a key")
        self.domain = domain
        self._keys = tuple(keys)
        self._clock = clock

    def rewrite(self, sender: Address) -> Address | None:
        """The address of ours that stands for `sender`; None when it would be too long or makes no sense."""
        kind, rest = _kind(sender.local)
        try:
            if kind == "SRS0":
                local = self._second(sender.ascii_domain, rest)
            elif kind == "SRS1":
                _, first, behind = rest[1:].split("=", 2)
                local = self._second(first, behind)
            else:
                local = self._first(sender)
        except (AddressError, ValueError):
            return None
        return Address(local, self.domain) if len(local.encode()) <= LONGEST_LOCAL_PART else None

    def is_srs(self, address: Address) -> bool:
        """Whether `address`, of a local domain, is one that only this could have made."""
        return address.ascii_domain == self.domain and bool(_kind(address.local)[0])

    def resolve(self, address: Address) -> Address | None:
        """The address that `address` stands for; None when it is forged, garbled or too old."""
        kind, rest = _kind(address.local)
        try:
            if kind == "SRS0":
                digest, day, domain, local = rest[1:].split("=", 3)
                if not (self._is_right(digest, day, domain, local) and self._is_recent(day)):
                    return None
                return parse_address(str(Address(local, domain)))
            if kind == "SRS1":
                digest, first, behind = rest[1:].split("=", 2)
                if not (behind[:1] in tuple(_SEPARATORS) and self._is_right(digest, first, behind)):
                    return None
                return parse_address(str(Address(f"SRS0{behind}", first)))
        except (AddressError, ValueError):
            pass
        return None

    def _first(self, sender: Address) -> str:
        day = self._today()
        day_text = _DIGITS[day >> 5] + _DIGITS[day & 31]
        domain = sender.ascii_domain
        if sender.is_literal:
            raise AddressError("an address literal has no place inside a local part")
        return f"SRS0={self._hash(self._keys[0], day_text, domain, sender.local)}={day_text}={domain}={sender.local}"

    def _second(self, first: str, behind: str) -> str:
        """`behind` is what stands behind SRS0 at the first forwarder, its separator included."""
        return f"SRS1={self._hash(self._keys[0], first, behind)}={first}={behind}"

    def _today(self) -> int:
        return int(self._clock() // _DAY) % _DAYS

    def _is_recent(self, day: str) -> bool:
        if len(day) != 2:
            return False
        then = _DIGITS.index(day[0].upper()) << 5 | _DIGITS.index(day[1].upper())
        return (self._today() - then) % _DAYS <= _LIFETIME

    def _is_right(self, digest: str, *parts: str) -> bool:
        given = digest.upper().encode()
        return any(hmac.compare_digest(given, self._hash(key, *parts).encode()) for key in self._keys)

    def _hash(self, key: bytes, *parts: str) -> str:
        text = "=".join(map(lower, parts)).encode()
        return base64.b32encode(hmac.digest(key, text, "sha256")).decode()[:_HASH]


def _kind(local: str) -> tuple[str, str]:
    """SRS0 or SRS1 and what stands behind it, its separator included; else empty and nothing."""
    start = local[:4].upper()
    if start in ("SRS0", "SRS1") and local[4:5] and local[4] in _SEPARATORS:
        return start, local[4:]
    return "", ""
