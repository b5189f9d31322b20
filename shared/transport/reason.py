"""Why a connection failed or ended, in words for the operator: one printable line."""

from __future__ import annotations

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import error
from twisted.python.failure import Failure

from shared.mail.reply import printable

_WORDS: list[tuple[type[BaseException], str]] = [
    (error.TimeoutError, "no answer to the attempt to connect"),
    (error.ConnectionRefusedError, "connection refused"),
    (error.NoRouteError, "no route to the host"),
    (error.DNSLookupError, "the name has no address"),
    (error.ConnectionDone, "the server closed the connection"),
    (error.ConnectionAborted, "we closed the connection"),
    (error.ConnectionLost, "the connection broke"),
]


def explain(reason: Failure) -> str:
    value = reason.value
    if isinstance(value, VerificationError):
        names = ", ".join(_name(problem) for problem in value.errors)
        return printable(f"the certificate does not name {names}")
    if isinstance(value, SSL.Error):
        return printable(_explain_tls(value))
    for kind, words in _WORDS:
        if isinstance(value, kind):
            return words
    return printable(f"{type(value).__name__}: {value}"[:200])


def _name(problem: object) -> str:
    wanted = getattr(problem, "mismatched_id", None)
    name = getattr(wanted, "hostname", None) or getattr(wanted, "ip", None) or "the server"
    return name.decode("ascii", "replace") if isinstance(name, bytes) else str(name)


def _explain_tls(value: SSL.Error) -> str:
    #  pyOpenSSL puts OpenSSL's error queue into the arguments: [(library, function, reason), ...].
    queue = value.args[0] if value.args and isinstance(value.args[0], list) else []
    reasons = [str(entry[-1]) for entry in queue if entry]
    return "; ".join(reasons)[:200] or "TLS ended the connection"
