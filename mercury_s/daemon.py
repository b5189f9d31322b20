"""MercuryS as a daemon: the listeners at the door, and the lane of local mail behind it.

With `receive.workers` above 1 the listeners are open here, and worker processes take the clients: there the same
class has a seat, and no lane. What the workers count together is tally.py.

The only file that names all its neighbours. Start, signals and exit codes are shared/service.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mercury_s.accounts import People
from mercury_s.auth.failures import Failures
from mercury_s.auth.shared_failures import SharedFailures
from mercury_s.config import FreeSpace, listener_terms, make_door, tls_demand
from mercury_s.door import Door, ListenerTerms, SharedVisitors, Visitors
from mercury_s.held import HeldMail
from mercury_s.listener import SmtpListener
from mercury_s.local.carrier import LocalCarrier, LocalPlanner
from mercury_s.mailroom import Mailroom
from mercury_s.pickup import Pickup, watch_pickup
from mercury_s.porter import Porter
from mercury_s.proxied import ProxiedListener
from mercury_s.renewal import keep_renewed
from mercury_s.tally import RATED_CLIENTS, Tally, make_tally
from mercury_s.throttle import Throttle
from mercury_s.trash import Trash
from shared.config.listeners import Listener, ListenerTls, TlsFloor
from shared.config.model import Config
from shared.mail.envelope import Envelope, Recipient
from shared.observe import events
from shared.observe.log import log
from shared.routing.lane import Lane
from shared.service.crew import Crew, Hand, spawn_process
from shared.service.daemon import inherited_sockets
from shared.service.listen import listening_sockets
from shared.service.post_office import PostOffice, retry_policy
from shared.service.seat import Orders, Seat
from shared.service.trouble import StartTrouble
from shared.spool.lane import LaneFolder
from shared.spool.pickup import PickupFolder
from shared.state.blacklist_file import BlacklistFile
from shared.tls.certificate import CertificateTrouble
from shared.tls.server import Demand, ListenerCertificates, ServerCertificates
from shared.transport.prompt import adopt


class ReceivingDaemon:
    """Satisfies shared.service.life.Daemon. `seat` is a worker's."""

    def __init__(self, config: Config, seat: Seat | None = None) -> None:
        from twisted.internet import reactor

        self._reactor: Any = reactor
        self._config = config
        self._seat = seat
        self._crew: Crew | None = None
        #  What the workers listen on, all of them on each: a client that one leaves waiting is taken by another.
        self._lent: list[socket.socket] = []
        self._tally = self._join_tally()
        self._office = PostOffice(config, "s", asyncio.get_running_loop(), reactor)
        self._mailroom = Mailroom(self._office, reactor)
        self._logins = ThreadPoolExecutor(max_workers=2, thread_name_prefix="login")
        self._failures = Failures(time.monotonic) if self._tally is None else SharedFailures(self._tally)
        self._visitors: Visitors = Visitors() if self._tally is None else SharedVisitors(self._tally)
        self._listeners: list[SmtpListener] = []
        self._ports: list[Any] = []
        #  Of the listeners as they are: they stay so until a restart, and certificates do not.
        self._demands = frozenset(map(tls_demand, config.receive.listeners))
        self._certificates = _load_certificates(config, self._demands)
        self._people = People(config, self._logins, self._failures)
        blacklist = BlacklistFile(config.state, time.time, time.monotonic, "mercury-s", _say_blacklist_trouble)
        self._porter = Porter(config.receive.blacklist, blacklist, time.monotonic, time.time, self._tally)
        self._throttle = Throttle(config.receive.rates, time.monotonic, tally=self._tally)
        self._door = self._make_door()
        self._renewals: asyncio.Task[None] | None = None
        self._pickup: Pickup | None = None

    async def start(self) -> None:
        if self._seat is not None:
            self._office.committer.start()
            for index, descriptor in zip(self._seat.orders.extra, self._seat.descriptors[1:], strict=True):
                self._listen(self._config.receive.listeners[index], [socket.socket(fileno=descriptor)])
        else:
            self._office.open()
            self._people.say_dead_ends()
            self._runner = self._office.drain(self._config, Lane.LOCAL, LocalPlanner(), self._carrier())
            await self._runner.start()
            self._held = self._watch_over_held_mail()
            self._held.look()
            office = self._office
            trash = LaneFolder(office.spool, Lane.TRASH, office.owner)
            self._trash = Trash(trash, lambda: self._config.queue.trash, time.time)
            self._trash.start()
            self._pickup = self._make_pickup()
            if self._pickup is not None:
                await self._pickup.start()
            await self._open_listeners()
        self._office.follow_words(self._follow)
        if self._crew is None:
            self._renewals = asyncio.ensure_future(keep_renewed(lambda: self._certificates))

    async def reload(self, config: Config) -> None:
        """Sessions keep the door they came in by. Listeners and folders are what they were until a restart."""
        self._mailroom.prepare(config)
        certificates = _load_certificates(config, self._demands)
        people = People(config, self._logins, self._failures)
        self._office.use(config)
        await self._people.authenticator.close()  #  for who still asks it, it opens again what it needs
        self._config, self._people, self._certificates = config, people, certificates
        self._porter.use(config.receive.blacklist)
        self._throttle = Throttle(config.receive.rates, time.monotonic, self._throttle, self._tally)
        self._door = self._make_door()
        if self._seat is not None:
            return
        if self._pickup is not None:
            self._pickup.use(config)
        self._people.say_dead_ends()
        self._runner.reload(carrier=self._carrier(), retry=retry_policy(config), rejudge=self._office.judge.rejudge)
        self._judge.reload(carrier=self._carrier(), retry=retry_policy(config), rejudge=self._judge_anew)
        self._held.look()
        if self._crew is not None:
            await self._crew.reload()

    def _follow(self) -> None:
        """The word of a site is another."""
        self._door = self._make_door()
        if self._seat is not None:
            return
        if self._pickup is not None:
            self._pickup.use(self._config)
        self._runner.reload(rejudge=self._office.judge.rejudge)
        self._held.look()

    async def stop(self, grace: float) -> None:
        """No new clients; sessions end, at the latest after the 250 they are waiting for."""
        if self._renewals is not None:
            self._renewals.cancel()
        for port in self._ports:
            await _wait(port.stopListening())
        for listener in self._listeners:
            listener.leave()
        ends = [self._crew.stop(grace)] if self._crew is not None else []
        if hasattr(self, "_runner"):
            ends.append(self._runner.stop(grace))
        if self._pickup is not None:
            ends.append(self._pickup.stop(grace))
        if hasattr(self, "_held"):
            ends.append(self._held.stop())
        if hasattr(self, "_trash"):
            ends.append(self._trash.stop())
        await asyncio.gather(*ends)
        for sock in self._lent:
            sock.close()
        await self._people.authenticator.close()
        await self._mailroom.close()
        self._office.close()
        self._logins.shutdown(wait=False, cancel_futures=True)

    def is_progressing(self) -> bool:
        return self._office.is_progressing(time.monotonic())

    def sessions(self) -> list[dict[str, Any]]:
        """The clients, then the local messages on their way."""
        told = [connection.describe() for listener in self._listeners for connection in listener.sessions]
        flights = self._runner.flights() if hasattr(self, "_runner") else []
        now = time.time()
        return [*filter(None, told), *({"id": id, "age": round(now - since, 1)} for id, since in flights)]

    async def wait_for(self, lane: Lane, name: str, seconds: float) -> bool:
        if lane is not Lane.LOCAL or not hasattr(self, "_runner"):
            return True
        return await self._runner.wait_for(name, seconds)

    def status(self) -> str:
        waiting = self._runner.waiting if hasattr(self, "_runner") else 0
        crew = f" at {self._crew.at_work} workers" if self._crew is not None else ""
        sessions = self._visitors.all_sessions()
        seats, mail = ("session" if sessions == 1 else "sessions"), ("message" if waiting == 1 else "messages")
        return f"{sessions} {seats}{crew}, {waiting} local {mail} waiting"

    # ---- parts -----------------------------------------------------------------------------------------------------

    def _make_door(self) -> Door:
        office = self._office
        return make_door(
            self._config,
            office.judge.table,
            self._people,
            office.depositor,
            FreeSpace(office.spool),
            self._porter,
            self._throttle,
        )

    def _watch_over_held_mail(self) -> HeldMail:
        """The runner of the hold lane is never started: it only judges what is shown to it."""
        office = self._office
        judge = office.drain(
            self._config,
            Lane.HOLD,
            LocalPlanner(),
            self._carrier(),
            rejudge=self._judge_anew,
        )
        self._judge = judge
        return HeldMail(LaneFolder(office.spool, Lane.HOLD, office.owner), judge)

    def _judge_anew(
        self, envelope: Envelope, recipients: Sequence[Recipient]
    ) -> Mapping[Lane, tuple[Recipient, ...]]:
        """By the configuration of today. The same to the runner whatever that is: HeldMail says what is judged, so
        that a reload lets nothing go that was held by hand."""
        return self._office.judge.rejudge(envelope, recipients)

    def _carrier(self) -> LocalCarrier:
        return self._mailroom.carrier(self._config, self._people)

    def _make_pickup(self) -> Pickup | None:
        if not self._config.receive.pickup.enabled:
            return None
        folder, office = PickupFolder(self._config.pickup_folder), self._office
        watch = watch_pickup(folder, self._reactor)
        return Pickup(folder, self._config, office.depositor, office.executor, watch)

    def _join_tally(self) -> Tally | None:
        if self._seat is not None:
            return Tally(self._seat.descriptors[0], self._seat.number)
        receive = self._config.receive
        if receive.workers == 1:
            return None
        self._tally_descriptor = make_tally(receive.workers + 1, max(receive.limits.sessions, RATED_CLIENTS))
        return Tally(self._tally_descriptor, 0)

    async def _open_listeners(self) -> None:
        inherited = inherited_sockets()
        opened = [
            (index, listening_sockets(listener.address, listener.port, inherited))
            for index, listener in enumerate(self._config.receive.listeners)
        ]
        for name in inherited.close_left():
            log.event(events.SOCKET_UNUSED, name=name)
        if self._tally is None:
            for index, sockets in opened:
                self._listen(self._config.receive.listeners[index], sockets)
            return
        doors = [index for index, sockets in opened for _ in sockets]
        self._lent = [sock for _, sockets in opened for sock in sockets]
        workers, tally = self._config.receive.workers, self._tally
        self._crew = Crew(workers, self._spawn, lambda: Orders(self._config, doors), tally.clear)
        await self._crew.start()
        for index, sock in zip(doors, self._lent, strict=True):
            _say_listening(self._config.receive.listeners[index], sock)

    def _spawn(self, number: int) -> Hand:
        descriptors = [self._tally_descriptor, *(sock.fileno() for sock in self._lent)]
        #  A worker looks for its program where we were found, never in a folder we happen to stand in.
        safe = [] if sys.path[0] in ("", os.getcwd()) else ["-P"]
        return spawn_process([sys.executable, *safe, "-m", "mercury_s"], number, descriptors)

    def _listen(self, listener: Listener, sockets: list[socket.socket]) -> None:
        known: dict[tuple[int, People, bool], ListenerTerms] = {}

        def terms() -> ListenerTerms:
            #  Asked at each connection; the files behind the answer are looked at once a second at most, so is this.
            key = (int(time.monotonic()), self._people, self._certificates is not None)
            if key not in known:
                known.clear()
                known[key] = listener_terms(listener, key[2], self._people.authenticator.mechanisms)
            return known[key]

        demand = tls_demand(listener)

        def tls() -> ListenerCertificates | None:
            return self._certificates.asking(demand) if self._certificates is not None else None

        factory = SmtpListener(lambda: self._door, terms, self._visitors, tls, self._reactor)
        self._listeners.append(factory)
        accepting: Any = factory
        if listener.tls is ListenerTls.IMPLICIT:
            accepting = _implicit_tls(factory)
        if listener.proxy:
            accepting = ProxiedListener(accepting, listener.proxy, self._reactor)
        for sock in sockets:
            if self._seat is None:
                _say_listening(listener, sock)
            self._ports.append(adopt(self._reactor, sock, accepting))


def _say_blacklist_trouble(error: OSError) -> None:
    log.event(events.BLACKLIST_TROUBLE, reason=str(error))


def _say_listening(listener: Listener, sock: socket.socket) -> None:
    address, port = sock.getsockname()[:2]
    log.event(events.LISTENING, address=address, port=port, kind=str(listener.kind), tls=str(listener.tls))
    if listener.tls_floor < TlsFloor.TLS_1_2:
        networks = " ".join(map(str, listener.networks))
        log.event(
            events.TLS_FLOOR_LOWERED, address=address, port=port, version=str(listener.tls_floor), networks=networks
        )


def _load_certificates(config: Config, demands: Iterable[Demand]) -> ServerCertificates | None:
    if not config.tls.pairs:
        return None
    try:
        return ServerCertificates.load(config.tls.pairs, demands)
    except CertificateTrouble as trouble:
        what, _, do = str(trouble).rpartition(": ")
        raise StartTrouble(f"start: {what}", do) from trouble


def _implicit_tls(factory: SmtpListener) -> Any:
    """TLS from the first byte (RFC 8314 §3), always with the certificates in force."""
    from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
    from twisted.protocols.tls import TLSMemoryBIOFactory
    from zope.interface import implementer

    @implementer(IOpenSSLServerConnectionCreator)
    class InForce:
        def serverConnectionForTLS(self, tlsProtocol: Any) -> Any:
            assert factory.tls_context is not None
            return factory.tls_context().serverConnectionForTLS(tlsProtocol)

    wrapped = TLSMemoryBIOFactory(InForce(), False, factory)
    wrapped.noisy = False
    return wrapped


async def _wait(result: Any) -> None:
    """For what Twisted answers with a Deferred, or with nothing."""
    if result is not None:
        await result.asFuture(asyncio.get_running_loop())
