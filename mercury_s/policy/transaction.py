"""Whether a sender, a recipient and a message are welcome. Facts in, verdict out."""

from __future__ import annotations

import errno

from mercury_s.policy.verdict import Accept, Refuse, Verdict
from shared.mail.light import light
from shared.mail.record import dataclass
from shared.mail.reply import Reply
from shared.smtp import replies

LOGIN_FIRST = Reply(530, "5.7.0", "Log in first: STARTTLS if TLS is not active yet, then AUTH")
SPOOL_FULL = Reply(452, "4.3.1", "Not enough room to keep mail safely at the moment; try again later")
NOT_DURABLE = Reply(451, "4.3.0", "The message could not be stored safely; try again later")
NO_SUCH_MAILBOX = Reply(550, "5.1.1", "There is no such mailbox here")
NO_RELAY = Reply(550, "5.7.1", "That domain is not ours and you may not relay: log in, or send from our network")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Enough recipients for one message; send the others in another")
TOO_MANY_HOPS = Reply(
    554, "5.4.6", "Too many Received fields: this message goes round in circles; look for a forward that leads back"
)

#  RFC 5321 §6.3 asks for a limit of at least 100.
MOST_HOPS = 100
#  A message must find room even if others arrive at the same time.
_ROOM_PER_MESSAGE = 1.5


@light
@dataclass(frozen=True, slots=True)
class SenderFacts:
    """`size` is what the client announced, or None; `free` octets in the spool."""

    must_log_in: bool
    size: int | None
    largest: int
    free: int


@light
@dataclass(frozen=True, slots=True)
class RecipientFacts:
    """`number` of recipients accepted so far. `mailbox_exists` counts only for a local domain."""

    is_local_domain: bool
    mailbox_exists: bool
    may_relay: bool
    number: int
    most: int


def decide_sender(facts: SenderFacts) -> Verdict:
    if facts.must_log_in:
        return Refuse(LOGIN_FIRST, "a submission listener, and the client is in no site's network")
    if facts.size is not None and facts.size > facts.largest:
        return Refuse(replies.TOO_LARGE, f"SIZE={facts.size} is above receive.max_message_size")
    if facts.free < facts.largest * _ROOM_PER_MESSAGE:
        return Refuse(SPOOL_FULL, f"{facts.free} octets are free in the spool")
    return Accept()


def decide_recipient(facts: RecipientFacts) -> Verdict:
    if facts.number >= facts.most:
        return Refuse(TOO_MANY_RECIPIENTS, "receive.limits.recipients is reached")
    if facts.is_local_domain:
        return Accept() if facts.mailbox_exists else Refuse(NO_SUCH_MAILBOX, "no mailbox and no alias of that name")
    return Accept() if facts.may_relay else Refuse(NO_RELAY, "not a local domain, and the client may not relay")


def storage_reply(error: OSError) -> Reply:
    """What the client hears when the spool fails: it keeps the message and comes again."""
    return SPOOL_FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else NOT_DURABLE


def decide_message(hops: int) -> Verdict:
    """`hops` is the number of Received fields the message came with."""
    return Refuse(TOO_MANY_HOPS, f"{hops} Received fields") if hops > MOST_HOPS else Accept()
