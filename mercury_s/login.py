"""A login as a session sees it: AUTH lines in; out comes the next reply, or a question that somebody else answers.

The exchanges are in shared/smtp (sasl.py, sasl_scram.py, sasl_bearer.py); who is let in is asked of mercury_s/auth.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Protocol

from mercury_s.auth.authenticate import Answer, Rejected
from mercury_s.auth.client_certificate import ClientCertificate
from shared.config.logins import Mechanism
from shared.mail.record import dataclass
from shared.mail.reply import Reply
from shared.smtp import replies
from shared.smtp.sasl import MECHANISMS, Challenge, Credentials, Malformed, decode
from shared.smtp.sasl_bearer import (
    OAUTHBEARER_REFUSED,
    XOAUTH2_REFUSED,
    Bearer,
    parse_oauthbearer,
    parse_xoauth2,
)
from shared.smtp.sasl_scram import Opening, Proof, ScramExchange, ScramKeys

Question = Coroutine[Any, Any, Reply | Answer]
Turn = Reply | Question
_LONGEST_NAME = 255


class Logins(Protocol):
    """Who checks a login (mercury_s/auth)."""

    @property
    def mechanisms(self) -> tuple[Mechanism, ...]: ...
    async def verify(self, login: str, password: str, client: str, is_exempt: bool = False) -> Answer: ...
    def scram_keys(self, login: str) -> ScramKeys: ...
    async def verify_proof(self, login: str, is_right: bool, client: str, is_exempt: bool = False) -> Answer: ...
    async def verify_token(self, login: str, token: str, client: str, is_exempt: bool = False) -> Answer: ...
    async def verify_certificate(
        self, login: str, certificate: ClientCertificate, client: str, is_exempt: bool = False
    ) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Caller:
    """Who logs in, and by what connection. `binding` is its exporter value (RFC 9266), where it has one."""

    client: str
    is_exempt: bool = False
    binding: bytes | None = None
    certificate: ClientCertificate | None = None


class LoginExchange(Protocol):
    """One AUTH command and the lines that follow it. A line is without its line end; None cancels (RFC 4954 §4)."""

    def begin(self, initial: bytes | None) -> Turn: ...
    def go_on(self, response: bytes | None) -> Turn: ...


def possible(mechanisms: Iterable[str], caller: Caller) -> tuple[str, ...]:
    """Those of the mechanisms that this connection can do."""
    return tuple(
        name
        for name in mechanisms
        if not (name == Mechanism.SCRAM_PLUS and caller.binding is None)
        and not (name == Mechanism.EXTERNAL and caller.certificate is None)
    )


def open_exchange(mechanism: str, logins: Logins, caller: Caller, is_plus_offered: bool) -> LoginExchange:
    match mechanism:
        case Mechanism.SCRAM | Mechanism.SCRAM_PLUS:
            binding = caller.binding if mechanism == Mechanism.SCRAM_PLUS else None
            return ScramLogin(logins, caller, ScramExchange(secrets.token_urlsafe(18), binding, is_plus_offered))
        case Mechanism.OAUTHBEARER:
            return TokenLogin(logins, caller, parse_oauthbearer, OAUTHBEARER_REFUSED)
        case Mechanism.XOAUTH2:
            return TokenLogin(logins, caller, parse_xoauth2, XOAUTH2_REFUSED)
        case Mechanism.EXTERNAL:
            return CertificateLogin(logins, caller)
        case _:
            return PasswordLogin(logins, caller, mechanism)


class PasswordLogin:
    """PLAIN and LOGIN."""

    def __init__(self, logins: Logins, caller: Caller, mechanism: str) -> None:
        self._logins = logins
        self._caller = caller
        self._mechanism = MECHANISMS[mechanism]()

    def begin(self, initial: bytes | None) -> Turn:
        return self._take(self._mechanism.start(initial))

    def go_on(self, response: bytes | None) -> Turn:
        return replies.AUTH_CANCELLED if response is None else self._take(self._mechanism.respond(response))

    def _take(self, step: Challenge | Credentials | Malformed) -> Turn:
        match step:
            case Challenge():
                return Reply(334, "", step.encoded)
            case Credentials():
                caller = self._caller
                return self._logins.verify(step.authcid, step.password, caller.client, caller.is_exempt)
            case Malformed():
                return _malformed(step)


class _Talk:
    """An exchange that the client opens, with AUTH or after an empty challenge."""

    def begin(self, initial: bytes | None) -> Turn:
        return Reply(334, "", "") if initial is None else self.go_on(initial)

    def go_on(self, response: bytes | None) -> Turn:
        if response is None:
            return replies.AUTH_CANCELLED
        message = decode(response)
        return _malformed(message) if isinstance(message, Malformed) else self._hear(message)

    def _hear(self, message: bytes) -> Turn:
        raise NotImplementedError


class ScramLogin(_Talk):
    """Three messages of the client: who it is, its proof, and nothing, once it has seen ours (RFC 4954 §4)."""

    def __init__(self, logins: Logins, caller: Caller, exchange: ScramExchange) -> None:
        self._logins = logins
        self._caller = caller
        self._exchange = exchange
        self._name = ""
        self._verified: Answer | None = None

    def _hear(self, message: bytes) -> Turn:
        if self._verified is not None:
            return replies.AUTH_MALFORMED if message else _at_once(self._verified)
        if self._name:
            step = self._exchange.prove(message)
            return _malformed(step) if isinstance(step, Malformed) else self._settle(step)
        opening = self._exchange.open(message)
        if not isinstance(opening, Opening):
            return _malformed(opening)
        self._name = opening.authcid
        return _challenge(self._exchange.challenge(self._logins.scram_keys(self._name)))

    async def _settle(self, proof: Proof) -> Reply | Answer:
        caller = self._caller
        answer = await self._logins.verify_proof(self._name, proof.is_right, caller.client, caller.is_exempt)
        if not proof.signature or isinstance(answer, Rejected):
            return answer
        self._verified = answer
        return _challenge(proof.signature)


class TokenLogin(_Talk):
    """OAUTHBEARER and XOAUTH2: a refused client is told why in a challenge, and refused when it has answered that."""

    def __init__(
        self,
        logins: Logins,
        caller: Caller,
        parse: Callable[[bytes], Bearer | Malformed],
        refused: bytes,
    ) -> None:
        self._logins = logins
        self._caller = caller
        self._parse = parse
        self._refused = refused
        self._is_rejected = False

    def go_on(self, response: bytes | None) -> Turn:
        if self._is_rejected:
            return _at_once(Rejected(0.0))
        return super().go_on(response)

    def _hear(self, message: bytes) -> Turn:
        bearer = self._parse(message)
        return _malformed(bearer) if isinstance(bearer, Malformed) else self._ask(bearer)

    async def _ask(self, bearer: Bearer) -> Reply | Answer:
        begun = asyncio.get_running_loop().time()
        caller = self._caller
        answer = await self._logins.verify_token(bearer.name, bearer.token, caller.client, caller.is_exempt)
        if not isinstance(answer, Rejected) or answer.is_blocked:
            return answer
        await wait_out(answer, begun)
        self._is_rejected = True
        return _challenge(self._refused)


class CertificateLogin(_Talk):
    """EXTERNAL (RFC 4422 §A): the client says whom it wants to be, or nothing; TLS has said who it is."""

    def __init__(self, logins: Logins, caller: Caller) -> None:
        self._logins = logins
        self._caller = caller

    def _hear(self, message: bytes) -> Turn:
        caller = self._caller
        try:
            name = message.decode("utf-8")
        except UnicodeDecodeError:
            return replies.AUTH_MALFORMED
        if len(message) > _LONGEST_NAME or (name and not name.isprintable()) or caller.certificate is None:
            return replies.AUTH_MALFORMED
        return self._logins.verify_certificate(name, caller.certificate, caller.client, caller.is_exempt)


async def wait_out(rejected: Rejected, begun: float) -> None:
    """Until `delay` seconds after `begun` by the loop's clock: however long the check took, the answer comes then."""
    await asyncio.sleep(max(0.0, rejected.delay - (asyncio.get_running_loop().time() - begun)))


async def _at_once(answer: Answer) -> Reply | Answer:
    return answer


def _challenge(message: bytes) -> Reply:
    return Reply(334, "", base64.b64encode(message).decode("ascii"))


def _malformed(step: Malformed) -> Reply:
    return replies.AUTH_TOO_LONG if step.is_too_long else replies.AUTH_MALFORMED
