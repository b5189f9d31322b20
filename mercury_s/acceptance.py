"""One mail transaction on its way into the spool: sender, recipients, then the message, then the deposit.

Here it gets its queue id, its trace field, its lanes. Whether it is welcome was decided before (policy); what the
peer is told is said after (session.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mercury_s.door import Door
from mercury_s.header import HEADER_TOO_LONG, HeaderGate, count_hops, has_whole_line_ends, waives_tls
from mercury_s.policy.transaction import decide_message, storage_reply
from mercury_s.policy.verdict import Refuse
from mercury_s.screening import Screening
from mercury_s.submission import Completion, Submitter
from shared.mail.address import Address
from shared.mail.envelope import Body, Envelope, Recipient
from shared.mail.header_value import value_of
from shared.mail.light import light
from shared.mail.priority import decide_priority
from shared.mail.record import dataclass
from shared.mail.trace import Arrival, render_date, render_received
from shared.routing.decide import split_by_lane
from shared.smtp import replies
from shared.smtp.events import RecipientGiven, SenderGiven
from shared.spool.deposit import Draft, Letter


@light
@dataclass(frozen=True, slots=True)
class Origin:
    """Where a message comes from, for its envelope and its trace. `protocol` is a keyword of RFC 3848."""

    helo: str
    address: str
    protocol: str
    site: str
    login: str = ""
    tls: str = ""


class Acceptance:
    """`begin` once the recipients are known; then `write` pieces, and `commit` or `abandon`. With a `submitter` the
    message is new mail of our own people; with a `screening` filters see its header."""

    def __init__(
        self, door: Door, sender: SenderGiven, submitter: Submitter | None = None, screening: Screening | None = None
    ) -> None:
        self.sender = sender
        self.recipients: list[Recipient] = []
        self.id = ""
        self.refusal: Refuse | None = None
        self._door = door
        self._submitter = submitter
        self._screening = screening
        self._known: set[Address] = set()
        self._gate = HeaderGate()
        self._draft: Draft | None = None
        self._letters: list[Letter] = []
        self._received = b""
        self._header = b""
        self._site = ""
        self._is_ours = False

    def add(self, given: RecipientGiven, address: Address) -> None:
        """One more recipient. Named twice, it still gets the message once."""
        if address not in self._known:
            self._known.add(address)
            self.recipients.append(Recipient(address, given.notify, given.original))

    def begin(self, origin: Origin) -> None:
        """Give it an id, lanes and a trace. If even that cannot be written, it is refused (see `refusal`)."""
        try:
            self._open(origin)
        except OSError as error:
            self.refusal = Refuse(storage_reply(error), f"no queue id: {error}")

    def _open(self, origin: Origin) -> None:
        door, sender = self._door, self.sender
        now = door.clock()
        self.id = door.depositor.next_id()
        self._site = origin.site
        envelope = Envelope(
            self.id,
            sender.sender,
            tuple(self.recipients),
            now,
            site=origin.site,
            body=sender.body,
            smtputf8=sender.smtputf8,
            requiretls=sender.requiretls,
            ret=sender.ret,
            envid=sender.envid,
            login=origin.login,
            client=f"{origin.address} {origin.helo}",
        )
        lanes = split_by_lane(door.table, envelope)
        if len(lanes) == 1:
            letters = [Letter(lane, envelope) for lane in lanes]
        else:
            letters = [Letter(lane, replace(envelope, recipients=some)) for lane, some in lanes.items()]
        self._letters = letters
        if door.priorities:
            self._is_ours = bool(origin.login or origin.site)  #  the header has a say first
        else:
            self._draft = door.depositor.draft(letters)
        arrival = Arrival(origin.helo, origin.address, origin.protocol, door.hostname, self.id, now, origin.tls)
        self._received = render_received(arrival, self.recipients[0].address if len(self.recipients) == 1 else None)

    def write(self, content: bytes) -> None:
        """The next piece. Once the message is refused the rest of it is dropped."""
        was_open = self._gate.is_open
        self._put(self._gate.feed(content), was_open)

    def commit(self, done: Callable[[OSError | None], None]) -> Refuse | None:
        """Make it durable, then call `done`; or the reason why the message is not welcome."""
        was_open = self._gate.is_open
        self._put(self._gate.finish(), was_open)
        if self.refusal is not None:
            self.abandon()
            return self.refusal
        assert self._draft is not None
        if self._door.reach is not None:
            self.refusal = self._door.reach.object_to_all(self.recipients, self._site, self._draft.size)
            if self.refusal is not None:
                self.abandon()
                return self.refusal
        self._draft.commit(done)
        return None

    def abandon(self) -> None:
        self._letters = []
        if self._draft is not None:
            self._draft.abandon()
            self._draft = None

    def header_value(self, name: bytes) -> str:
        """Of the header as it was deposited; see value_of."""
        return value_of(self._header, name)

    @property
    def size(self) -> int:
        return self._draft.size if self._draft is not None else 0

    def backlog(self) -> int:
        return self._draft.backlog() if self._draft is not None else 0

    def on_drained(self, callback: Callable[[], None]) -> None:
        assert self._draft is not None
        self._draft.on_drained(callback)

    def _put(self, content: bytes, was_open: bool) -> None:
        if self.refusal is not None or (self._draft is None and not self._letters):
            return
        if not was_open and self._gate.is_open:
            self._header = self._gate.header
            self._judge_header(self._header)
            if self.refusal is None and self._submitter is not None:
                content = self._completed(self._submitter, content)
            if self.refusal is not None:
                return
            if self._draft is None:
                self._draft = self._ranked_draft()
            self._draft.write(self._received)
        if content and self._draft is not None:
            self._draft.write(content)

    def _ranked_draft(self) -> Draft:
        """The name of an entry tells its priority, so it waits for the header."""
        priority = decide_priority(self._header, self._is_ours)
        letters = [Letter(lane, replace(envelope, priority=priority)) for lane, envelope in self._letters]
        return self._door.depositor.draft(letters)

    def _judge_header(self, header: bytes) -> None:
        if self._gate.is_too_long:
            self.refusal = Refuse(HEADER_TOO_LONG, "the header is longer than this server takes")
            return
        if self.sender.body is Body.BINARY and not has_whole_line_ends(header):
            self.refusal = Refuse(replies.BARE_LINE_END_IN_MESSAGE, "the header of a binary message is text")
            return
        lowered = header.lower()
        verdict = decide_message(count_hops(lowered))
        if isinstance(verdict, Refuse):
            self.refusal = verdict
        elif self._screening is not None:
            self.refusal = self._screening.ask_header(header)
        if self.refusal is None and waives_tls(lowered):
            self._waive_tls()

    def _waive_tls(self) -> None:
        """The sender would rather have it arrive than protected: the envelope says so, for those who carry it."""
        if self.sender.requiretls:
            return  #  RFC 8689 §4.1: REQUIRETLS outweighs the field
        self._letters = [Letter(lane, replace(envelope, tls_optional=True)) for lane, envelope in self._letters]
        if self._draft is not None:
            self._draft.abandon()
            self._draft = self._door.depositor.draft(self._letters)

    def _completed(self, submitter: Submitter, content: bytes) -> bytes:
        """`content`, which begins with the header, with all that a submission lacks."""
        date = render_date(int(self._door.clock()))
        lacking = Completion(date, f"<{self.id}@{self._door.hostname}>", self.sender.sender)
        header = submitter.complete(self._gate.header, lacking)
        if isinstance(header, Refuse):
            self.refusal = header
            return b""
        self._header = header
        return header + content[len(self._gate.header) :]
