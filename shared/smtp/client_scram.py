"""The client's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, 7677; channel binding by RFC 9266).

The password itself never leaves; with channel binding the proof is good for this TLS connection and no other, so that
nobody who sits in between can pass it on. Not here: the server's side (sasl_scram.py).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

from shared.smtp.client_login import Login, ProofFailed, decoded, prepared, text_of

#  Above this the server makes us compute for longer than a login is worth (RFC 7677 §4 asks for at least 4096).
MOST_ITERATIONS = 200_000
_SERVER_FIRST = re.compile(r"r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/=]+),i=([1-9][0-9]{0,9})(?:,.*)?\Z")

#  RFC 5802 §7   gs2-header = gs2-cbind-flag "," [ authzid ] ","
NO_BINDING, NOT_OFFERED, BOUND = "n,,", "y,,", "p=tls-exporter,,"


class ScramProof:
    """`gs2` says how it is with channel binding: we cannot (n), the server does not offer it (y), here it is (p).

    With `y` a server that did offer it learns that somebody in between has cut it out of its offer.
    """

    complaint = ""

    def __init__(self, login: Login, gs2: str = NO_BINDING, binding: bytes = b"") -> None:
        user = prepared(login.user).decode().replace("=", "=3D").replace(",", "=2C")
        self._password = prepared(login.password)
        self._nonce = login.nonce
        self._channel = base64.b64encode(gs2.encode() + binding).decode()
        self._client_first = f"n={user},r={login.nonce}"
        self._expected = b""
        self.is_convinced = False
        self.initial: bytes | None = f"{gs2}{self._client_first}".encode()

    def answer(self, challenge: bytes) -> bytes:
        return self._final(challenge) if not self._expected else self._check(challenge)

    def _final(self, challenge: bytes) -> bytes:
        server_first = text_of(challenge)
        found = _SERVER_FIRST.match(server_first)
        if not found or not found[1].startswith(self._nonce) or found[1] == self._nonce:
            raise ProofFailed("the server's first SCRAM message is malformed or not an answer to ours")
        if int(found[3]) > MOST_ITERATIONS:
            raise ProofFailed(f"the server asks for {found[3]} SCRAM iterations")
        salted = hashlib.pbkdf2_hmac("sha256", self._password, decoded(found[2].encode()), int(found[3]))
        final = f"c={self._channel},r={found[1]}"
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


def _hmac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")
