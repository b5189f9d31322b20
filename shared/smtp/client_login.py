"""How a client proves who it is: the logins, and AUTH PLAIN, LOGIN and EXTERNAL (RFC 4954, 4616, 4422).

A proof answers the server's challenges with bytes; it knows nothing of replies or connections. SCRAM is
client_scram.py's, tokens are client_bearer.py's, which proof is chosen is client_mechanisms.py's. Not here: the
server's side (sasl.py).
"""

from __future__ import annotations

import base64
import binascii
import unicodedata
from dataclasses import field
from typing import Protocol

from shared.mail.record import dataclass


class ProofFailed(Exception):
    """The server's challenge makes no sense, or the server does not know the password itself."""


@dataclass(frozen=True, slots=True)
class Login:
    """`nonce` is fresh for each connection: printable ASCII without a comma, at least 16 characters.

    What there is to prove it with: `password`, or `token` (the bearer token of an OAuth account), and the certificate
    that TLS has shown (`has_certificate`). `denied` are mechanisms that are not used here whatever is offered. `host`
    and `port` are where we meant to connect to; a token says so (RFC 7628 §3.1).
    """

    user: str
    password: str = field(repr=False, default="")
    nonce: str = field(repr=False, default="")
    token: str = field(repr=False, default="")
    has_certificate: bool = False
    denied: frozenset[str] = frozenset()
    host: str = ""
    port: int = 0


class Proof(Protocol):
    """One exchange. `initial` goes with the AUTH command (None: the server speaks first). `complaint`: what the
    server has said beside its refusal."""

    initial: bytes | None
    complaint: str

    def answer(self, challenge: bytes) -> bytes:
        """Raises ProofFailed."""

    @property
    def is_convinced(self) -> bool:
        """The server, too, has shown what it had to show."""


class PlainProof:
    """RFC 4616: message = [authzid] NUL authcid NUL passwd."""

    is_convinced = True
    complaint = ""

    def __init__(self, login: Login) -> None:
        self.initial: bytes | None = b"\0" + prepared(login.user) + b"\0" + prepared(login.password)

    def answer(self, challenge: bytes) -> bytes:
        raise ProofFailed("the server asks for more than PLAIN has to say")


class LoginProof:
    """The LOGIN that everybody has and no RFC describes: two questions, whatever their words."""

    is_convinced = True
    complaint = ""

    def __init__(self, login: Login) -> None:
        self.initial: bytes | None = None
        self._answers = [login.password.encode(), login.user.encode()]

    def answer(self, challenge: bytes) -> bytes:
        if not self._answers:
            raise ProofFailed("the server asks a third question of LOGIN")
        return self._answers.pop()


class ExternalProof:
    """RFC 4422 appendix A: the certificate has said it all; here is only whose account is meant."""

    is_convinced = True
    complaint = ""

    def __init__(self, login: Login) -> None:
        self.initial: bytes | None = prepared(login.user)

    def answer(self, challenge: bytes) -> bytes:
        raise ProofFailed("the server asks for more than EXTERNAL has to say")


def encode_answer(answer: bytes) -> bytes:
    """Base64 as it stands on a line of its own."""
    return base64.b64encode(answer)


def decode_challenge(text: str) -> bytes:
    """The bytes of a 334 reply. Raises ProofFailed."""
    return decoded(text.strip().encode())


def decoded(encoded: bytes) -> bytes:
    """Raises ProofFailed."""
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ProofFailed("a challenge is not base64")


def text_of(challenge: bytes) -> str:
    """Raises ProofFailed."""
    try:
        return challenge.decode()
    except UnicodeDecodeError:
        raise ProofFailed("a challenge is not UTF-8")


def prepared(text: str) -> bytes:
    """SASLprep (RFC 4013) as far as it changes anything people type: NFKC."""
    return unicodedata.normalize("NFKC", text).encode()
