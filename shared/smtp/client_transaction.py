"""One message on its way to one server: who is accepted, what has been said, where the body stands.

Values and bookkeeping for client.py, which alone knows what the server owes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from shared.mail.content import Content
from shared.mail.envelope import Recipient
from shared.mail.outcome import Deferred, Outcome
from shared.mail.reply import Reply
from shared.smtp.errand import Errand
from shared.smtp.judge import Step, is_about_us, judge_reply
from shared.smtp.stuffing import as_it_is, stuffed, stuffed_whole, with_line_ends

PIECE = 65536  #  octets of a message written at a time
CHUNK = 262144  #  octets of a BDAT that is not the only one: a server answers each
SMALL = 131072  #  octets up to which a message is written in one piece


class Transaction:
    """`security` says of a delivery how it went. `script` holds the commands not yet said. `accepted` are the
    recipients the server has said yes to."""

    __slots__ = (
        "_content",
        "_deliveries_answered",
        "_errand",
        "_host",
        "_next_piece",
        "_passes_dsn",
        "_pieces",
        "_rcpts_answered",
        "_security",
        "accepted",
        "chunked",
        "estrangement",
        "is_doomed",
        "is_end_sent",
        "is_heard",
        "outcomes",
        "script",
    )

    def __init__(
        self, errand: Errand, content: Content, host: str, chunked: bool, passes_dsn: bool, security: str = ""
    ) -> None:
        self._errand = errand
        self._content = content
        self._host = host
        self._passes_dsn = passes_dsn
        self._security = security
        self._rcpts_answered = 0
        self._deliveries_answered = 0
        self._pieces: Iterator[bytes] | None = None
        self._next_piece: bytes | None = None
        self.chunked = chunked
        self.outcomes: dict[Recipient, Outcome] = errand.settled
        self.accepted: list[Recipient] = []
        self.script: deque[tuple[Step, bytes]] = deque()
        self.estrangement: Reply | None = None  #  the server wants another login than ours
        self.is_heard = False  #  the server has answered at least one of its commands
        self.is_doomed = False  #  nobody can get the message any more; the answers still owed mean nothing
        self.is_end_sent = False  #  the end of the message has been given to the connection

    @property
    def may_have_arrived(self) -> bool:
        """The server may have the message although it has not said so (RFC 1047)."""
        everyone_refused = not self.accepted and self._rcpts_answered == len(self._errand.recipients)
        return self.is_end_sent and not self.is_doomed and not everyone_refused

    def note_sender_refused(self, reply: Reply) -> None:
        self.is_doomed = True
        self._note_refusal(reply)
        outcome = judge_reply(Step.MAIL, reply, self._host)
        self.outcomes.update(dict.fromkeys(self._errand.recipients, outcome))

    def note_recipient(self, reply: Reply) -> None:
        recipient = self._errand.recipients[self._rcpts_answered]
        self._rcpts_answered += 1
        if self.is_doomed:
            return
        if reply.is_positive:
            self.accepted.append(recipient)
        else:
            self._note_refusal(reply)
            self.outcomes[recipient] = judge_reply(Step.RCPT, reply, self._host)

    def _note_refusal(self, reply: Reply) -> None:
        if not reply.is_positive and is_about_us(reply):
            self.estrangement = reply

    def note_message(self, step: Step, reply: Reply) -> None:
        """What the server says to the message as a whole counts for those it accepted, and for nobody else."""
        if self.is_doomed:
            return
        self.is_doomed = not reply.is_positive
        self._note_refusal(reply)
        outcome = judge_reply(step, reply, self._host, self._passes_dsn, self._security)
        self.outcomes.update(dict.fromkeys(self.accepted, outcome))

    def note_delivery(self, reply: Reply) -> None:
        """What an LMTP server says after the message, first to the first it accepted, and so on (RFC 2033 §4.2)."""
        recipient = self.accepted[self._deliveries_answered]
        self._deliveries_answered += 1
        self.outcomes[recipient] = judge_reply(Step.BODY, reply, self._host, self._passes_dsn, self._security)

    def abandon(self, outcome: Deferred) -> tuple[Recipient, ...]:
        """Whoever has no outcome yet gets this one; these are they."""
        unanswered = tuple(recipient for recipient in self._errand.recipients if recipient not in self.outcomes)
        self.outcomes.update(dict.fromkeys(unanswered, outcome))
        return unanswered

    @property
    def is_streaming(self) -> bool:
        """There is more of the body to send."""
        return self._pieces is not None and not self.is_doomed

    def whole_body(self) -> bytes:
        """The body in one piece, encoded. Raises OSError."""
        body = b"".join(self._encoded(PIECE))
        self.is_end_sent = True
        return body

    def begin_body(self) -> None:
        """Raises OSError."""
        self._pieces = self._encoded(CHUNK if self.chunked else PIECE)
        self._next_piece = next(self._pieces)

    def next_piece(self) -> tuple[bytes, bool]:
        """The next piece, and whether it is the last. Raises OSError."""
        assert self._pieces is not None and self._next_piece is not None
        piece, self._next_piece = self._next_piece, next(self._pieces, None)
        if self._next_piece is None:
            self._pieces = None
            self.is_end_sent = True
        return piece, self.is_end_sent

    def _encoded(self, size: int) -> Iterator[bytes]:
        pieces = self._content.chunks(size)
        if not self.chunked:
            return stuffed(pieces) if self._content.size > size else iter((stuffed_whole(b"".join(pieces)),))
        return as_it_is(pieces) if self._errand.binary else with_line_ends(pieces)
