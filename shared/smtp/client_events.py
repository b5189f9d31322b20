"""What a client's conversation is asked for at its beginning, and what it reports (client.py)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from shared.mail.envelope import Recipient
from shared.mail.lacks import Lacks
from shared.mail.light import light
from shared.mail.outcome import Outcome
from shared.mail.record import dataclass
from shared.mail.reply import Reply
from shared.smtp.client_login import Login
from shared.smtp.ehlo import Extensions
from shared.smtp.judge import End


class StartTls(Enum):
    """Whether STARTTLS is said: never, when it is offered, or as a condition of everything else."""

    NEVER = "never"
    IF_OFFERED = "if offered"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Security:
    """What a TLS handshake came to. `proof`: by what the server is known to be the right one (`its certificate`,
    `DANE`, `its pin`), empty when it is not; then `doubt` says why not."""

    protocol: str
    cipher: str
    proof: str = ""
    doubt: str = ""

    def __str__(self) -> str:
        known = f"verified by {self.proof}" if self.proof else f"not verified: {self.doubt or 'nobody asked'}"
        return f"{self.protocol} {self.cipher}, {known}"


@dataclass(frozen=True, slots=True)
class Opening:
    """What must be established before mail is handed over.

    `is_secure`: TLS runs from the first byte (port 465), and `secured()` is called before anything is received.
    `login_in_clear` allows a password without TLS; nothing sets it by itself. `lmtp`: the server speaks LMTP (RFC
    2033): LHLO, and after the message an answer for each recipient. `why_clear`: for the record, when STARTTLS is not
    said although it might be.
    """

    helo: str
    starttls: StartTls = StartTls.IF_OFFERED
    is_secure: bool = False
    login: Login | None = None
    login_in_clear: bool = False
    lmtp: bool = False
    why_clear: str = ""

    def __post_init__(self) -> None:
        if not (self.helo.isascii() and self.helo.isprintable()) or not self.helo or " " in self.helo:
            raise ValueError(f"{self.helo!r} cannot be said in EHLO")


@dataclass(frozen=True, slots=True)
class TlsWanted:
    """The server is ready: start the handshake now, then call `secured()`."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Messages may be sent."""

    extensions: Extensions


@light
@dataclass(frozen=True, slots=True)
class Finished:
    """A message is through: an outcome for each of its recipients.

    `unanswered` are those of whom the server has said nothing because the conversation ended, and who cannot have
    got the message: another server may be asked for them. `is_untouched`: the server was gone before it heard of the
    message at all, as happens to a connection that has been idle. `security` is None when it went in clear. `lacks`:
    nothing was said, as the server takes the message only converted; recipients without an outcome wait for that.
    """

    outcomes: Mapping[Recipient, Outcome]
    unanswered: tuple[Recipient, ...] = ()
    is_untouched: bool = False
    security: Security | None = None
    lacks: Lacks | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """The conversation is over; close the connection. `reply` is what the server said last, if that is why."""

    end: End
    reply: Reply | None = None
    detail: str = ""


Event = TlsWanted | Opened | Finished | Ended
