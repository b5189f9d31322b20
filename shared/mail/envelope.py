"""The envelope: who sent a message, who shall have it, and what the sender asked for.

Values only. How an envelope is written to disk is in shared/spool/record.py, how it is spoken in shared/smtp.
"""

from __future__ import annotations

from enum import StrEnum

from shared.mail.address import Address
from shared.mail.light import light
from shared.mail.record import dataclass


class Body(StrEnum):
    """The BODY parameter of MAIL (RFC 6152, RFC 3030)."""

    SEVEN_BIT = "7BIT"
    EIGHT_BIT = "8BITMIME"
    BINARY = "BINARYMIME"


class Notify(StrEnum):
    """What a recipient's sender wants to hear about (RFC 3461 §4.1)."""

    NEVER = "NEVER"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    DELAY = "DELAY"


class Return(StrEnum):
    """How much of the message a report should bring back (RFC 3461 §4.3)."""

    FULL = "FULL"
    HEADERS = "HDRS"


@light
@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient. `notify` empty means the default (FAILURE and DELAY).

    `original` is the ORCPT value as it came, `type;xtext` (RFC 3461 §4.2), or empty.
    """

    address: Address
    notify: tuple[Notify, ...] = ()
    original: str = ""


@light
@dataclass(frozen=True, slots=True)
class Envelope:
    """Everything the suite knows about a message apart from its bytes.

    `sender` is None for the null sender `<>`. `arrived` is Unix time in seconds. `site` names the site of the
    client it came from; `login` the account that sent it, or empty; `client` the address and HELO name of the
    client, for the operator. `priority` is RFC 6710's -9..9; urgent mail goes first. `cause` is the queue id of the
    message that this one reports about, or empty. `tls_optional`: its header says `TLS-Required: no` (RFC 8689 §3).
    """

    id: str
    sender: Address | None
    recipients: tuple[Recipient, ...]
    arrived: float
    site: str = ""
    body: Body = Body.SEVEN_BIT
    smtputf8: bool = False
    requiretls: bool = False
    ret: Return | None = None
    envid: str = ""
    login: str = ""
    client: str = ""
    priority: int = 0
    cause: str = ""
    tls_optional: bool = False

    @property
    def sender_text(self) -> str:
        """The sender as it stands between the angle brackets of MAIL FROM; empty for the null sender."""
        return str(self.sender) if self.sender else ""
