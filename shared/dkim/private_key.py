"""A key that signs: RSA (RFC 6376 §3.3, RFC 8301) or Ed25519 (RFC 8463), read from PEM, and the record that goes into
the DNS for it.

The key is in nothing that this object says of itself. Not here: where it is kept, and who may read it.
"""

from __future__ import annotations

import base64
import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

#  RFC 8301 §3.2: signers use 2048 bits at least; some resolvers cannot carry the record of more than 4096.
RSA_BITS = 2048
MOST_RSA_BITS = 4096


class KeyUnusable(ValueError):
    """The text is no key to sign with; the message says why, and nothing of the text."""


class PrivateKey:
    """`algorithm` is the value of a= in a signature."""

    __slots__ = ("_key", "algorithm", "bits", "kind")

    def __init__(self, key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> None:
        self._key = key
        self.kind = "rsa" if isinstance(key, rsa.RSAPrivateKey) else "ed25519"
        self.bits = key.key_size if isinstance(key, rsa.RSAPrivateKey) else 256
        self.algorithm = f"{self.kind}-sha256"

    def __repr__(self) -> str:
        return f"PrivateKey({self.kind}, {self.bits} bits)"

    def sign(self, data: bytes) -> bytes:
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        return self._key.sign(hashlib.sha256(data).digest())  #  RFC 8463 §3

    @property
    def public(self) -> str:
        """The value of p= in the record."""
        if isinstance(self._key, rsa.RSAPrivateKey):
            octets = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        else:
            octets = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return base64.b64encode(octets).decode("ascii")

    @property
    def record(self) -> str:
        """The TXT record at SELECTOR._domainkey.DOMAIN (RFC 6376 §3.6.1)."""
        return f"v=DKIM1; k={self.kind}; p={self.public}"

    def as_pem(self) -> bytes:
        """To be written into a file that only its owner can read."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def make_key(kind: str) -> PrivateKey:
    """A new one; `kind` is rsa or ed25519."""
    if kind == "ed25519":
        return PrivateKey(ed25519.Ed25519PrivateKey.generate())
    return PrivateKey(rsa.generate_private_key(65537, RSA_BITS))


def parse_private_key(pem: bytes) -> PrivateKey:
    """Raises KeyUnusable."""
    try:
        key = load_pem_private_key(pem, None)
    except TypeError:
        raise KeyUnusable("the key is encrypted with a password, and nobody is there to type it") from None
    except (ValueError, UnsupportedAlgorithm):
        raise KeyUnusable("it holds no private key in PEM") from None
    if isinstance(key, rsa.RSAPrivateKey):
        if not 1024 <= key.key_size <= MOST_RSA_BITS:
            raise KeyUnusable(f"an RSA key of {key.key_size} bits is believed by nobody: 2048 is right")
        return PrivateKey(key)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return PrivateKey(key)
    raise KeyUnusable("a key for DKIM is RSA or Ed25519")
