"""Trace fields (RFC 5321 §4.4): what we put before a message, one line whatever a peer has said.

Not here: Message-ID and Date of a submission (mercury_s), or reading the trace of others.
"""

from __future__ import annotations

import re
from email.utils import formatdate
from functools import lru_cache

from shared.mail.address import Address
from shared.mail.light import light
from shared.mail.record import dataclass

#  What may stand in a comment or a name of ours without quoting; everything else becomes "?".
_UNSAFE = re.compile(r"[^A-Za-z0-9.:_\[\]@+=\-]")


@light
@dataclass(frozen=True, slots=True)
class Arrival:
    """How a message came: facts for its Received field. `protocol` is a keyword of RFC 3848 (SMTP, ESMTPSA, ...)."""

    helo: str
    address: str
    protocol: str
    by: str
    id: str
    when: float
    tls: str = ""


def render_received(arrival: Arrival, only_recipient: Address | None = None) -> bytes:
    """The Received field, CRLF and folding included.

    `only_recipient` goes into FOR; with several recipients none is named, so that no blind copy leaks (§7.2).
    """
    tls = f"\r\n\t({_safe_words(arrival.tls)})" if arrival.tls else ""
    address = arrival.address
    literal = f"[IPv6:{address}]" if ":" in address else f"[{address}]"
    recipient = f"\r\n\tfor <{only_recipient}>" if only_recipient and only_recipient.is_ascii else ""
    return (
        f"Received: from {safe_name(arrival.helo)} ({literal}){tls}\r\n"
        f"\tby {arrival.by} (Mercury) with {arrival.protocol} id {arrival.id}{recipient};\r\n"
        f"\t{render_date(int(arrival.when))}\r\n"
    ).encode("ascii", "replace")


@lru_cache(maxsize=8)
def render_date(when: int) -> str:
    """Unix time as date-time of RFC 5322 §3.3, in local time. Cached, as thousands of messages share a second."""
    return formatdate(when, localtime=True)


def render_return_path(sender: Address | None) -> bytes:
    """Return-Path for final delivery, with the LF line end of a Maildir (RFC 5321 §4.4)."""
    return f"Return-Path: <{sender or ''}>\n".encode()


def render_delivered_to(recipient: Address) -> bytes:
    """Delivered-To (RFC 9228), by which a forwarding loop is seen; LF line end."""
    return f"Delivered-To: {recipient}\n".encode()


def safe_name(text: str) -> str:
    """`text`, a name that a peer claims, as it may stand in a header: no white space, controls or comments."""
    return _UNSAFE.sub("?", text)[:255] or "unknown"


def _safe_words(text: str) -> str:
    return " ".join(safe_name(word) for word in text.split())
