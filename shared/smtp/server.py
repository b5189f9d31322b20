"""The server's side of an SMTP conversation (RFC 5321, 2920, 3030, 3207, 4954), without I/O: bytes in, events out.

`receive` bytes, take events with `next_event`, answer those that owe an answer with `reply`, send what `take_output`
gives. While an answer is owed the next command waits, however far ahead the client has pipelined, so replies leave in
the order of the commands. What is malformed or comes at the wrong time is answered here; whether a sender, a
recipient or a message is welcome is decided above, by whoever holds the conversation.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from shared.mail.envelope import Body
from shared.mail.record import dataclass
from shared.mail.reply import Reply
from shared.smtp import replies
from shared.smtp.data import ChunkDecoder, DotDecoder
from shared.smtp.events import (
    AuthAnswered,
    AuthAsked,
    ChunkBegun,
    ChunkEnded,
    ContentReceived,
    DataAsked,
    Event,
    HelloSaid,
    HelpAsked,
    HungUp,
    MessageEnded,
    MessageSpoiled,
    QuitSaid,
    TlsAsked,
    TransactionReset,
    VerifyAsked,
)
from shared.smtp.extensions import Offer
from shared.smtp.grammar import SyntaxFault, parse_mail, parse_rcpt
from shared.smtp.transitions import NEXT, VERBS, XCLIENT, State, sequence_reply
from shared.smtp.xclient import parse_xclient

#  What a positive reply to them changes stands in the table, and nothing else changes.
_AS_THE_TABLE_SAYS = frozenset({"MAIL", "RCPT"})
_NO_ARGUMENT = frozenset({"DATA", "RSET", "QUIT", "STARTTLS"})
#  The other languages that web pages and lost programs speak at us: nothing they say is answered as mail.
_OTHER_PROTOCOLS = frozenset(
    ["GET", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS", "DELETE", "PATCH", "TRACE", "HOST:"]
)
_PRINTABLE = bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))


class _Mode(Enum):
    """What the next octets are."""

    COMMAND = "a command line"
    SKIP = "the rest of a line that is too long"
    DATA = "message content up to the final dot"
    CHUNK = "message content, counted"
    SWALLOW = "a chunk of a message that is refused"
    CHALLENGE = "the answer to a 334"
    TLS = "nothing: a handshake comes next"
    CLOSED = "nothing: the session is over"


class _Step(Enum):
    """How a look at the buffer ended, if not with an event."""

    GO_ON = "something was used up; look again"
    WAIT = "more octets are needed"


#  Named once, as each look at the buffer asks for them.
_COMMAND: Final = _Mode.COMMAND
_DATA: Final = _Mode.DATA
_GO_ON: Final = _Step.GO_ON
_WAIT: Final = _Step.WAIT
#  They hold nothing, so one of each is enough.
_DATA_ASKED, _MESSAGE_ENDED = DataAsked(), MessageEnded()


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a client may say. Octets for lines, the rest are counts.

    RFC 5321 §4.5.3.1.4 asks for 512 octets of command and the extensions for some hundred more; RFC 4954 §4 for 12288
    in authentication. `errors` counts refused commands of a session, `idle_commands` those that ask for nothing and
    `commands` all of them, since the last message that was taken.
    """

    line: int = 2048
    auth_line: int = 12288
    errors: int = 20
    idle_commands: int = 200
    commands: int = 10_000


class ServerConversation:
    """One client's conversation. The holder may replace `offer` whenever no reply is owed."""

    def __init__(self, offer: Offer, limits: Limits | None = None) -> None:
        self.offer = offer
        self.limits = limits or Limits()
        self.state = State.START
        self.is_extended = False
        self.is_encrypted = False
        self.is_authenticated = False
        self.errors = 0
        self.home = ""  #  the domain of addresses that are given without one (RFC 6409 §4.2); empty: they are errors
        self._idle_commands = 0
        self._commands = 0
        self._longest = self.limits.line
        self._most_commands = self.limits.commands
        self._mode = _COMMAND
        self._buffer = b""
        self._output = b""
        self._owed: str | None = None  #  the verb whose reply is owed; END for the end of a message
        self._hung_up = ""  #  the reason, until it is told
        self._too_long = replies.LINE_TOO_LONG
        self._refused_recipients = False
        self._smtputf8 = False
        self._is_binary = False
        self._dots: DotDecoder | None = None
        self._chunks: ChunkDecoder | None = None
        self._is_last_chunk = False
        self._swallow = 0

    # ---- what the holder does ------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Octets from the client, cut anywhere."""
        self._buffer = self._buffer + data if self._buffer else data

    @property
    def unread(self) -> int:
        """Octets received and not yet looked at: above some KiB the holder should pause the client."""
        return len(self._buffer)

    def is_waited_for(self, most: int) -> bool:
        """Whether a reply is owed and the client has said more than `most` octets behind it."""
        return self._owed is not None and len(self._buffer) > most

    @property
    def owes_reply(self) -> bool:
        return self._owed is not None

    @property
    def is_receiving_content(self) -> bool:
        return self._mode in (_Mode.DATA, _Mode.CHUNK, _Mode.SWALLOW)

    def take_output(self) -> bytes:
        """Everything to be sent now, replies to pipelined commands joined into one write (RFC 2920 §3.2)."""
        output, self._output = self._output, b""
        return output

    def greet(self, text: str) -> None:
        """The 220 that opens the conversation (RFC 5321 §3.1)."""
        self._output += replies.greeting(text).wire

    def reply(self, reply: Reply) -> None:
        """Answer the command that waits for it; the state follows from the answer."""
        verb = self._owed
        if verb is None:
            raise RuntimeError("no reply is owed")
        self._owed = None
        self._output += reply.wire
        if verb in _AS_THE_TABLE_SAYS and reply.code < 400:
            self.state = NEXT[self.state, verb]
            return
        if verb == "AUTH":
            self._after_auth(reply)
        elif reply.code < 400:
            self._after_success(verb)
        elif verb == "RCPT":
            self._refused_recipients = True
        elif verb in ("DATA", "BDAT", "END"):
            self._forget_transaction()
        if reply.code == 421:
            self._mode = _Mode.CLOSED
        elif reply.code >= 500:
            self._count_error()

    def tls_started(self) -> None:
        """The handshake has begun: everything that was said in clear is forgotten (RFC 3207 §4.2)."""
        if self._mode is not _Mode.TLS:
            raise RuntimeError("STARTTLS was not agreed")
        self._buffer = b""
        self.is_encrypted = True
        self.is_extended = False
        self._idle_commands = 0
        self._mode = _Mode.COMMAND
        self._forget_transaction()
        self.state = State.START

    def next_event(self) -> Event | None:
        """The next thing the client has said; None when more octets, or a reply, must come first."""
        while self._owed is None:
            mode = self._mode
            if mode is _COMMAND:
                if not self._buffer:
                    return None
                step = self._next_command()
            elif mode is _DATA:
                step = self._next_data()
            else:
                step = self._next_of_rare(mode)
            if step is _WAIT:
                return None
            if step is not _GO_ON:
                return step
        return None

    def _next_of_rare(self, mode: _Mode) -> Event | _Step:
        match mode:
            case _Mode.CHUNK:
                return self._next_chunk()
            case _Mode.SWALLOW:
                return self._swallow_chunk()
            case _Mode.CHALLENGE:
                return self._next_answer()
            case _Mode.SKIP:
                return self._skip_line()
            case _:
                return self._closed()

    # ---- command lines ---------------------------------------------------------------------------------------------

    def _next_command(self) -> Event | _Step:
        line, end, rest = self._buffer.partition(b"\r\n")
        if not (end and len(line) < self._longest and line.isascii() and (text := line.decode()).isprintable()):
            return self._next_odd_command()
        self._buffer = rest
        self._commands += 1
        if self._commands > self._most_commands:
            return self._hang_up(replies.TOO_MANY_COMMANDS)
        verb, _, argument = text.partition(" ")
        if argument:
            argument = argument.strip(" ")
        if (self.state, verb) not in NEXT or (argument and verb in _NO_ARGUMENT):
            return self._say(verb.upper(), argument)
        try:
            return self._command(verb, argument)
        except SyntaxFault as fault:
            return self._refuse(fault.reply)

    def _next_odd_command(self) -> Event | _Step:
        """A line that is not all there, is very long, or holds something else than printable ASCII."""
        longest = self.limits.line
        if self.offer.auth and self._buffer[:5].upper() == b"AUTH ":
            longest = self.limits.auth_line  #  an initial response may be as long as any other (RFC 4954 §4)
        line = self._take_line(longest, replies.LINE_TOO_LONG)
        if not isinstance(line, bytes):
            return line
        self._commands += 1
        if self._commands > self._most_commands:
            return self._hang_up(replies.TOO_MANY_COMMANDS)
        if line.translate(None, _PRINTABLE):
            #  A TLS handshake spoken at a plain port begins so; an error to every piece of it would help nobody.
            return self._hang_up(replies.NOT_SMTP) if line[0] == 0x16 else self._refuse(replies.CONTROL_CHARACTER)
        word, _, rest = line.partition(b" ")
        verb = word.upper().decode("latin-1")
        try:
            argument = rest.strip(b" ").decode("utf-8")
        except UnicodeDecodeError:
            if not self._knows(verb):
                return self._unknown(verb)
            return self._refuse_chunk("", replies.NOT_UTF8) if verb == "BDAT" else self._refuse(replies.NOT_UTF8)
        return self._say(verb, argument)

    def _knows(self, verb: str) -> bool:
        return verb in VERBS or (verb == XCLIENT and self.offer.xclient)

    def _unknown(self, verb: str) -> _Step:
        is_foreign = verb in _OTHER_PROTOCOLS or verb.startswith("SSH-")
        return self._hang_up(replies.NOT_SMTP) if is_foreign else self._refuse(replies.UNKNOWN_COMMAND)

    def _say(self, verb: str, argument: str) -> Event | _Step:
        """A command; its verb, in upper case, need not be one (RFC 5321 §2.4: case does not matter)."""
        if (self.state, verb) not in NEXT:
            return self._out_of_sequence(verb, argument) if self._knows(verb) else self._unknown(verb)
        if argument and verb in _NO_ARGUMENT:
            return self._refuse(replies.NO_ARGUMENT_HERE)
        try:
            return self._command(verb, argument)
        except SyntaxFault as fault:
            return self._refuse(fault.reply)

    def _take_line(self, longest: int, too_long: Reply) -> bytes | _Step:
        """The next line without its end. A line end is CRLF; a bare LF ends the line too, but in an error."""
        buffer = self._buffer
        end = buffer.find(b"\n")
        if end > longest or (end < 0 and len(buffer) > longest):
            self._too_long = too_long
            self._mode = _Mode.SKIP
            return _Step.GO_ON
        if end < 0:
            return _Step.WAIT
        self._buffer = buffer[end + 1 :]
        if end == 0 or buffer[end - 1] != 13:
            self._mode = _Mode.COMMAND
            return self._refuse(replies.BARE_LINE_END)
        return buffer[: end - 1]

    def _skip_line(self) -> _Step:
        end = self._buffer.find(b"\n")
        if end < 0:
            self._buffer = b""
            return _Step.WAIT
        self._buffer = self._buffer[end + 1 :]
        self._mode = _Mode.COMMAND
        return self._refuse(self._too_long)

    def _command(self, verb: str, argument: str) -> Event | _Step:
        """A command that may come now. Raises SyntaxFault."""
        match verb:
            case "MAIL":
                return self._mail(argument)
            case "RCPT":
                return self._owe(verb, parse_rcpt(argument, self._smtputf8, self.home))
            case "DATA":
                return self._refuse(replies.BINARY_WANTS_CHUNKS) if self._is_binary else self._owe(verb, _DATA_ASKED)
            case "QUIT":
                return self._small_command(verb, argument)
            case "BDAT":
                return self._begin_chunk(argument)
            case "EHLO" | "HELO":
                return self._hello(verb, argument)
            case "STARTTLS":
                return self._starttls()
            case "AUTH":
                return self._auth(argument)
            case "XCLIENT":
                return self._introduce(argument)
            case _:
                return self._small_command(verb, argument)

    def _small_command(self, verb: str, argument: str) -> Event | _Step:
        """A command that moves nothing; a client that says nothing else is sent away in the end."""
        self._idle_commands += 1
        if self._idle_commands > self.limits.idle_commands:
            return self._hang_up(replies.TOO_MANY_COMMANDS)
        match verb:
            case "RSET":
                return self._owe(verb, TransactionReset())
            case "QUIT":
                return self._owe(verb, QuitSaid())
            case "HELP":
                return self._owe(verb, HelpAsked(argument))
            case "VRFY":
                return self._owe(verb, VerifyAsked(argument))
            case "NOOP":
                self._output += replies.OK.wire
                return _Step.GO_ON
            case _:
                return self._refuse(replies.NOT_IMPLEMENTED)

    def _mail(self, argument: str) -> Event | _Step:
        if not self.is_extended and "> " in argument:
            return self._refuse(replies.PARAMETERS_WANT_EHLO)
        sender = parse_mail(argument, self.home)
        if sender.requiretls and not self.offer.requiretls:
            return self._refuse(replies.TLS_NOT_REQUIRABLE)
        self._smtputf8 = sender.smtputf8
        self._is_binary = sender.body is Body.BINARY
        return self._owe("MAIL", sender)

    def _hello(self, verb: str, name: str) -> Event | _Step:
        if not name or not name.isascii():
            return self._refuse(replies.HELLO_WANTS_NAME)
        return self._owe(verb, HelloSaid(name[:255], verb == "EHLO"))

    def _starttls(self) -> Event | _Step:
        if self.is_encrypted:
            return self._refuse(replies.TLS_ALREADY)
        if not self.offer.starttls:
            return self._refuse(replies.TLS_NOT_OFFERED)
        if self._buffer:
            #  What stands behind STARTTLS would be read as if TLS had protected it.
            return self._hang_up(replies.COMMANDS_BEHIND_TLS)
        return self._owe("STARTTLS", TlsAsked())

    def _introduce(self, argument: str) -> Event | _Step:
        if not self.offer.xclient:
            return self._unknown(XCLIENT)
        introduced = parse_xclient(argument)
        if self._buffer:
            return self._refuse(replies.XCLIENT_COMES_LAST)
        return self._owe(XCLIENT, introduced)

    def _out_of_sequence(self, verb: str, argument: str) -> Event | _Step:
        reply = sequence_reply(self.state, verb, self._refused_recipients)
        #  The content of a BDAT is on the way whatever we answer; read as commands it would be smuggled.
        return self._refuse_chunk(argument, reply) if verb == "BDAT" else self._refuse(reply)

    # ---- AUTH ------------------------------------------------------------------------------------------------------

    def _auth(self, argument: str) -> Event | _Step:
        if self.is_authenticated:
            return self._refuse(replies.AUTH_ALREADY)
        if not self.offer.auth:
            needs_tls = self.offer.starttls and not self.is_encrypted
            return self._refuse(replies.AUTH_NEEDS_TLS if needs_tls else replies.AUTH_NOT_OFFERED)
        mechanism, _, initial = argument.partition(" ")
        if not mechanism or " " in initial:
            return self._refuse(replies.AUTH_SYNTAX)
        if mechanism.upper() not in self.offer.auth:
            return self._refuse(replies.AUTH_MECHANISM)
        return self._owe("AUTH", AuthAsked(mechanism.upper(), initial.encode() if initial else None))

    def _next_answer(self) -> Event | _Step:
        line = self._take_line(self.limits.auth_line, replies.AUTH_TOO_LONG)
        if not isinstance(line, bytes):
            return line
        return self._owe("AUTH", AuthAnswered(None if line == b"*" else line))

    def _after_auth(self, reply: Reply) -> None:
        self._mode = _Mode.CHALLENGE if reply.code == 334 else _Mode.COMMAND
        if reply.code == 235:
            self.is_authenticated = True

    # ---- message content -------------------------------------------------------------------------------------------

    def _next_data(self) -> Event | _Step:
        dots = self._dots
        assert dots is not None
        if not dots.is_ended:
            if not self._buffer:
                return _Step.WAIT
            data, self._buffer = self._buffer, b""
            content = dots.feed(data)
            if content:
                return ContentReceived(content)
            if not dots.is_ended:
                return _Step.WAIT
        self._buffer, dots.rest = dots.rest, b""
        self._mode = _Mode.COMMAND
        return self._end_message(dots.fault)

    def _begin_chunk(self, argument: str) -> Event | _Step:
        size, is_last = _parse_chunk(argument)
        if size < 0:
            return self._refuse_chunk(argument, replies.BAD_CHUNK_SIZE)
        self._is_last_chunk = is_last
        self._mode = _Mode.CHUNK
        if self._chunks is not None:
            self._chunks.begin(size)
            return _Step.GO_ON
        self._chunks = ChunkDecoder(self.offer.size, self._is_binary)
        self._chunks.begin(size)
        self.state = NEXT[self.state, "BDAT"]
        return ChunkBegun()

    def _next_chunk(self) -> Event | _Step:
        chunks = self._chunks
        assert chunks is not None
        if chunks.missing:
            if not self._buffer:
                return _Step.WAIT
            content, self._buffer = chunks.feed(self._buffer)
            return ContentReceived(content) if content else _Step.GO_ON
        self._mode = _Mode.COMMAND
        if self._is_last_chunk:
            chunks.finish()
        if self._is_last_chunk or chunks.fault:
            return self._end_message(chunks.fault)
        return self._owe("BDAT", ChunkEnded(chunks.size))

    def _refuse_chunk(self, argument: str, reply: Reply) -> Event | _Step:
        """Refuse a BDAT and let its content pass unread; where its size cannot be known, or is absurd, hang up."""
        size, _ = _parse_chunk(argument)
        if size < 0 or size > 2 * self.offer.size:
            return self._hang_up(reply)
        self._swallow = size
        self._mode = _Mode.SWALLOW
        return self._refuse(reply)

    def _swallow_chunk(self) -> _Step:
        taken = min(self._swallow, len(self._buffer))
        self._buffer = self._buffer[taken:]
        self._swallow -= taken
        if self._swallow:
            return _Step.WAIT
        if self._mode is _Mode.SWALLOW:
            self._mode = _Mode.COMMAND
        return _Step.GO_ON

    def _end_message(self, fault: Reply | None) -> Event:
        self._idle_commands = 0
        if fault is None:
            return self._owe("END", _MESSAGE_ENDED)
        self._output += fault.wire
        self._forget_transaction()
        self._count_error()
        return MessageSpoiled(fault.text)

    # ---- what follows from a reply ---------------------------------------------------------------------------------

    def _owe(self, verb: str, event: Event) -> Event:
        self._owed = verb
        return event

    def _after_success(self, verb: str) -> None:
        match verb:
            case "DATA":
                self._dots = DotDecoder(self.offer.size)
                self._mode = _Mode.DATA
                return
            case "END":
                self._commands = 0
                self._forget_transaction()
                return
            case "RSET":
                self._forget_transaction()
                return
            case "EHLO" | "HELO":
                self._forget_transaction()
                self.is_extended = verb == "EHLO"
            case "STARTTLS":
                self._mode = _Mode.TLS
            case "QUIT":
                self._mode = _Mode.CLOSED
        self.state = NEXT[self.state, verb]

    def _forget_transaction(self) -> None:
        self._dots = self._chunks = None
        self._refused_recipients = self._smtputf8 = self._is_binary = False
        if self.state is not State.START:
            self.state = State.READY

    def _refuse(self, reply: Reply) -> _Step:
        self._output += reply.wire
        self._count_error()
        return _Step.GO_ON

    def _count_error(self) -> None:
        self.errors += 1
        if self.errors >= self.limits.errors:
            self._hang_up(replies.TOO_MANY_ERRORS)

    def hang_up(self, reply: Reply) -> None:
        """The last word, when no reply is owed; HungUp comes next."""
        if self._mode is not _Mode.CLOSED:
            self._hang_up(reply)

    def _hang_up(self, reply: Reply) -> _Step:
        self._output += reply.wire
        self._mode = _Mode.CLOSED
        self._hung_up = reply.text
        return _Step.GO_ON

    def _closed(self) -> Event | _Step:
        if self._mode is _Mode.CLOSED:
            self._buffer = b""
        if self._hung_up:
            reason, self._hung_up = self._hung_up, ""
            return HungUp(reason)
        return _Step.WAIT


def _parse_chunk(argument: str) -> tuple[int, bool]:
    """RFC 3030 §2   bdat-cmd = "BDAT" SP chunk-size [ SP "LAST" ]; the size is -1 when this is something else."""
    size, _, end = argument.partition(" ")
    if not (size.isascii() and size.isdigit() and len(size) <= 20) or end.strip().upper() not in ("", "LAST"):
        return -1, False
    return int(size), bool(end)
