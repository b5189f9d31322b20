"""SCRAM keys for logins that do not exist, so that the exchange with them looks like any other.

The same login has the same salt at every try, on every worker and after every restart; without the secret nobody can
tell it from a real one.
"""

from __future__ import annotations

import contextlib
import hmac
import os
from pathlib import Path

from shared.config.scram import ITERATIONS, SALT_SIZE
from shared.smtp.sasl_scram import ScramKeys

_SIZE = 32


class StandIn:
    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def keys(self, name: str) -> ScramKeys:
        """`name` in one spelling: a real account has one salt for all of them, too."""
        salt, stored_key, server_key = (
            hmac.digest(self._secret, f"{use}:{name}".encode("utf-8", "surrogatepass"), "sha256")
            for use in ("salt", "stored", "server")
        )
        return ScramKeys(ITERATIONS, salt[:SALT_SIZE], stored_key, server_key)


def load_secret(path: Path) -> bytes:
    """The secret in `path`, made at the first time; of several that make it at once, one wins. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        if len(secret := path.read_bytes()) == _SIZE:
            return secret
        path.unlink()  #  cut short by a full disk
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(os.urandom(_SIZE))
    try:
        with contextlib.suppress(FileExistsError):
            os.link(part, path)
    finally:
        part.unlink()
    return path.read_bytes()
