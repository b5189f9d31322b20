"""How a client proves who it is: AUTH PLAIN, LOGIN and SCRAM-SHA-256 (RFC 4954, 4616, 5802, 7677).

A proof answers the server's challenges with bytes; it knows nothing of replies or connections. Whether a password may
be sent at all (never without TLS) is decided in client.py. Not here: the server's side (sasl.py).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

#  Above this the server makes us compute for longer than a login is worth (RFC 7677 §4 asks for at least 4096).
MOST_ITERATIONS = 200_000
_SERVER_FIRST = re.compile(r"r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/=]+),i=([1-9][0-9]{0,9})(?:,.*)?\Z")


class ProofFailed(Exception):
    """The server's challenge makes no sense, or the server does not know the password itself."""


@dataclass(frozen=True, slots=True)
class Login:
    """`nonce` is fresh for each connection: printable ASCII without a comma, at least 16 characters."""

    user: str
    password: str = field(repr=False)
    nonce: str = field(repr=False, default="")


class Proof(Protocol):
    """One exchange. `initial` goes with the AUTH command (None: the server speaks first)."""

    initial: bytes | None

    def answer(self, challenge: bytes) -> bytes:
        """Raises ProofFailed."""

    @property
    def is_convinced(self) -> bool:
        """The server, too, has shown what it had to show."""


class PlainProof:
    """RFC 4616: message = [authzid] NUL authcid NUL passwd."""

    is_convinced = True

    def __init__(self, login: Login) -> None:
        self.initial: bytes | None = b"\0" + _prepared(login.user) + b"\0" + _prepared(login.password)

    def answer(self, challenge: bytes) -> bytes:
        raise ProofFailed("the server asks for more than PLAIN has to say")


class LoginProof:
    """The LOGIN that everybody has and no RFC describes: two questions, whatever their words."""

    is_convinced = True

    def __init__(self, login: Login) -> None:
        self.initial: bytes | None = None
        self._answers = [login.password.encode(), login.user.encode()]

    def answer(self, challenge: bytes) -> bytes:
        if not self._answers:
            raise ProofFailed("the server asks a third question of LOGIN")
        return self._answers.pop()


class ScramProof:
    """RFC 5802 with SHA-256 and without channel binding. The password itself never leaves."""

    def __init__(self, login: Login) -> None:
        user = _prepared(login.user).decode().replace("=", "=3D").replace(",", "=2C")
        self._password = _prepared(login.password)
        self._nonce = login.nonce
        self._client_first = f"n={user},r={login.nonce}"
        self._expected = b""
        self.is_convinced = False
        self.initial: bytes | None = f"n,,{self._client_first}".encode()

    def answer(self, challenge: bytes) -> bytes:
        return self._final(challenge) if not self._expected else self._check(challenge)

    def _final(self, challenge: bytes) -> bytes:
        server_first = _text(challenge)
        found = _SERVER_FIRST.match(server_first)
        if not found or not found[1].startswith(self._nonce) or found[1] == self._nonce:
            raise ProofFailed("the server's first SCRAM message is malformed or not an answer to ours")
        if int(found[3]) > MOST_ITERATIONS:
            raise ProofFailed(f"the server asks for {found[3]} SCRAM iterations")
        salted = hashlib.pbkdf2_hmac("sha256", self._password, _decode(found[2].encode()), int(found[3]))
        final = f"c=biws,r={found[1]}"
        exchange = f"{self._client_first},{server_first},{final}".encode()
        client_key = _hmac(salted, b"Client Key")
        signature = _hmac(hashlib.sha256(client_key).digest(), exchange)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self._expected = b"v=" + base64.b64encode(_hmac(_hmac(salted, b"Server Key"), exchange))
        return f"{final},p={base64.b64encode(proof).decode()}".encode()

    def _check(self, challenge: bytes) -> bytes:
        if not hmac.compare_digest(challenge.split(b",")[0], self._expected):
            raise ProofFailed("the server could not show that it knows the password")
        self.is_convinced = True
        return b""


#  The strongest first. CRAM-MD5 is not among them: it would make the server keep the password in clear.
PROOFS: dict[str, type[PlainProof] | type[LoginProof] | type[ScramProof]] = {
    "SCRAM-SHA-256": ScramProof,
    "PLAIN": PlainProof,
    "LOGIN": LoginProof,
}


def choose_mechanisms(offered: Sequence[str], login: Login) -> list[str]:
    """The mechanisms that both sides know, the strongest first."""
    return [name for name in PROOFS if name in offered and (name != "SCRAM-SHA-256" or login.nonce)]


def encode_answer(answer: bytes) -> bytes:
    """Base64 as it stands on a line; "=" alone is the empty initial response (RFC 4954 §4)."""
    return base64.b64encode(answer)


def decode_challenge(text: str) -> bytes:
    """The bytes of a 334 reply. Raises ProofFailed."""
    return _decode(text.strip().encode())


def _decode(encoded: bytes) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ProofFailed("a challenge is not base64")


def _text(challenge: bytes) -> str:
    try:
        return challenge.decode()
    except UnicodeDecodeError:
        raise ProofFailed("a challenge is not UTF-8")


def _prepared(text: str) -> bytes:
    """SASLprep (RFC 4013) as far as it changes anything people type: NFKC."""
    return unicodedata.normalize("NFKC", text).encode()


def _hmac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")
