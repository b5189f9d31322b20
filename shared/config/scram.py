"""The keys by which SCRAM checks a password (RFC 5802), as one readable line beside the scrypt hash.

Here: the text form, and how many iterations new keys get. Not here: the exchange (shared/smtp/sasl_scram.py).
"""

from __future__ import annotations

import base64
import binascii
import re

from shared.smtp.sasl_scram import ScramKeys, derive_keys

#  stored = "scram-sha-256:" iterations ":" base64(salt) ":" base64(stored key) ":" base64(server key)
_STORED = re.compile(r"scram-sha-256:([0-9]{1,7}):([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)\Z")
SALT_SIZE = 16
#  Far above the 4096 of RFC 7677 §4, as the line stands beside a scrypt hash and must not be the weak way in; below
#  what makes an old telephone wait at each login.
ITERATIONS = 100_000
_DIGEST_SIZE = 32


def new_scram_keys(password: str, salt: bytes) -> ScramKeys:
    """`salt` is SALT_SIZE random bytes that no other password has."""
    return derive_keys(password, salt, ITERATIONS)


def render_scram_keys(keys: ScramKeys) -> str:
    parts = [base64.b64encode(part).decode("ascii") for part in (keys.salt, keys.stored_key, keys.server_key)]
    return f"scram-sha-256:{keys.iterations}:{':'.join(parts)}"


def parse_scram_keys(text: str) -> ScramKeys:
    """What `render_scram_keys` wrote. Raises ValueError with the reason; the text itself is never in it."""
    found = _STORED.match(text)
    if not found:
        raise ValueError("not of the form scram-sha-256:iterations:salt:key:key (mercury user passwd writes it)")
    if not 4096 <= int(found[1]) <= 1_000_000:
        raise ValueError("its iterations are not from 4096 to 1000000")
    try:
        salt, stored_key, server_key = (base64.b64decode(found[n], validate=True) for n in (2, 3, 4))
    except binascii.Error:
        raise ValueError("its salt or one of its keys is not base64")
    if len(salt) < 8 or len(stored_key) != _DIGEST_SIZE or len(server_key) != _DIGEST_SIZE:
        raise ValueError("its salt or one of its keys has the wrong size")
    return ScramKeys(int(found[1]), salt, stored_key, server_key)
