"""Stored passwords: scrypt (RFC 7914) in one readable line.

Here: the text form, hashing, checking. Not here: which account has which (accounts.py), how long a failed login
waits (mercury_s/auth). A check costs 16 MiB and some 50 ms by design: callers do it in a thread.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import unicodedata
from dataclasses import field

from shared.mail.record import dataclass

#  stored = "scrypt:" n ":" r ":" p ":" base64(salt) ":" base64(hash)
_STORED = re.compile(r"scrypt:([0-9]{1,8}):([0-9]{1,4}):([0-9]{1,4}):([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)\Z")
_N, _R, _P = 2**14, 8, 1
_DIGEST_SIZE = 32
SALT_SIZE = 16
LONGEST_PASSWORD = 1024  #  octets of UTF-8
#  A users file that asks for more memory than this is a mistake, and would stop the server at the first login.
_MOST_MEMORY = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """What is kept of a password. Its repr shows nothing that helps in guessing."""

    n: int
    r: int
    p: int
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    def matches(self, password: str) -> bool:
        """Whether this is the password, in time that does not depend on the answer."""
        return hmac.compare_digest(
            _scrypt(password, self.n, self.r, self.p, self.salt, len(self.digest)), self.digest
        )

    def render(self) -> str:
        salt, digest = (base64.b64encode(part).decode("ascii") for part in (self.salt, self.digest))
        return f"scrypt:{self.n}:{self.r}:{self.p}:{salt}:{digest}"


def hash_password(password: str, salt: bytes) -> PasswordHash:
    """`salt` is SALT_SIZE random bytes that no other password has."""
    return PasswordHash(_N, _R, _P, salt, _scrypt(password, _N, _R, _P, salt, _DIGEST_SIZE))


#  For logins that do not exist: checking against it takes as long as a real check and is never true,
#  as no input is known that hashes to zeros.
NO_PASSWORD = PasswordHash(_N, _R, _P, b"\0" * SALT_SIZE, b"\0" * _DIGEST_SIZE)


def parse_password_hash(text: str) -> PasswordHash:
    """The hash that `render` wrote. Raises ValueError with the reason; the text itself is never in it."""
    found = _STORED.match(text)
    if not found:
        raise ValueError("not of the form scrypt:n:r:p:salt:hash (mercury user passwd writes it)")
    n, r, p = int(found[1]), int(found[2]), int(found[3])
    if n < 2 or n & (n - 1) or not r or not p or 128 * n * r * p > _MOST_MEMORY:
        raise ValueError("its scrypt parameters are out of range")
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in (found[4], found[5]))
    except binascii.Error:
        raise ValueError("its salt or hash is not base64")
    if len(salt) < 8 or len(digest) < 16:
        raise ValueError("its salt or hash is too short")
    return PasswordHash(n, r, p, salt, digest)


def check_new_password(password: str) -> None:
    """Raises ValueError when `password` could never be used to log in (RFC 4616 §2, RFC 8265 §4.2)."""
    if not password:
        raise ValueError("the password is empty")
    if len(password.encode("utf-8", "surrogatepass")) > LONGEST_PASSWORD:
        raise ValueError(f"the password is longer than {LONGEST_PASSWORD} octets")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in password):
        raise ValueError("the password contains a control character")


def _scrypt(password: str, n: int, r: int, p: int, salt: bytes, size: int) -> bytes:
    #  RFC 8265 §4.2.2: composed and decomposed letters are the same password.
    secret = unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
    return hashlib.scrypt(secret, salt=salt, n=n, r=r, p=p, maxmem=2 * _MOST_MEMORY, dklen=size)
