"""Reports to senders: a delivery status notification becomes an entry of its own, from the null sender.

Who is told is decided by the fates (shared/dsn/fate.py), the text by shared/dsn/report.py. A report is durable in the
spool when these coroutines return. Nothing is ever reported to the null sender: what becomes of its mail is told to
the postmaster, or it is held. A report to the postmaster that fails is always held, so there is no loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import field
from functools import partial

from shared.delivery.attempt import Report
from shared.delivery.errands import Errands
from shared.dsn.fate import Action, Fate, is_wanted
from shared.dsn.human import USUAL, Words, words_in
from shared.dsn.original import LONGEST_COPY, Original
from shared.dsn.report import Letterhead, is_global, render_delay, render_failure, render_success
from shared.mail.address import Address
from shared.mail.content import Content
from shared.mail.envelope import Body, Envelope, Notify, Recipient, Return
from shared.mail.record import dataclass
from shared.observe import events
from shared.spool.deposit import Depositor, Letter, deposit

#  Without a domain it is the postmaster of this host, whatever the local domains are (RFC 5321 §4.5.1).
POSTMASTER = Address("postmaster", "")
#  The same behind an alias that leads elsewhere: who it was for first (RFC 3461 §4.2).
_FIRST_FOR_POSTMASTER = "rfc822;postmaster"


@dataclass(frozen=True, slots=True)
class Manners:
    """`words` by site; `holds_double_bounces`: mail of the null sender is held when it fails."""

    words: Mapping[str, Words] = field(default_factory=dict)
    holds_double_bounces: bool = False


@dataclass(slots=True)
class Reports:
    """`hostname` signs as Reporting-MTA; `route_letters` says in which lane a letter to the sender starts its way.
    `manners` change with the configuration."""

    hostname: str
    depositor: Depositor
    route_letters: Callable[[Envelope], Sequence[Letter]]
    executor: Executor
    clock: Callable[[], float]
    report: Report
    manners: Manners = field(default_factory=Manners)

    def is_held(self, cause: Envelope) -> bool:
        """Whether this message, all of which has failed, is held in place of being reported."""
        if cause.sender is not None:
            return False
        return self.manners.holds_double_bounces or any(_is_for_postmaster(who) for who in cause.recipients)

    async def tell_failure(self, envelope: Envelope, content: Content, fates: Sequence[Fate]) -> str:
        """The queue id of the report, or "" when nobody is to be told. Raises OSError."""
        return await self._tell(envelope, content, fates, render_failure)

    async def tell_delay(
        self, envelope: Envelope, content: Content, fates: Sequence[Fate], retry_until: float
    ) -> str:
        """As tell_failure; `retry_until` is when it will be given up."""
        return await self._tell(envelope, content, fates, partial(render_delay, retry_until=retry_until))

    async def tell_success(self, envelope: Envelope, content: Content, fates: Sequence[Fate]) -> str:
        """As tell_failure, for those who asked to hear of success."""
        return await self._tell(envelope, content, fates, render_success)

    def _letterhead(self, identity: str, now: float, words: Words) -> Letterhead:
        message_id = f"<{identity}.report@{self.hostname}>"
        return Letterhead(self.hostname, identity, message_id, now, words)

    async def _tell(
        self,
        cause: Envelope,
        content: Content,
        fates: Sequence[Fate],
        render: Callable[[Letterhead, Envelope, Sequence[Fate], Original], bytes],
    ) -> str:
        is_failure = fates[0].action is Action.FAILED
        if cause.sender is not None:
            fates = [fate for fate in fates if is_wanted(fate)]
        if not fates or (cause.sender is None and (not is_failure or self.is_held(cause))):
            return ""
        #  RFC 8689 §5: what must not be read on the way there must not be on the way back; the header is enough.
        wants_whole = (
            is_failure and cause.ret is not Return.HEADERS and cause.sender is not None and not cause.requiretls
        )
        original = await Errands(self.executor).ask(_read_original, content, wants_whole)
        if original is None:
            self.report(events.SPOOL_TROUBLE, id=cause.id, reason="the message cannot be read for a report about it")
            original = Original(b"")
        now = self.clock()
        identity = self.depositor.next_id()
        words = self.manners.words.get(cause.site) or words_in(USUAL)
        message = render(self._letterhead(identity, now, words), cause, fates, original)
        recipient = Recipient(cause.sender or POSTMASTER, (Notify.NEVER,))
        envelope = Envelope(
            id=identity,
            sender=None,
            recipients=(recipient,),
            arrived=now,
            site=cause.site,
            body=Body.SEVEN_BIT if message.isascii() else Body.EIGHT_BIT,
            smtputf8=is_global(cause),
            requiretls=cause.requiretls,
            cause=cause.id,
        )
        await deposit(self.depositor, self.route_letters(envelope), message)
        return identity


def _is_for_postmaster(recipient: Recipient) -> bool:
    """Also where an alias has sent it on, as to another house: a report about it would go the same way."""
    return recipient.address == POSTMASTER or recipient.original.lower() == _FIRST_FOR_POSTMASTER


def _read_original(content: Content, wants_whole: bool) -> Original | None:
    try:
        if wants_whole and content.size <= LONGEST_COPY:
            whole = b"".join(content.chunks())
            return Original(content.head(), whole)
        return Original(content.head())
    except OSError:
        return None
