"""One message for one server: the commands of its transaction, as far as that server can carry them.

Pure rendering. What the server cannot carry (an address it has no letters for, a message larger than it takes) is
settled here, before a byte is sent. An address that could end its command line and begin another is refused here
whatever room it comes from (RFC 5321 §4.1.2). Not here: when the commands go out (client.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from shared.mail.address import Address, AddressError
from shared.mail.content import Content, SevenBit
from shared.mail.envelope import Body, Envelope, Recipient
from shared.mail.lacks import Lacks
from shared.mail.outcome import Deferred, Failed, Outcome
from shared.mail.reply import Reply
from shared.smtp.ehlo import Extensions

#  No control character of any script reaches a command line; in a domain nothing that has a meaning in a path either.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NOT_IN_DOMAIN = re.compile(r"[\s<>()\"\\,;@]")
#  RFC 3461 §4: xtext. Parameters come from the envelope, and the envelope may come from a file.
_PARAMETER = re.compile("[\x21-\x3c\x3e-\x7e]+\\Z")
_ORIGINAL = re.compile("[A-Za-z0-9-]+;[\x21-\x3c\x3e-\x7e\u00a0-\u2027\u202a-\ud7ff\ue000-\U0010ffff]+\\Z")
#  What a server without REQUIRETLS means (RFC 8689 §4.2.1).
NO_REQUIRETLS = "5.7.30"
#  Octets up to which it is quicker to look whether a message is ASCII than to ask somebody else to.
AT_A_GLANCE = 131072


@dataclass(slots=True)
class Errand:
    """`mail` and `rcpts` are whole command lines, one RCPT for each of `recipients`. `settled` need no journey.
    `binary`: the body goes as it is, line ends included (RFC 3030 §3). `lacks`: the server takes the message only
    when it has been converted; nothing is to be said before."""

    mail: bytes = b""
    recipients: list[Recipient] = field(default_factory=list)
    rcpts: list[bytes] = field(default_factory=list)
    settled: dict[Recipient, Outcome] = field(default_factory=dict)
    binary: bool = False
    lacks: Lacks | None = None


def plan_errand(
    envelope: Envelope, recipients: Sequence[Recipient], content: Content, offer: Extensions, is_secure: bool
) -> Errand:
    """What to say to a server with this offer. Raises OSError when the content cannot be read."""
    utf8 = "SMTPUTF8" in offer
    refusal = _refusal(envelope, content, offer, is_secure)
    sender = "" if refusal or envelope.sender is None else render_path(envelope.sender, utf8)
    if isinstance(sender, Reply):
        refusal = sender if sender.enhanced != "5.1.3" else Reply(553, "5.1.7", "The sender address is malformed")
    if refusal is not None:
        return Errand(settled=dict.fromkeys(recipients, Failed(refusal)))
    errand = Errand(binary=envelope.body is Body.BINARY)
    is_ascii = isinstance(sender, str) and sender.isascii()
    for recipient in recipients:
        path = render_path(recipient.address, utf8)
        if isinstance(path, Reply):
            errand.settled[recipient] = Failed(path)
            continue
        is_ascii = is_ascii and path.isascii()
        errand.recipients.append(recipient)
        errand.rcpts.append(_rcpt_line(path, recipient, "DSN" in offer, utf8))
    if errand.recipients and ("8BITMIME" not in offer or envelope.body is Body.BINARY or envelope.smtputf8):
        errand.lacks = _lacks(envelope, content, offer)
    errand.mail = _mail_line(str(sender), envelope, content.size, offer, utf8 and (envelope.smtputf8 or not is_ascii))
    return errand


def render_path(address: Address, utf8: bool) -> str | Reply:
    """What stands between the angle brackets, or why nothing can."""
    text = str(address)
    if not (text.isascii() and text.isprintable()) and _CONTROL.search(text):
        return Reply(553, "5.1.3", "The address holds a control character")
    if _is_malformed(address.domain):
        return Reply(553, "5.1.3", "The domain of the address is malformed")
    if utf8 or text.isascii():
        return text
    if address.local.isascii():
        #  Only the domain needs more than ASCII, and for a domain the DNS has other letters (RFC 5891).
        try:
            return str(Address(address.local, address.ascii_domain))
        except AddressError:
            return Reply(553, "5.1.2", "The domain of the address is not a valid internationalized name")
    return Reply(553, "5.6.7", f"The next server takes no addresses beyond ASCII (SMTPUTF8), as {text} is")


#  A relay meets the same domains all day.
@lru_cache(maxsize=1024)
def _is_malformed(domain: str) -> bool:
    return _NOT_IN_DOMAIN.search(domain) is not None


def unreadable(error: OSError) -> Deferred:
    """The outcome when our own copy cannot be read: nothing is wrong with the message or the server."""
    return Deferred(Reply(451, "4.3.0", "The message cannot be read here"), detail=str(error))


def _refusal(envelope: Envelope, content: Content, offer: Extensions, is_secure: bool) -> Reply | None:
    """Why this server cannot carry the message at all."""
    if offer.size and content.size > offer.size:
        return Reply(552, "5.3.4", f"The message has {content.size} octets; the next server takes {offer.size}")
    if envelope.requiretls and not (is_secure and "REQUIRETLS" in offer):
        return Reply(550, NO_REQUIRETLS, "The sender demands TLS all the way (REQUIRETLS); the next server cannot")
    return None


def _lacks(envelope: Envelope, content: Content, offer: Extensions) -> Lacks | None:
    """What the server would have to offer to take the message as it is; None when it takes it."""
    #  RFC 6531 §3.1: who offers SMTPUTF8 takes 8-bit mail.
    eight_bit = "8BITMIME" not in offer and "SMTPUTF8" not in offer
    binary = envelope.body is Body.BINARY and not ("BINARYMIME" in offer and "CHUNKING" in offer)
    utf8_header = eight_bit or (envelope.smtputf8 and "SMTPUTF8" not in offer)
    if not (eight_bit or binary or utf8_header) or (not binary and _is_seven_bit(content)):
        return None
    return Lacks(eight_bit, binary, utf8_header)


def _is_seven_bit(content: Content) -> bool:
    """A large message is not read here, in one go: whoever converts looks at it."""
    if isinstance(content, SevenBit):
        return True
    return content.size <= AT_A_GLANCE and all(chunk.isascii() for chunk in content.chunks())


def _mail_line(sender: str, envelope: Envelope, size: int, offer: Extensions, utf8: bool) -> bytes:
    line = f"MAIL FROM:<{sender}>"
    if "SIZE" in offer:
        line += f" SIZE={size}"
    if envelope.body is Body.BINARY or (envelope.body is Body.EIGHT_BIT and "8BITMIME" in offer):
        line += f" BODY={envelope.body}"
    if utf8:
        line += " SMTPUTF8"
    if envelope.requiretls:
        line += " REQUIRETLS"
    if "DSN" in offer:
        if envelope.ret:
            line += f" RET={envelope.ret}"
        if envelope.envid and _PARAMETER.match(envelope.envid):
            line += f" ENVID={envelope.envid}"
    return line.encode() + b"\r\n"


def _rcpt_line(path: str, recipient: Recipient, dsn: bool, utf8: bool) -> bytes:
    line = f"RCPT TO:<{path}>"
    if dsn:
        if recipient.notify:
            line += " NOTIFY=" + ",".join(recipient.notify)
        original = recipient.original
        if original and (utf8 or original.isascii()) and _ORIGINAL.match(original):
            line += f" ORCPT={original}"
    return line.encode() + b"\r\n"
