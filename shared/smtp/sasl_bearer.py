"""Tokens instead of passwords: the server's side of OAUTHBEARER (RFC 7628) and of XOAUTH2, which came before it.

Octets in, and out comes the token and for whom it is said to be. Whether the token is good is asked elsewhere
(mercury_s/auth); base64 and AUTH are sasl.py's. No token is in any repr here.
"""

from __future__ import annotations

import re
from dataclasses import field

from shared.mail.record import dataclass
from shared.smtp.sasl import Malformed

#  RFC 7628 §3.1   client-resp = (gs2-header kvsep *kvpair kvsep) / kvsep
#                  kvpair = key "=" value kvsep, kvsep = %x01
#  The GS2 header is "n,", for some "y,", then "a=" and whom to be; channel binding is not for bearers of tokens.
_OAUTHBEARER = re.compile(
    rb"[ny],(?:a=(?P<name>(?:[^\0\x01=,]|=2C|=3D){1,255}))?,\x01(?P<pairs>(?:[A-Za-z]+=[^\0\x01]*\x01)*)\x01"
)
_XOAUTH2 = re.compile(rb"user=(?P<name>[^\0\x01]{0,255})\x01(?P<pairs>(?:[A-Za-z]+=[^\0\x01]*\x01)*)\x01")
#  RFC 6750 §2.1   credentials = "Bearer" 1*SP b64token
_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*) *\Z", re.IGNORECASE)
_LONGEST_TOKEN = 8192

#  What a refused client is told before the 535 (RFC 7628 §3.2.2); it answers with an octet 1, or with nothing.
OAUTHBEARER_REFUSED = b'{"status":"invalid_token","schemes":"bearer"}'
XOAUTH2_REFUSED = b'{"status":"401","schemes":"bearer"}'


@dataclass(frozen=True, slots=True)
class Bearer:
    """`name` is whom the client wants to be; empty: whomever the token is for."""

    name: str
    token: str = field(repr=False)


def parse_oauthbearer(message: bytes) -> Bearer | Malformed:
    return _bearer(_OAUTHBEARER.fullmatch(message), is_escaped=True)


def parse_xoauth2(message: bytes) -> Bearer | Malformed:
    return _bearer(_XOAUTH2.fullmatch(message), is_escaped=False)


def _bearer(found: re.Match[bytes] | None, is_escaped: bool) -> Bearer | Malformed:
    if not found:
        return Malformed("not what a client with a token says")
    raw = found["name"] or b""
    if is_escaped:
        raw = raw.replace(b"=2C", b",").replace(b"=3D", b"=")
    try:
        name, pairs = raw.decode("utf-8"), found["pairs"].decode("utf-8")
    except UnicodeDecodeError:
        return Malformed("the name or the token is not UTF-8")
    if name and not name.isprintable():
        return Malformed("the name holds control characters")
    said = [value for key, _, value in (pair.partition("=") for pair in pairs.split("\x01")) if key.lower() == "auth"]
    token = _BEARER.match(said[0]) if len(said) == 1 else None
    if token is None or len(token[1]) > _LONGEST_TOKEN:
        return Malformed("there is no bearer token, or more than one, or it is too long")
    return Bearer(name, token[1])
