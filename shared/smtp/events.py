"""What a client has said to our server, one value for each thing that can be said.

Most owe a reply, and the conversation hands out no further event until it is given; those that do not, say so.
"""

from __future__ import annotations

from shared.mail.address import Address
from shared.mail.envelope import Body, Notify, Return
from shared.mail.light import light
from shared.mail.record import dataclass


@light
@dataclass(frozen=True, slots=True)
class HelloSaid:
    """EHLO or HELO. `name` is what the client claims to be: printable ASCII, at most 255 characters, unverified."""

    name: str
    is_extended: bool


@light
@dataclass(frozen=True, slots=True)
class SenderGiven:
    """MAIL. `sender` is None for `<>`. `size` is the client's estimate in octets, None if it gave none (RFC 1870)."""

    sender: Address | None
    size: int | None = None
    body: Body = Body.SEVEN_BIT
    smtputf8: bool = False
    requiretls: bool = False
    ret: Return | None = None
    envid: str = ""


@light
@dataclass(frozen=True, slots=True)
class RecipientGiven:
    """RCPT. `original` is ORCPT as it came: `type;xtext` (RFC 3461 §4.2)."""

    recipient: Address
    notify: tuple[Notify, ...] = ()
    original: str = ""


@dataclass(frozen=True, slots=True)
class DataAsked:
    """DATA. Answer 354 to have the message, anything else to refuse it."""


@dataclass(frozen=True, slots=True)
class ChunkBegun:
    """The first BDAT of a message (RFC 3030): content follows at once. No reply is owed yet."""


@light
@dataclass(frozen=True, slots=True)
class ContentReceived:
    """A piece of the message: dots unstuffed, every line end CRLF (but in BINARYMIME). No reply is owed."""

    data: bytes


@dataclass(frozen=True, slots=True)
class ChunkEnded:
    """A BDAT that was not the last has ended after `size` octets."""

    size: int


@dataclass(frozen=True, slots=True)
class MessageEnded:
    """The message is whole. A positive reply takes responsibility for it (RFC 5321 §4.2.5)."""


@dataclass(frozen=True, slots=True)
class MessageSpoiled:
    """The message cannot be taken (too large, a bare CR or LF); the conversation has answered. No reply is owed."""

    reason: str


@dataclass(frozen=True, slots=True)
class TransactionReset:
    """RSET."""


@dataclass(frozen=True, slots=True)
class TlsAsked:
    """STARTTLS. Answer 220, then start the handshake and call `tls_started`."""


@dataclass(frozen=True, slots=True)
class AuthAsked:
    """AUTH. `initial` is the initial response still in base64, None if there is none (RFC 4954 §4)."""

    mechanism: str
    initial: bytes | None


@dataclass(frozen=True, slots=True)
class AuthAnswered:
    """A line in answer to a 334, still in base64; None when the client cancels with `*`."""

    response: bytes | None


@dataclass(frozen=True, slots=True)
class ClientIntroduced:
    """XCLIENT: for whom the peer speaks; what it does not know is empty. Answer with 220 and begin anew."""

    address: str
    name: str = ""
    helo: str = ""


@dataclass(frozen=True, slots=True)
class HelpAsked:
    topic: str


@dataclass(frozen=True, slots=True)
class VerifyAsked:
    text: str


@dataclass(frozen=True, slots=True)
class QuitSaid:
    """QUIT."""


@dataclass(frozen=True, slots=True)
class HungUp:
    """The conversation has ended the session with `reason` (errors, another protocol, smuggled commands): close."""

    reason: str


Event = (
    HelloSaid
    | SenderGiven
    | RecipientGiven
    | DataAsked
    | ChunkBegun
    | ContentReceived
    | ChunkEnded
    | MessageEnded
    | MessageSpoiled
    | TransactionReset
    | TlsAsked
    | AuthAsked
    | AuthAnswered
    | ClientIntroduced
    | HelpAsked
    | VerifyAsked
    | QuitSaid
    | HungUp
)
