"""Making a connection to a next hop: its addresses in order, its TLS demand, its login.

The answer is a connection that is ready for messages, or Unreached with the reason. Whether and when to try again is
not decided here (pool.py, carrier.py).
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from ipaddress import ip_address
from typing import Any, Protocol

from twisted.internet.interfaces import IAddress, IConnector
from twisted.internet.protocol import ClientFactory, connectionDone
from twisted.python.failure import Failure

from shared.dns.answers import Answer, Found, NoData, NoSuchName
from shared.mail.record import dataclass
from shared.mail.reply import printable
from shared.observe import events
from shared.observe.log import log
from shared.observe.tap import tap
from shared.routing.next_hop import NextHop, Tls
from shared.smtp.client import Conversation
from shared.smtp.client_events import Ended, Opening, StartTls
from shared.smtp.client_login import Login
from shared.smtp.judge import End
from shared.tls.client import ClientTls, RememberedServer, TrustUnusable
from shared.transport.back_off import BackOff
from shared.transport.connection import SmtpConnection
from shared.transport.families import Families
from shared.transport.overheard import OverheardConversation
from shared.transport.reason import explain

#  RFC 5321 §5.1 wants more than one address to be tried; a destination with a thousand does not get a thousand.
MOST_ADDRESSES = 5


class AddressLookup(Protocol):
    async def addresses(self, host: str) -> Answer[tuple[str, ...]]: ...


@dataclass(frozen=True, slots=True)
class Unreached:
    """No connection that mail could be given to. `host` says where it failed. `is_remembered`: nobody has tried now,
    as it was so a moment ago."""

    ended: Ended
    host: str
    is_remembered: bool = False


class TokenSource(Protocol):
    """Who has the tokens of OAuth accounts. Both raise ValueError with one line that says why there is none."""

    async def token(self, account: str) -> str: ...

    async def renewed(self, account: str, refused: str) -> str | None:
        """A server does not like the token `refused`: another one, None when there is no hope in it."""


class Dialer:
    """`reactor` makes TCP connections and keeps the time. `read_secret` gives the password in a file, or raises
    OSError or ValueError with one line that says what is wrong. `make_nonce` gives fresh printable characters.
    `tokens` is asked for the logins that have an OAuth account. `spares_dead`: a host of which no address could be
    reached a moment ago, under whatever name or demand, is not dialled."""

    def __init__(
        self,
        *,
        reactor: Any,
        helo: str,
        resolver: AddressLookup,
        tls: ClientTls,
        read_secret: Callable[[str], str],
        make_nonce: Callable[[], str] = secrets.token_urlsafe,
        connect_timeout: float = 30.0,
        source_addresses: tuple[str, ...] = (),
        chance: Callable[[], float] = random.random,
        tokens: TokenSource | None = None,
        spares_dead: bool = False,
    ) -> None:
        self._tokens = tokens
        self._spares_dead = spares_dead
        self.reactor = reactor
        self.chance = chance
        self._helo = helo
        self._resolver = resolver
        self._tls = tls
        self._read_secret = read_secret
        self._make_nonce = make_nonce
        self._connect_timeout = connect_timeout
        self._sources = _by_family(source_addresses)
        self._families = Families(reactor.seconds)
        self._dead_addresses: BackOff[tuple[str, int], Unreached] = BackOff(reactor.seconds, chance)

    async def dial(self, hop: NextHop) -> SmtpConnection | Unreached:
        """Try the addresses of `hop` one after the other. Those that failed a moment ago come last, and so do those
        of a family that does not work from here."""
        try:
            login = await self._login(hop)
        except (OSError, ValueError) as error:
            return Unreached(Ended(End.LOGIN, None, f"no {'token' if hop.oauth else 'password'}: {error}"), str(hop))
        result = await self._dial(hop, login)
        if login is not None and login.token and _is_token_refused(result):
            return await self._dial_again(hop, login, result)
        return result

    def relent(self) -> None:
        """No address counts as dead for now."""
        self._dead_addresses.relent()

    async def _dial_again(
        self, hop: NextHop, login: Login, refusal: SmtpConnection | Unreached
    ) -> SmtpConnection | Unreached:
        """A token may be withdrawn before its time. Once: if the next one is refused too, it is not the token."""
        assert self._tokens is not None
        try:
            fresh = await self._tokens.renewed(hop.oauth, login.token)
        except ValueError as error:
            return Unreached(Ended(End.LOGIN, None, f"no token: {error}"), str(hop))
        return refusal if fresh is None else await self._dial(hop, replace(login, token=fresh))

    async def _dial(self, hop: NextHop, login: Login | None) -> SmtpConnection | Unreached:
        addresses = await self._addresses(hop)
        if isinstance(addresses, Unreached):
            return addresses
        result: SmtpConnection | Unreached = Unreached(Ended(End.UNREACHABLE, None, "it has no address"), str(hop))
        why_dead = self._dead_addresses.recall
        in_order = self._families.order(addresses[:MOST_ADDRESSES])
        if self._spares_dead and (trouble := self._why_all_dead(hop, in_order)) is not None:
            return trouble
        for address in sorted(in_order, key=lambda one: why_dead((one, hop.port)) is not None):
            result = await self._try_address(hop, address, login)
            if isinstance(result, SmtpConnection):
                self._families.note_success(address)
                self._dead_addresses.note_success((address, hop.port))
                return result
            if result.ended.end is End.UNREACHABLE:
                self._families.note_failure(address)
            log.event(events.CONNECTION_FAILED, host=result.host, reason=result.ended.end.value,
                      detail=result.ended.detail, reply=result.ended.reply)  # fmt: skip
            if result.ended.end not in (End.UNREACHABLE, End.REFUSED, End.LOST, End.SILENT):
                #  The other addresses are the same server, which has the same certificate and the same passwords.
                return result
            self._dead_addresses.note_failure((address, hop.port), result)
        return result

    def _why_all_dead(self, hop: NextHop, addresses: Sequence[str]) -> Unreached | None:
        """None: there is one to try. What went wrong above TCP is a matter of one name and one demand."""
        last: Unreached | None = None
        for address in addresses:
            last = self._dead_addresses.recall((address, hop.port))
            if last is None or last.ended.end is not End.UNREACHABLE:
                return None
        return last and Unreached(last.ended, f"{hop.host}[{addresses[-1]}]:{hop.port}", is_remembered=True)

    async def _try_address(self, hop: NextHop, address: str, login: Login | None) -> SmtpConnection | Unreached:
        if hop.inside_only and not hop.socket_path and not ip_address(address).is_private:
            why = f"{address} is no private address, and 'tls: off' is meant for those"
            return Unreached(Ended(End.NO_TLS, None, why), str(hop))
        wish = _WISHES[hop.tls]
        result = await self._open(hop, address, self._opening(hop, wish, login))
        if (
            isinstance(result, Unreached)
            and result.ended.end is End.TLS
            and wish is StartTls.IF_OFFERED
            and not hop.implicit_tls
            and login is None
        ):
            #  Opportunistic means that mail which could go in clear is not kept back by a broken TLS (RFC 7435 §3).
            log.event(events.TLS_FAILED, host=result.host, reason=result.ended.detail, then="in clear")
            why = f"in clear: TLS failed ({result.ended.detail})"
            return await self._open(hop, address, self._opening(hop, StartTls.NEVER, None, why))
        return result

    async def _open(self, hop: NextHop, address: str, opening: Opening) -> SmtpConnection | Unreached:
        ready: asyncio.Future[SmtpConnection | Unreached] = asyncio.get_running_loop().create_future()
        #  Where a socket is concerns nobody who gets a report.
        host = hop.host if hop.socket_path else f"{hop.host}[{address}]:{hop.port}"

        def opened(connection: SmtpConnection, ended: Ended | None) -> None:
            if not ready.done():
                ready.set_result(connection if ended is None else Unreached(ended, host))

        dialogue = tap.listen(host, hop.host, address) if tap.is_on else None
        conversation = (
            Conversation(opening, host) if dialogue is None else OverheardConversation(dialogue, opening, host)
        )
        wants_tls = hop.implicit_tls or opening.starttls is not StartTls.NEVER
        try:
            tls = self._creator(hop) if wants_tls else None
        except TrustUnusable as error:
            return Unreached(Ended(End.TLS, None, printable(str(error))), host)
        except ValueError as error:
            return Unreached(Ended(End.TLS, None, printable(f"no certificate can name it: {error}")), host)
        protocol = SmtpConnection(self.reactor, conversation, tls, hop.implicit_tls, host, opened)
        factory = _OneConnection(protocol, lambda why: opened(protocol, Ended(End.UNREACHABLE, None, why)))
        connector = self._connect(hop, address, factory)
        try:
            return await ready
        except asyncio.CancelledError:
            connector.disconnect()
            raise

    def _connect(self, hop: NextHop, address: str, factory: ClientFactory) -> Any:
        if hop.socket_path:
            return self.reactor.connectUNIX(hop.socket_path, factory, self._connect_timeout)
        version = ip_address(address.partition("%")[0]).version
        source = _by_family(hop.source).get(version) if hop.source else self._sources.get(version)
        return self.reactor.connectTCP(
            address, hop.port, factory, self._connect_timeout, (source, 0) if source else None
        )

    def _creator(self, hop: NextHop) -> RememberedServer:
        make = self._tls.verified if hop.tls is Tls.VERIFY else self._tls.unverified
        return make(hop.certified_name or hop.host, hop.port, hop.trust)

    def _opening(self, hop: NextHop, wish: StartTls, login: Login | None, why_clear: str = "") -> Opening:
        helo = hop.helo or self._helo
        return Opening(helo, wish, hop.implicit_tls, login, hop.login_in_clear, hop.lmtp, why_clear)

    async def _login(self, hop: NextHop) -> Login | None:
        """Raises OSError or ValueError."""
        if not hop.login:
            return None
        password = self._read_secret(hop.password_file) if hop.password_file else ""
        return Login(
            hop.login,
            password,
            self._make_nonce(),
            token=await self._token(hop) if hop.oauth else "",
            has_certificate=bool(hop.trust.certificate),
            denied=hop.denied,
            host=hop.host,
            port=hop.port,
        )

    async def _token(self, hop: NextHop) -> str:
        if self._tokens is None:
            raise ValueError("this daemon has no OAuth accounts")
        if hop.tls not in (Tls.VERIFY, Tls.PIN):
            raise ValueError(f"it is only shown to a server that is known, and 'tls: {hop.tls}' asks for no proof")
        return await self._tokens.token(hop.oauth)

    async def _addresses(self, hop: NextHop) -> tuple[str, ...] | Unreached:
        if hop.addresses or hop.socket_path:
            return hop.addresses or (hop.socket_path,)
        try:
            return (str(ip_address(hop.host)),)
        except ValueError:
            answer = await self._resolver.addresses(hop.host)
        match answer:
            case Found():
                return answer.values
            case NoSuchName():
                why = "its name does not exist"
            case NoData():
                why = "its name has no address"
            case _:
                why = f"its name cannot be looked up: {answer.reason}"
        return Unreached(Ended(End.UNREACHABLE, None, why), str(hop))


def _is_token_refused(result: SmtpConnection | Unreached) -> bool:
    reply = result.ended.reply if isinstance(result, Unreached) and result.ended.end is End.LOGIN else None
    return reply is not None and reply.code == 535


def _by_family(addresses: tuple[str, ...]) -> dict[int, str]:
    """One address for IPv4, one for IPv6."""
    return {ip_address(address).version: address for address in addresses}


_WISHES = {
    Tls.VERIFY: StartTls.REQUIRED,
    Tls.DANE: StartTls.REQUIRED,
    Tls.PIN: StartTls.REQUIRED,
    Tls.ENCRYPT: StartTls.REQUIRED,
    Tls.OPPORTUNISTIC: StartTls.IF_OFFERED,
    Tls.OFF: StartTls.NEVER,
}


class _OneConnection(ClientFactory):
    """Twisted's way to a single protocol."""

    noisy = False

    def __init__(self, protocol: SmtpConnection, failed: Callable[[str], None]) -> None:
        self._protocol = protocol
        self._failed = failed

    def buildProtocol(self, addr: IAddress | None) -> SmtpConnection:
        return self._protocol

    def clientConnectionFailed(self, connector: IConnector, reason: Failure = connectionDone) -> None:
        self._failed(explain(reason))
