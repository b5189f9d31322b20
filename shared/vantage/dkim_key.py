"""The public key in a DKIM key record (RFC 6376 §3.6.1, RFC 8463): its kind and size, or what is wrong with it. Pure.

Not here: private keys and signatures (shared/dkim).
"""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from shared.mail.record import dataclass


@dataclass(frozen=True, slots=True)
class Key:
    """`fault` in words; then the rest says nothing. `public` is the value of p=."""

    kind: str = "rsa"
    bits: int = 0
    is_testing: bool = False
    fault: str = ""
    public: str = ""


def parse_key(record: str) -> Key | None:
    """What a TXT record below _domainkey holds; None when it is no key record at all."""
    tags: dict[str, str] = {}
    for part in record.split(";"):
        name, equals, value = part.partition("=")
        if equals:
            tags.setdefault(name.strip(), "".join(value.split()))
    if "p" not in tags or tags.get("v", "DKIM1") != "DKIM1":
        return None
    if not tags["p"]:
        return Key(fault="the key is revoked (p is empty)")
    kind = tags.get("k", "rsa")
    try:
        octets = base64.b64decode(tags["p"], validate=True)
    except (binascii.Error, ValueError):
        return Key(fault="the key is not base64")
    is_testing = "y" in tags.get("t", "").split(":")
    if kind == "ed25519":
        if len(octets) != 32:
            return Key(fault="an ed25519 key has 32 octets")
        return Key(kind, 256, is_testing, public=tags["p"])
    return (
        _rsa(octets, is_testing, tags["p"]) if kind == "rsa" else Key(fault="the key is of a kind that nobody knows")
    )


def _rsa(octets: bytes, is_testing: bool, public: str) -> Key:
    try:
        key = load_der_public_key(octets)
    except (ValueError, UnsupportedAlgorithm):
        return Key(fault="the key cannot be read")
    if not isinstance(key, RSAPublicKey):
        return Key(fault="it is no RSA key")
    return Key("rsa", key.key_size, is_testing, public=public)
