"""The handover: the content of a message comes in, goes to its acceptance, and is ours once the 250 has left.

From DATA or BDAT to what is said of the deposit. Whether sender and recipients are welcome was asked before
(inquiry.py); the way into the spool is acceptance.py.
"""

from __future__ import annotations

from collections.abc import Callable

from mercury_s.acceptance import Acceptance, Origin
from mercury_s.guest import Guest
from mercury_s.policy.transaction import storage_reply
from mercury_s.policy.verdict import Manner, Refuse
from mercury_s.porter import Porter
from mercury_s.wire import Wire
from shared.mail.reply import Reply
from shared.observe import events as observed
from shared.observe.log import log
from shared.smtp import replies
from shared.smtp.server import ServerConversation

#  A client is paused while more than this of its message waits for the disk.
_MOST_BACKLOG = 512 * 1024
#  So much is read at once, and so much while a large message comes: a turn of the loop costs as much for a little.
_READ, _READ_OF_MUCH = 64 * 1024, 256 * 1024
#  A read that brought this much will not be the last.
_MUCH = 60 * 1024


class Handover:
    """The messages of one session, one after another: `acceptance` is the one at hand, `taken` counts those we took.
    What speaks against a message is returned, for the session to say it."""

    __slots__ = (
        "_comes_much",
        "_conversation",
        "_guest",
        "_is_gone",
        "_keeps_subjects",
        "_porter",
        "_tls",
        "_wire",
        "acceptance",
        "is_depositing",
        "taken",
    )

    def __init__(
        self, guest: Guest, conversation: ServerConversation, wire: Wire, porter: Porter, keeps_subjects: bool = False
    ) -> None:
        self.acceptance: Acceptance | None = None
        self.taken = 0
        self.is_depositing = False
        self._guest = guest
        self._conversation = conversation
        self._wire = wire
        self._porter = porter
        self._keeps_subjects = keeps_subjects
        self._is_gone = False
        self._comes_much = False
        self._tls = ""

    @property
    def id(self) -> str | None:
        return self.acceptance.id if self.acceptance is not None else None

    def forget(self) -> None:
        if self._comes_much:
            self._expect_little()
        if self.acceptance is not None:
            self.acceptance.abandon()
            self.acceptance = None

    def lost(self) -> None:
        """The connection is gone. A deposit under way goes on; a message without its end is forgotten."""
        self._is_gone = True
        if not self.is_depositing:
            self.forget()

    # ---- the content ----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        conversation, guest, acceptance = self._conversation, self._guest, self.acceptance
        assert acceptance is not None
        self._tls = self._wire.tls_words() if conversation.is_encrypted else ""
        acceptance.begin(
            Origin(
                guest.helo,
                guest.address,
                _protocol(conversation, acceptance.sender.smtputf8, bool(guest.login)),
                guest.welcome.site,
                guest.login,
                self._tls,
            )
        )

    def begin_data(self) -> Refuse | None:
        self.begin()
        return self._go_on(replies.GO_AHEAD, self._refusal())

    def end_chunk(self, size: int) -> Refuse | None:
        refusal = self._refusal()
        #  One that is refused in silence shall seem taken to its end.
        is_silent = refusal is not None and refusal.manner is Manner.SILENCE
        return self._go_on(Reply(250, "2.0.0", f"{size} octets so far"), None if is_silent else refusal)

    def _refusal(self) -> Refuse | None:
        assert self.acceptance is not None
        return self.acceptance.refusal

    def _go_on(self, reply: Reply, refusal: Refuse | None) -> Refuse | None:
        if refusal is None:
            self._conversation.reply(reply)
        else:
            self.forget()
        return refusal

    def write(self, data: bytes) -> None:
        acceptance = self.acceptance
        assert acceptance is not None
        acceptance.write(data)
        if len(data) > _MUCH and not self._comes_much:
            self._comes_much = True
            self._wire.read_at_once(_READ_OF_MUCH)
        if acceptance.backlog() > _MOST_BACKLOG:
            self._wire.pause()
            acceptance.on_drained(self._drained)

    def _drained(self) -> None:
        if not self._is_gone:
            self._wire.resume()

    def _expect_little(self) -> None:
        """Commands come next, and they are short."""
        self._comes_much = False
        self._wire.read_at_once(_READ)

    # ---- its end --------------------------------------------------------------------------------------------------

    def end(self, deposited: Callable[[OSError | None], None]) -> Refuse | None:
        """Nothing more comes of it: make it durable, then call `deposited`."""
        acceptance = self.acceptance
        assert acceptance is not None
        if self._comes_much:
            self._expect_little()
        self.is_depositing = True
        refusal = acceptance.commit(deposited)
        if refusal is None:
            return None
        self.is_depositing = False
        self.acceptance = None
        if refusal.manner is not Manner.SILENCE:
            return refusal
        log.event(observed.MESSAGE_DROPPED, id=acceptance.id, client=self._guest.address, reason=refusal.reason)
        self._conversation.reply(_taken(acceptance))
        return None

    def settle(self, error: OSError | None) -> tuple[Acceptance, Reply]:
        """It is durable, or it is not: the message that was at hand, and what the client hears."""
        acceptance, self.acceptance = self.acceptance, None
        assert acceptance is not None
        self.is_depositing = False
        if error is not None:
            return acceptance, storage_reply(error)
        self.taken += 1
        self._porter.remember(self._guest.address)
        return acceptance, _taken(acceptance)

    def report(self, acceptance: Acceptance, error: OSError | None) -> None:
        guest = self._guest
        if error is not None:
            log.event(observed.DEPOSIT_FAILED, id=acceptance.id, client=guest.address, reason=str(error))
            return
        log.event(
            observed.MESSAGE_ACCEPTED,
            id=acceptance.id,
            client=guest.address,
            login=guest.login or None,
            sender=str(acceptance.sender.sender or "<>"),
            recipient=",".join([str(recipient.address) for recipient in acceptance.recipients[:20]]),
            recipients=len(acceptance.recipients),
            size=acceptance.size,
            tls=self._tls or None,
            message_id=acceptance.header_value(b"message-id") or None,
            subject=acceptance.header_value(b"subject") or None if self._keeps_subjects else None,
        )


def _taken(acceptance: Acceptance) -> Reply:
    return Reply(250, "2.0.0", f"OK, queued as {acceptance.id}")


def _protocol(conversation: ServerConversation, smtputf8: bool, is_authenticated: bool) -> str:
    """RFC 3848, RFC 6531 §4.3."""
    if not conversation.is_extended:
        return "SMTP"
    base = "UTF8SMTP" if smtputf8 else "ESMTP"
    return base + ("S" if conversation.is_encrypted else "") + ("A" if is_authenticated else "")
