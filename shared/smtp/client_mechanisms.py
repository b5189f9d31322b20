"""Which mechanism a client logs in with: the strongest that the server offers and the login can be proved by.

A password or a token is only ever sent inside TLS; in clear there is SCRAM, of which nobody who listens learns the
password, or nothing. CRAM-MD5 is not among them: it would make the server keep the password in clear.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.smtp.client_bearer import OAuthBearerProof, XOAuth2Proof
from shared.smtp.client_login import ExternalProof, Login, LoginProof, PlainProof, Proof
from shared.smtp.client_scram import BOUND, NO_BINDING, NOT_OFFERED, ScramProof

SCRAM, SCRAM_PLUS = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"
#  The strongest first.
MECHANISMS = ("EXTERNAL", SCRAM_PLUS, SCRAM, "OAUTHBEARER", "XOAUTH2", "PLAIN", "LOGIN")
_SAFE_IN_CLEAR = frozenset({SCRAM})


def choose_mechanisms(
    offered: Sequence[str], login: Login, binding: bytes | None = None, is_secure: bool = True
) -> list[str]:
    """Those that both sides can, the strongest first. `binding`: the exporter value of this TLS connection."""
    able: set[str] = set()
    if login.has_certificate:
        able.add("EXTERNAL")
    if login.token:
        able |= {"OAUTHBEARER", "XOAUTH2"}
    elif login.password:
        able |= {"PLAIN", "LOGIN"}
        if login.nonce:
            able |= {SCRAM, SCRAM_PLUS} if binding else {SCRAM}
    able -= login.denied
    if not is_secure:
        able &= _SAFE_IN_CLEAR
    return [name for name in MECHANISMS if name in able and name in offered]


def make_proof(name: str, login: Login, offered: Sequence[str], binding: bytes | None) -> Proof:
    match name:
        case "EXTERNAL":
            return ExternalProof(login)
        case "SCRAM-SHA-256-PLUS":
            return ScramProof(login, BOUND, binding or b"")
        case "SCRAM-SHA-256":
            could_bind = bool(binding) and SCRAM_PLUS not in login.denied
            return ScramProof(login, NOT_OFFERED if could_bind and SCRAM_PLUS not in offered else NO_BINDING)
        case "OAUTHBEARER":
            return OAuthBearerProof(login)
        case "XOAUTH2":
            return XOAuth2Proof(login)
        case "PLAIN":
            return PlainProof(login)
        case _:
            return LoginProof(login)
