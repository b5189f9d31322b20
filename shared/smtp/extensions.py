"""What our server offers in answer to EHLO (RFC 5321 §4.1.1.1), and what is said next when somebody asks for HELP."""

from __future__ import annotations

from dataclasses import dataclass

from shared.mail.reply import Reply


@dataclass(frozen=True, slots=True)
class Offer:
    """What a listener offers at this moment of a session. `size` in octets; `auth` names mechanisms."""

    hostname: str
    size: int
    starttls: bool = False
    auth: tuple[str, ...] = ()

    def answer(self, client: str, is_extended: bool) -> Reply:
        """The reply to EHLO or HELO. No enhanced code here (RFC 2034 §4)."""
        if not is_extended:
            return Reply(250, "", self.hostname)
        lines = [f"{self.hostname} greets {client}"[:400], f"SIZE {self.size}"]
        lines += ["PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING", "DSN", "ENHANCEDSTATUSCODES", "HELP"]
        if self.starttls:
            lines.append("STARTTLS")
        if self.auth:
            lines.append("AUTH " + " ".join(self.auth))
        return Reply(250, "", "\n".join(lines))
