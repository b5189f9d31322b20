"""The client's side of OAUTHBEARER (RFC 7628) and of XOAUTH2, which came before it: a token instead of a password.

A server that does not like the token first says why in a challenge of JSON, which is answered with next to nothing,
and then refuses. Not here: where tokens come from (shared/oauth), the server's side (sasl_bearer.py).
"""

from __future__ import annotations

from shared.mail.reply import printable
from shared.smtp.client_login import Login, ProofFailed

_LONGEST_COMPLAINT = 300


class _BearerProof:
    """Convinced from the beginning, as the server has nothing to show; one challenge at most is answered."""

    is_convinced = True
    _last_word = b""

    def __init__(self, message: str) -> None:
        self.initial: bytes | None = message.encode()
        self.complaint = ""
        self._is_refused = False

    def answer(self, challenge: bytes) -> bytes:
        if self._is_refused:
            raise ProofFailed("the server asks again after it has refused the token")
        self._is_refused = True
        self.complaint = printable(challenge.decode("utf-8", "replace"))[:_LONGEST_COMPLAINT]
        return self._last_word


class OAuthBearerProof(_BearerProof):
    #  RFC 7628 §3.1   client-resp = (gs2-header kvsep *kvpair kvsep) / kvsep, kvsep = %x01
    #  §3.2.3: a client answers the error with a single kvsep.
    _last_word = b"\x01"

    def __init__(self, login: Login) -> None:
        user = login.user.replace("=", "=3D").replace(",", "=2C")
        where = f"host={login.host}\x01port={login.port}\x01" if login.host else ""
        super().__init__(f"n,a={user},\x01{where}auth=Bearer {login.token}\x01\x01")


class XOAuth2Proof(_BearerProof):
    """An empty line answers the error."""

    def __init__(self, login: Login) -> None:
        super().__init__(f"user={login.user}\x01auth=Bearer {login.token}\x01\x01")
