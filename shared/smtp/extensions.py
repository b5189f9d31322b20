"""What our server offers in answer to EHLO (RFC 5321 §4.1.1.1), and what is said next when somebody asks for HELP."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

from shared.mail.light import light
from shared.mail.reply import Reply

_ALWAYS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING", "BINARYMIME", "DSN", "ENHANCEDSTATUSCODES", "HELP")


@light
@dataclass(frozen=True)
class Offer:
    """What a listener offers at this moment of a session. `size` in octets; `auth` names mechanisms.

    `recipients` of a message and `messages` of a session are said in LIMITS (RFC 9422) unless they are 0.
    `requiretls` is for encrypted connections (RFC 8689 §2). `xclient` is for peers that are believed (xclient.py).
    """

    hostname: str
    size: int
    starttls: bool = False
    auth: tuple[str, ...] = ()
    requiretls: bool = False
    recipients: int = 0
    messages: int = 0
    xclient: bool = False

    def answer(self, client: str, is_extended: bool) -> Reply:
        """The reply to EHLO or HELO. No enhanced code here (RFC 2034 §4)."""
        return _greet(self.hostname, client, self.extensions) if is_extended else Reply(250, "", self.hostname)

    @cached_property
    def extensions(self) -> str:
        """The lines behind the first one; every client of a listener gets the same."""
        return _extensions(self)


@lru_cache(maxsize=512)
def _greet(hostname: str, client: str, extensions: str) -> Reply:
    """Clients come again, and a reply of a dozen lines is kept as it is sent."""
    return Reply(250, "", f"{hostname} greets {client}"[:400] + extensions)


def _extensions(offer: Offer) -> str:
    lines = [f"SIZE {offer.size}", *_ALWAYS]
    if offer.recipients or offer.messages:
        named = (("RCPTMAX", offer.recipients), ("MAILMAX", offer.messages))
        lines.append("LIMITS " + " ".join(f"{name}={most}" for name, most in named if most))
    if offer.requiretls:
        lines.append("REQUIRETLS")
    if offer.xclient:
        lines.append("XCLIENT NAME ADDR PORT PROTO HELO")
    if offer.starttls:
        lines.append("STARTTLS")
    if offer.auth:
        lines.append("AUTH " + " ".join(offer.auth))
    return "".join(f"\n{line}" for line in lines)
