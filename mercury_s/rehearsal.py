"""A dry session: what the rules in force would answer a client, command by command, with nothing deposited.

`python -m mercury_s.rehearsal --config FILE --from IP` speaks SMTP on its standard streams; `mercury session` starts
it. It is the session that clients get (session.py) behind another wire and before a spool that takes nothing. Why
something is refused is said in lines that begin with `#`. TLS is only said: after STARTTLS all is as if encrypted.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

from mercury_s.accounts import People
from mercury_s.admission import admit
from mercury_s.auth.client_certificate import ClientCertificate
from mercury_s.auth.failures import Failures
from mercury_s.config import FreeSpace, listener_terms, make_door
from mercury_s.door import Door, ListenerTerms, Visitors
from mercury_s.local.directory import Alias, Mailbox
from mercury_s.policy.crowd import descriptors_for_sessions
from mercury_s.policy.patience import Phase
from mercury_s.policy.verdict import Refuse
from mercury_s.porter import Porter
from mercury_s.session import Session
from mercury_s.throttle import Throttle
from shared.config.load import ConfigErrors, load
from shared.config.model import Config
from shared.mail.address import AddressError, parse_address
from shared.mail.record import dataclass
from shared.mail.reply import printable
from shared.observe import events
from shared.observe.log import Fields, log
from shared.service.once import run_once
from shared.service.site_words import table_in_force
from shared.service.trouble import StartTrouble
from shared.spool.deposit import Depositor, Letter
from shared.spool.spool import Spool
from shared.state.blacklist import Entry
from shared.state.blacklist_file import BlacklistFile

_LOOK_SECONDS = 0.005
EXIT_DONE, EXIT_TROUBLE, EXIT_CONFIG = 0, 1, 2
_UNSAID = frozenset({events.SESSION_OPENED, events.SESSION_CLOSED, events.MESSAGE_ACCEPTED})


class NoDraft:
    """Counts what a message would have been, and keeps nothing."""

    def __init__(self, letters: Sequence[Letter]) -> None:
        self.size = 0
        self._letters = letters

    def write(self, chunk: bytes) -> None:
        self.size += len(chunk)

    def backlog(self) -> int:
        return 0

    def on_drained(self, callback: Callable[[], None]) -> None:
        callback()

    def commit(self, done: Callable[[OSError | None], None]) -> None:
        for letter in self._letters:
            people = ", ".join(str(recipient.address) for recipient in letter.envelope.recipients)
            _remark(f"not deposited: {self.size} octets for {people} would wait in the lane {letter.lane.word}")
        asyncio.get_running_loop().call_soon(done, None)

    def abandon(self) -> None: ...


class NoDepositor:
    """Satisfies what an Acceptance asks of shared.spool.deposit.Depositor."""

    def next_id(self) -> str:
        return "DRY-RUN"

    def draft(self, letters: Sequence[Letter]) -> NoDraft:
        return NoDraft(letters)


class Unwritten:
    """The blacklist as it is; nobody is added to it."""

    def __init__(self, blacklist: BlacklistFile) -> None:
        self._blacklist = blacklist

    def find(self, address: str) -> Entry | None:
        return self._blacklist.find(address)

    def add(self, address: str, reason: str, seconds: float | None) -> Entry:
        _remark(f"{address} would be on the blacklist now: {reason}")
        return Entry(ipaddress.ip_network(address), reason, time.time(), time.time(), "rehearsal")


class Terminal:
    """Satisfies mercury_s.wire.Wire."""

    def __init__(self) -> None:
        self.is_closed = False
        self.last = ""  #  line that was said

    def send(self, data: bytes) -> None:
        for line in data.decode("utf-8", "replace").split("\r\n")[:-1]:
            self.last = printable(line)
            print(self.last, flush=True)

    def start_tls(self) -> None:
        _remark("the handshake would be here; from now on as if encrypted")

    def close(self) -> None:
        self.is_closed = True

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def read_at_once(self, octets: int) -> None: ...

    def introduce(self, address: str, is_encrypted: bool) -> None:
        _remark(f"a session with {address or 'the same client'} would begin; give that address with --from")
        self.is_closed = True

    def tls_words(self) -> str:
        return "TLS, as if"

    def channel_binding(self) -> bytes | None:
        return None

    def client_certificate(self) -> ClientCertificate | None:
        return None

    def own_address(self) -> str:
        return "127.0.0.1"


def _remark(text: str) -> None:
    print(f"# {printable(text)}", flush=True)


def _explain(name: str, fields: Fields) -> None:
    """What an event says besides the reply that is shown anyway."""
    if name not in _UNSAID:
        said = {key: value for key, value in fields.items() if key not in ("reply", "client") and value}
        rest = ", ".join(f"{key} {value}" for key, value in said.items())
        _remark(f"{name.replace('-', ' ')}: {rest}" if rest else name.replace("-", " "))


@dataclass(frozen=True, slots=True)
class Part:
    """Who plays the client. `port` 0: the first listener."""

    client: str
    port: int = 0
    is_encrypted: bool = False
    login: str = ""


async def rehearse(config: Config, part: Part) -> None:
    """One session over the standard streams. Raises LookupError for a port or a login that there is not."""
    listener = next((one for one in config.receive.listeners if part.port in (0, one.port)), None)
    if listener is None:
        raise LookupError(f"no listener has port {part.port}")
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as executor, log.watched(_explain):
        #  Secrets that a daemon would make at its first start are not made in its folder, nor by another account.
        own = config.replaced(state=Path(folder))
        with contextlib.suppress(OSError):
            shutil.copy2(config.state / "srs.key", folder)
        people = People(own, executor, Failures(time.monotonic))
        terms = listener_terms(listener, bool(config.tls.pairs), people.authenticator.mechanisms)
        try:
            await _talk(_door(config, people), terms, part, people)
        finally:
            await people.authenticator.close()


def _door(config: Config, people: People) -> Door:
    blacklist = Unwritten(BlacklistFile(config.state, time.time, time.monotonic, "rehearsal", lambda error: None))
    return make_door(
        config,
        table_in_force(config),
        people,
        cast(Depositor, NoDepositor()),
        FreeSpace(Spool(config.spool, config.hostname)),
        Porter(config.receive.blacklist, blacklist, time.monotonic, time.time),
        Throttle(config.receive.rates, time.monotonic),
    )


async def _talk(door: Door, terms: ListenerTerms, part: Part, people: People) -> None:
    client = part.client
    most = descriptors_for_sessions(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    admitted = admit(door, terms, Visitors(), client, 0, most)
    if isinstance(admitted, Refuse):
        _remark(f"turned away: {admitted.reason}")
        print(printable(str(admitted.reply)))
        return
    _remark(f"let in: {admitted.welcome.reason or 'anybody may come'}")
    wire = Terminal()
    session = Session(door, terms, admitted.welcome, client, wire, part.is_encrypted or terms.implicit_tls)
    if part.login:
        account = people.accounts.lookup(parse_address(part.login).key)
        if account is None:
            raise LookupError(f"there is no account {part.login}")
        session.assume(account.key, account.address)
    session.begin()
    loop = asyncio.get_running_loop()
    while not wire.is_closed:
        line = await loop.run_in_executor(None, sys.stdin.buffer.readline)
        if not line:
            break
        session.receive(line.rstrip(b"\r\n") + b"\r\n")
        await _answered(session, wire)
        _say_who(line, wire, people)
    session.lost()


async def _answered(session: Session, wire: Terminal) -> None:
    """Until the line has its answer: what takes its time, as a login does, is looked for again and again."""
    while session.phase is Phase.OURSELVES and not wire.is_closed:  # noqa: ASYNC110 - a session tells nobody
        await asyncio.sleep(_LOOK_SECONDS)


def _say_who(line: bytes, wire: Terminal, people: People) -> None:
    """Behind the name of a recipient that was accepted: whose mailbox it is, or where its alias leads."""
    if line[:8].upper() != b"RCPT TO:" or not wire.last.startswith("250"):
        return
    with contextlib.suppress(AddressError):
        address = parse_address(line.partition(b"<")[2].partition(b">")[0].decode("utf-8", "replace"))
        if not people.directory.is_local(address):
            return
        found = people.directory.find(address)
        if isinstance(found, Alias):
            expansion = people.directory.expand(found)
            boxes = [f"the mailbox {account.address}" for account in expansion.mailboxes.values()]
            named = [*boxes, *map(str, (*expansion.remote.values(), *expansion.lists.values()))]
            _remark(f"{address} is an alias for {', '.join(named) or 'nobody'}")
        elif isinstance(found, Mailbox):
            _remark(f"{address} is the mailbox {found.account.address}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="mercury-s rehearsal", description="A dry SMTP session.")
    parser.add_argument("--config", required=True, type=Path)
    parser.add_argument("--from", dest="client", required=True, help="the IP address of the client")
    parser.add_argument("--port", type=int, default=0, help="of the listener; the first there is, unless given")
    parser.add_argument("--tls", action="store_true", help="as if TLS had begun")
    parser.add_argument("--login", default="", help="as if this account had logged in")
    given = parser.parse_args()
    try:
        config = load(given.config)
        part = Part(given.client, given.port, given.tls or bool(given.login), given.login)
        run_once(lambda reactor: rehearse(config, part))
    except ConfigErrors as errors:
        print("\n".join(map(str, errors.problems)), file=sys.stderr)
        return EXIT_CONFIG
    except (OSError, StartTrouble, LookupError, AddressError) as error:
        print(f"mercury: {error}", file=sys.stderr)
        return EXIT_TROUBLE
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
