"""The second part of a report: fields for machines (RFC 3464 §2.1-2.3, RFC 6533 §4).

Every value goes through `field`, which lets no line break, no control and no over-long line through.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from email.utils import formatdate

from shared.dsn.fate import Action, Fate
from shared.dsn.text import decode_xtext, readable, typed_address, typed_original
from shared.mail.envelope import Envelope
from shared.mail.reply import printable
from shared.mail.trace import safe_name

_FOLD_AT = 76
_LONGEST_WORD = 900
_LONGEST_VALUE = 4000


def render_date(when: float) -> str:
    """RFC 5322 §3.3. A time that no calendar has is shown as the beginning of time."""
    try:
        return formatdate(when, localtime=True)
    except (ValueError, OverflowError, OSError):
        return formatdate(0, localtime=True)


def field(name: str, value: str) -> str:
    """One field, folded, with its CRLF."""
    lines, line = [], f"{name}:"
    for word in readable(value)[:_LONGEST_VALUE].split(" "):
        for piece in _pieces(word):
            if len(line) + 1 + len(piece) > _FOLD_AT and line != f"{name}:" and line.strip():
                lines.append(line)
                line = ""
            line += f" {piece}"
    return "\r\n".join([*lines, line]) + "\r\n"


def _pieces(word: str) -> Iterator[str]:
    #  In characters: even in four octets each these lines stay below 998... but only ASCII words get that long.
    size = _LONGEST_WORD if word.isascii() else _LONGEST_WORD // 4
    for at in range(0, len(word), size):
        yield word[at : at + size]


def render_status(
    hostname: str, envelope: Envelope, fates: Sequence[Fate], now: float, retry_until: float | None, is_global: bool
) -> bytes:
    """The group about the message, then one for each recipient."""
    groups = [_about_message(hostname, envelope)]
    groups += [_about_recipient(fate, now, retry_until, is_global) for fate in fates]
    return "\r\n".join(groups).encode()


def _about_message(hostname: str, envelope: Envelope) -> str:
    fields = [field("Reporting-MTA", f"dns; {hostname}")]
    if envelope.envid:
        #  RFC 3461 §6.3 (a): decoded.
        fields.append(field("Original-Envelope-Id", printable(decode_xtext(envelope.envid))))
    fields.append(field("Arrival-Date", render_date(envelope.arrived)))
    fields.append(field("X-Mercury-Queue-Id", printable(envelope.id)))
    return "".join(fields)


def _about_recipient(fate: Fate, now: float, retry_until: float | None, is_global: bool) -> str:
    fields = []
    if original := typed_original(fate.recipient.original, is_global):
        fields.append(field("Original-Recipient", original))
    fields.append(field("Final-Recipient", typed_address(fate.recipient.address, is_global)))
    fields.append(field("Action", fate.action))
    fields.append(field("Status", fate.status))
    if host := host_name(fate.host):
        fields.append(field("Remote-MTA", f"dns; {host}"))
    kind = "smtp" if fate.host else "x-mercury"
    fields.append(field("Diagnostic-Code", f"{kind}; {fate.reply}"))
    fields.append(field("Last-Attempt-Date", render_date(now)))
    if fate.action is Action.DELAYED and retry_until is not None:
        fields.append(field("Will-Retry-Until", render_date(retry_until)))
    return "".join(fields)


_HOST = re.compile(r"([^\[]*)(\[[^\]]*\])?")


def host_name(host: str) -> str:
    """The name in `name[address]:port`, or the address in its brackets when there is no name."""
    found = _HOST.match(host)
    name, address = (found[1], found[2] or "") if found else ("", "")
    return safe_name(name or address) if name or address else ""
