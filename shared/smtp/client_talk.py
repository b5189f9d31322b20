"""Taking turns: what has been said, which answers are owed, and what came of it.

The part of a client's conversation that is the same before and after it is open. The queue of owed answers is the
whole state: the first in it says what the next reply answers (RFC 2920 §3.1), and a reply to an empty queue ends the
conversation. Not here: what is said (client_opening.py, client.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from shared.mail.reply import Reply
from shared.smtp.client_events import Event
from shared.smtp.ehlo import NOTHING_OFFERED, Extensions
from shared.smtp.judge import End, Step
from shared.smtp.reply_parser import MalformedReply, ReplyParser


class Talk:
    """`after` says who takes the reply to a step. Whoever builds on this fills it in for the steps it takes."""

    def __init__(self) -> None:
        self._parser = ReplyParser()
        self._out: list[bytes] = []
        self._events: list[Event] = []
        self._owed: deque[Step] = deque([Step.GREETING])
        self._after: dict[Step, Callable[[Reply], None]] = {}
        self._awaits_tls = False
        self.extensions: Extensions = NOTHING_OFFERED
        self.is_secure = False
        self.is_open = False
        self.is_over = False
        self.moves = 0

    def take(self) -> bytes:
        """What is to be written now."""
        out = self._out
        if not out:
            return b""
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return data

    def events(self) -> list[Event]:
        """What has happened since the last call."""
        events, self._events = self._events, []
        return events

    def receive(self, data: bytes) -> None:
        """Bytes from the server."""
        parser = self._parser
        parser.feed(data)
        try:
            while not self.is_over and (reply := parser.next_reply()) is not None:
                self._answered(reply)
        except MalformedReply as error:
            self._end(End.BREACH, None, str(error))

    def _answered(self, reply: Reply) -> None:
        self.moves += 1
        owed = self._owed
        if not owed or reply.code == 421 or self._awaits_tls:
            self._interrupted(reply)
        else:
            self._after[owed.popleft()](reply)

    def _interrupted(self, reply: Reply) -> None:
        """It may not be the answer to what was asked."""
        if self._awaits_tls:
            self._end(End.BREACH, None, "plain text came in place of the TLS handshake")
        elif reply.code == 421 and not (self._owed and self._owed[0] is Step.QUIT):
            #  RFC 5321 §3.8: it may come at any point, and it answers everything that is still owed.
            self._end(End.CLOSING if self.is_open else End.REFUSED, reply)
        elif not self._owed:
            self._end(End.BREACH, None, f"it answers what nobody asked: {reply}")
        else:
            self._after[self._owed.popleft()](reply)

    def _say(self, step: Step, line: str) -> None:
        self._out.append(line.encode() + b"\r\n")
        self._owed.append(step)
        self.moves += 1

    def _end(self, end: End, reply: Reply | None = None, detail: str = "") -> None:
        """The conversation is over, for this reason."""
        raise NotImplementedError
