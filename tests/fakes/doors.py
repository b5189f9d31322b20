"""A door without a house: sessions in memory, a depositor that keeps messages in a list, a wire that keeps bytes."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mercury_s.auth.authenticate import Answer, Rejected, Verified
from mercury_s.auth.client_certificate import ClientCertificate
from mercury_s.door import Door, ListenerTerms
from mercury_s.local.directory import Directory
from mercury_s.policy.client import Welcome
from mercury_s.porter import Porter
from mercury_s.session import Session
from shared.config.account import Account
from shared.config.limits import BlacklistSettings
from shared.config.logins import Mechanism
from shared.mail.address import parse_address
from shared.mail.envelope import Envelope
from shared.routing.next_hop import NextHop
from shared.routing.site import Delivery, Site
from shared.routing.table import RoutingTable
from shared.smtp.sasl_scram import ScramKeys, derive_keys
from shared.smtp.server import Limits
from shared.state.blacklist import Entry

DOMAIN = "test.example"
USERS = ("alice", "bob", "postmaster")


class MemoryDraft:
    def __init__(self, depositor: MemoryDepositor, letters: Sequence[Any]) -> None:
        self.depositor, self.letters = depositor, list(letters)
        self.pieces: list[bytes] = []
        self.size = 0

    def write(self, chunk: bytes) -> None:
        self.pieces.append(chunk)
        self.size += len(chunk)

    def backlog(self) -> int:
        return self.depositor.backlog

    def on_drained(self, callback: Callable[[], None]) -> None:
        self.depositor.drained.append(callback)

    def commit(self, done: Callable[[OSError | None], None]) -> None:
        self.depositor.commits.append((self, done))
        if self.depositor.is_prompt:
            self.depositor.settle()

    def abandon(self) -> None:
        self.depositor.abandoned += 1


class MemoryDepositor:
    """`is_prompt` False: commits wait for `settle`, as they do for a disk."""

    def __init__(self) -> None:
        self.is_prompt = True
        self.error: OSError | None = None
        self.no_ids: OSError | None = None
        self.backlog = 0
        self.abandoned = 0
        self.messages: list[tuple[list[Envelope], bytes]] = []
        self.commits: list[tuple[MemoryDraft, Callable[[OSError | None], None]]] = []
        self.drained: list[Callable[[], None]] = []
        self._ids = 0

    def next_id(self) -> str:
        if self.no_ids is not None:
            raise self.no_ids
        self._ids += 1
        return f"TEST-{self._ids:04d}"

    def draft(self, letters: Sequence[Any]) -> MemoryDraft:
        return MemoryDraft(self, letters)

    def settle(self) -> None:
        commits, self.commits = self.commits, []
        for draft, done in commits:
            if self.error is None:
                self.messages.append(([letter.envelope for letter in draft.letters], b"".join(draft.pieces)))
            done(self.error)


@dataclass
class Space:
    free: int = 10**12

    def free_bytes(self) -> int:
        return self.free


class MemoryWire:
    def __init__(self) -> None:
        self.sent = b""
        self.binding: bytes | None = None
        self.certificate: ClientCertificate | None = None
        self.is_closed = self.is_encrypted = self.is_paused = False
        self.most_at_once = 0

    def send(self, data: bytes) -> None:
        assert not self.is_closed, f"sent after close: {data!r}"
        self.sent += data

    def start_tls(self) -> None:
        self.is_encrypted = True

    def close(self) -> None:
        self.is_closed = True

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False

    def read_at_once(self, octets: int) -> None:
        self.most_at_once = octets

    def channel_binding(self) -> bytes | None:
        return self.binding if self.is_encrypted else None

    def client_certificate(self) -> ClientCertificate | None:
        return self.certificate if self.is_encrypted else None

    def tls_words(self) -> str:
        return "TLSv1.3 with TEST" if self.is_encrypted else ""

    def own_address(self) -> str:
        return "192.0.2.25"


class OnlyAlice:
    """One account can log in, by whatever way; a refusal costs no time here."""

    name = f"alice@{DOMAIN}"
    mechanisms = tuple(Mechanism)
    keys = derive_keys("secret", b"0123456789abcdef", 4096)

    async def verify(self, login: str, password: str, client: str, is_exempt: bool = False) -> Answer:
        return self._answer(login == self.name and password == "secret")

    def scram_keys(self, login: str) -> ScramKeys:
        return self.keys

    async def verify_proof(self, login: str, is_right: bool, client: str, is_exempt: bool = False) -> Answer:
        return self._answer(login == self.name and is_right)

    async def verify_token(self, login: str, token: str, client: str, is_exempt: bool = False) -> Answer:
        return self._answer(login in ("", self.name) and token == "sesame")

    async def verify_certificate(
        self, login: str, certificate: ClientCertificate, client: str, is_exempt: bool = False
    ) -> Answer:
        return self._answer(login in ("", self.name) and self.name in certificate.addresses)

    def _answer(self, is_right: bool) -> Answer:
        return Verified(Account(parse_address(self.name))) if is_right else Rejected(0.0)


class MemoryBlacklist:
    """Who is on it, and for how long; nobody is looked up in it."""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[str, float | None]] = {}

    def find(self, address: str) -> Entry | None:
        return None

    def add(self, address: str, reason: str, seconds: float | None) -> Entry:
        self.entries[address] = (reason, seconds)
        return Entry(ipaddress.ip_network(address), reason, 0.0, seconds or math.inf)


def make_porter(settings: BlacklistSettings | None = None) -> Porter:
    return Porter(settings or BlacklistSettings(), MemoryBlacklist(), lambda: 0.0, lambda: 1_800_000_000.0)


def make_door(**changes: Any) -> Door:
    accounts = {f"{user}@{DOMAIN}": Account(parse_address(f"{user}@{DOMAIN}")) for user in USERS}
    site = Site("hq", (), Delivery.RELAY, (NextHop("smart.example"),))
    door = Door(
        hostname=f"mx.{DOMAIN}",
        table=RoutingTable(f"mx.{DOMAIN}", frozenset({DOMAIN}), {"hq": site}, "hq"),
        directory=Directory([DOMAIN], lambda: accounts, dict),
        depositor=MemoryDepositor(),  # type: ignore[arg-type]
        room=Space(),
        authenticator=OnlyAlice(),
        rules=(),
        limits=Limits(),
        largest_message=1024 * 1024,
        most_recipients=100,
        most_sessions=1000,
        most_sessions_of_client=50,
        clock=lambda: 1_800_000_000.0,
        porter=make_porter(),
    )
    return replace(door, **changes)


@dataclass
class Visit:
    """A session and both its ends."""

    session: Session
    wire: MemoryWire
    depositor: MemoryDepositor

    def say(self, *pieces: bytes) -> bytes:
        """What was answered to `pieces`, sent one after another."""
        before = len(self.wire.sent)
        for piece in pieces:
            self.session.receive(piece)
        return self.wire.sent[before:]


def open_session(may_relay: bool = False, terms: ListenerTerms | None = None, **changes: Any) -> Visit:
    door = make_door(**changes)
    wire = MemoryWire()
    terms = terms or ListenerTerms(is_submission=False, starttls=True, auth=("PLAIN", "LOGIN"))
    welcome = Welcome(may_relay, False, "hq" if may_relay else "", "a test says so")
    session = Session(door, terms, welcome, "192.0.2.9", wire)
    session.begin()
    return Visit(session, wire, door.depositor)  # type: ignore[arg-type]
