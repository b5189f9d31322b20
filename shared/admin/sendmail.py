"""`mercury-sendmail`: the command by which programs of this host send mail, as sendmail(8) has been called for ever.

Who may write to the spool deposits there, durably, whether daemons run or not; for everybody else the message goes
into the pickup folder, from which MercuryS takes it. Ends with the codes of sysexits(3). The listing (-bp) is
mailq.py, SMTP on standard input (-bs) is sendmail_dialogue.py.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from shared.mail.handwritten import Wish
from shared.mail.record import dataclass
from shared.mail.reply import printable

if TYPE_CHECKING:
    #  Imported where they are used: somebody who only drops a message into the pickup folder shall not wait for them.
    from shared.config.model import Config
    from shared.mail.envelope import Envelope

EX_OK, EX_USAGE, EX_DATAERR, EX_UNAVAILABLE, EX_SOFTWARE = 0, 64, 65, 69, 70
EX_CANTCREAT, EX_IOERR, EX_TEMPFAIL, EX_NOPERM, EX_CONFIG = 73, 74, 75, 77, 78

DEFAULT_CONFIG = "/etc/mercury/mercury.yaml"
DEFAULT_PICKUP = "/var/spool/mercury-pickup"

#  Options whose value stands behind them, in the same word or in the next.
_WITH_VALUE = frozenset("bBCdfFhLNoOpqrRVX")
#  Of these the value may be missing, and is never the next word.
_ATTACHED = frozenset("dqp")


class Stop(Exception):
    """The end, with its code and what to say about it."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Call:
    """What the command line asks for. `mode` is the letter of -b: m, s, p, v, i."""

    wish: Wish = field(default_factory=Wish)
    mode: str = "m"
    ends_at_dot: bool = True
    config: str = ""


def read_call(arguments: Sequence[str]) -> Call:
    """Options of other mailers that mean nothing here (-oem, -odb, -v, -L) are taken without effect. Raises Stop."""
    call = Call()
    words = list(arguments)
    recipients: list[str] = []
    while words:
        word = words.pop(0)
        if word == "--":
            recipients += words
            break
        if word == "--config":
            call = replace(call, config=_next(words, word))
        elif word.startswith("--config="):
            call = replace(call, config=word.removeprefix("--config="))
        elif not word.startswith("-") or word == "-":
            recipients.append(word)
        else:
            call = _read_letters(call, word[1:], words)
    return replace(call, wish=replace(call.wish, recipients=tuple(recipients)))


def _read_letters(call: Call, letters: str, words: list[str]) -> Call:
    while letters:
        letter, letters = letters[0], letters[1:]
        value = ""
        if letter in _WITH_VALUE:
            value, letters = letters, ""
            if not value and letter not in _ATTACHED:
                value = _next(words, f"-{letter}")
        call = _apply(call, letter, value)
    return call


def _apply(call: Call, letter: str, value: str) -> Call:
    wish = call.wish
    match letter:
        case "t":
            return replace(call, wish=replace(wish, by_header=True))
        case "i":
            return replace(call, ends_at_dot=False)
        case "o" if value == "i":
            return replace(call, ends_at_dot=False)
        case "f" | "r":
            return replace(call, wish=replace(wish, sender=value))
        case "F":
            return replace(call, wish=replace(wish, full_name=value))
        case "N":
            return replace(call, wish=replace(wish, notify=value))
        case "R":
            return replace(call, wish=replace(wish, ret=value))
        case "V":
            return replace(call, wish=replace(wish, envid=value))
        case "q":
            return replace(call, mode="q")
        case "I":
            return replace(call, mode="i")
        case "b" if value in ("m", "s", "p", "v", "i"):
            return replace(call, mode=value)
        case "b":
            raise Stop(EX_USAGE, f"-b{value} is not known here: there is -bm, -bs, -bp, -bv and -bi")
        case "B" | "C" | "d" | "h" | "L" | "o" | "O" | "p" | "X" | "A" | "G" | "U" | "m" | "n" | "v" | "x" | "e":
            return call
        case _:
            raise Stop(EX_USAGE, f"-{letter} is not known here")


def _next(words: list[str], option: str) -> str:
    if not words:
        raise Stop(EX_USAGE, f"{option} wants a value")
    return words.pop(0)


def read_message(source: BinaryIO, ends_at_dot: bool) -> bytes:
    """Standard input to its end; with `ends_at_dot`, to a line that is a dot alone."""
    if not ends_at_dot:
        return source.read()
    lines = []
    for line in source:
        if line.rstrip(b"\r\n") == b".":
            break
        lines.append(line)
    return b"".join(lines)


# ---- where a message goes ------------------------------------------------------------------------------------------


class Outbox:
    """Where this caller's mail goes; `put` gives the queue id, or nothing when MercuryS will give it one."""

    def put(self, wish: Wish, raw: bytes) -> str:
        raise NotImplementedError


class SpoolOutbox(Outbox):
    """Straight into the spool."""

    def __init__(self, config: Config, uid: int, name: str) -> None:
        from shared.service.injection import Counter, Writer, is_trusted
        from shared.spool.spool import Spool

        self._config = config
        self._spool = Spool(config.spool, socket.gethostname())
        self._counter = Counter.of(config)
        own = os.stat(self._spool.root).st_uid
        self._writer = Writer(uid, name, is_trusted(uid, name, {own}, config.receive.pickup.trusted))

    def put(self, wish: Wish, raw: bytes) -> str:
        from shared.service.injection import Unfit

        try:
            id, envelope, message = asyncio.run(self._deposit(wish, raw))
        except Unfit as unfit:
            raise Stop(EX_DATAERR, str(unfit)) from unfit
        except OSError as error:
            raise Stop(EX_TEMPFAIL, f"the spool {self._spool.root} takes nothing: {error.strerror}") from error
        self._tell(envelope, message)
        return id

    async def _deposit(self, wish: Wish, raw: bytes) -> tuple[str, Envelope, bytes]:
        """Durable when it returns. Raises Unfit, OSError."""
        from shared.maildir.committer import Committer
        from shared.service.injection import compose
        from shared.spool.deposit import Depositor, deposit
        from shared.spool.ids import QueueIds

        loop = asyncio.get_running_loop()
        committer = Committer(loop.call_soon_threadsafe)
        #  A block of one: a command that sends one message should not use up thousands of ids.
        depositor = Depositor(self._spool, committer, QueueIds(self._spool.root, block=1))
        committer.start()
        try:
            id = depositor.next_id()
            letters, message = compose(self._counter, self._writer, wish, raw, id, time.time())
            await deposit(depositor, letters, message)
        finally:
            committer.stop()
        return id, letters[0].envelope, message

    def _tell(self, envelope: Envelope, message: bytes) -> None:
        """The event with which the story of a message begins, if the place for events is ours to write."""
        from shared.mail.header_value import value_of
        from shared.observe import events
        from shared.observe.log import EventLog
        from shared.observe.sinks import RecordFile

        try:
            records = RecordFile(self._config.state / "events" / "mercury-sendmail.jsonl")
        except OSError:
            return
        log = EventLog()
        log.open("mercury-sendmail", records=records)
        log.event(
            events.MESSAGE_ACCEPTED,
            id=envelope.id,
            client=envelope.client,
            sender=envelope.sender_text or "<>",
            recipient=",".join(str(one.address) for one in envelope.recipients[:20]),
            recipients=len(envelope.recipients),
            size=len(message),
            message_id=value_of(message[: message.find(b"\r\n\r\n")], b"message-id") or None,
        )
        log.close()


class PickupOutbox(Outbox):
    def __init__(self, folder: Path) -> None:
        from shared.spool.pickup import PickupFolder

        self._folder = PickupFolder(folder)

    def put(self, wish: Wish, raw: bytes) -> str:
        if not wish.recipients and not wish.by_header:
            raise Stop(EX_USAGE, "no recipient is given; -t takes them from the header")
        try:
            self._folder.put(wish, raw)
        except OSError as error:
            root = self._folder.root
            raise Stop(
                EX_TEMPFAIL,
                f"cannot put mail into {root}: {error.strerror}; MercuryS makes the folder when it starts",
            ) from error
        return ""


def open_outbox(path: str) -> Outbox:
    """The spool if it lets us in, else the pickup folder. Raises Stop."""
    uid = os.getuid()
    config = _load(path)
    if config is None:
        return PickupOutbox(Path(os.environ.get("MERCURY_PICKUP") or DEFAULT_PICKUP))
    if _become_owner(config.spool):
        return SpoolOutbox(config, uid, account_name(uid))
    return PickupOutbox(config.pickup_folder)


def _load(path: str) -> Config | None:
    """None when we may not read it, as is usual for accounts that have nothing to do with mail."""
    if not os.access(path, os.R_OK) and (
        os.path.exists(path) or not os.access(os.path.dirname(path) or ".", os.X_OK)
    ):
        return None
    from shared.config.load import ConfigErrors, load

    try:
        return load(Path(path))
    except ConfigErrors as errors:
        raise Stop(EX_CONFIG, str(errors.problems[0])) from errors
    except OSError as error:
        raise Stop(EX_CONFIG, f"{path}: {error.strerror}") from error


def _readable(path: str) -> Config:
    config = _load(path)
    if config is None:
        raise Stop(EX_NOPERM, "only root and the account of the daemons may see that")
    return config


def _become_owner(root: Path) -> bool:
    """Whether the spool is ours to write; root goes on as the account it belongs to."""
    from shared.spool.sharing import umask_for

    try:
        owner = os.stat(root)
    except OSError:
        return False
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)
    os.umask(umask_for(root))
    return os.access(root, os.R_OK | os.W_OK | os.X_OK, effective_ids=True) and (root / ".local" / "tmp").is_dir()


def account_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"


# ---- the command ---------------------------------------------------------------------------------------------------


def run(arguments: Sequence[str], given: BinaryIO, out: BinaryIO, say: Callable[[str], object]) -> int:
    """The exit code. `say` is for what standard error should hear."""
    try:
        call = read_call(arguments)
        path = call.config or os.environ.get("MERCURY_CONFIG") or DEFAULT_CONFIG
        return _do(call, path, given, out)
    except Stop as stop:
        if str(stop):
            say(printable(f"mercury-sendmail: {stop}"))
        return stop.code


def _do(call: Call, path: str, given: BinaryIO, out: BinaryIO) -> int:
    match call.mode:
        case "p":
            from shared.admin.mailq import print_queue

            return print_queue(_readable(path), out)
        case "i" | "q":
            return EX_OK  # aliases are read when they change; the queue is run when something is due
        case "s":
            from shared.admin.sendmail_dialogue import converse

            return converse(open_outbox(path), call.wish, given, out)
        case "v":
            return _verify(call.wish, path, out)
    if not call.wish.recipients and not call.wish.by_header:
        raise Stop(EX_USAGE, "no recipient is given; -t takes them from the header")
    open_outbox(path).put(call.wish, read_message(given, call.ends_at_dot))
    return EX_OK


def _verify(wish: Wish, path: str, out: BinaryIO) -> int:
    """-bv: where each recipient would go; nothing is sent."""
    config = _readable(path)
    from shared.mail.address import AddressError, parse_address
    from shared.routing.decide import decide_route
    from shared.service.injection import Counter

    counter = Counter.of(config)
    code = EX_OK
    for text in wish.recipients:
        try:
            address = parse_address(text if "@" in text else f"{text}@{counter.domain}")
            route = decide_route(counter.table, address, counter.table.here)
            out.write(f"{address}: {route.lane.word}: {route.reason}\n".encode())
        except AddressError as error:
            out.write(printable(f"{text}: {error}").encode() + b"\n")
            code = EX_DATAERR
    out.flush()
    return code


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> NoReturn:
    """Called as mailq or newaliases it is that."""
    arguments = sys.argv[1:]
    name = os.path.basename(sys.argv[0])
    if name in ("mailq", "mercury-mailq"):
        arguments = ["-bp", *arguments]
    elif name == "newaliases":
        arguments = ["-bi"]
    sys.exit(run(arguments, sys.stdin.buffer, sys.stdout.buffer, _say))


def mailq() -> NoReturn:
    sys.exit(run(["-bp", *sys.argv[1:]], sys.stdin.buffer, sys.stdout.buffer, _say))


if __name__ == "__main__":
    main()
