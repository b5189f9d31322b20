"""A delivery status notification as bytes, ready to be deposited (RFC 3464 in the frame of RFC 6522).

Written out, never assembled from parsed foreign mail: each piece is escaped where it is made (words.py, fields.py,
original.py). Whether and to whom a report is sent is not decided here.
"""

from __future__ import annotations

import quopri
from collections.abc import Sequence
from dataclasses import field
from email.header import Header

from shared.dsn.fate import Action, Fate
from shared.dsn.fields import field as render_field
from shared.dsn.fields import render_date, render_status
from shared.dsn.human import UNDELIVERABLE, USUAL, Words, words_in, write_human_part
from shared.dsn.original import Original, Part, render_original
from shared.dsn.text import readable
from shared.mail.envelope import Envelope
from shared.mail.record import dataclass


@dataclass(frozen=True, slots=True)
class Letterhead:
    """Who reports: our host, the queue id of the report, its Message-ID with angle brackets, the time, and in which
    words."""

    hostname: str
    id: str
    message_id: str
    date: float
    words: Words = field(default_factory=lambda: words_in(USUAL))


def render_failure(head: Letterhead, cause: Envelope, fates: Sequence[Fate], original: Original) -> bytes:
    """The recipients in `fates` will never get the message `cause`."""
    return _render(Action.FAILED, head, cause, fates, original, None)


def render_delay(
    head: Letterhead, cause: Envelope, fates: Sequence[Fate], original: Original, retry_until: float
) -> bytes:
    """They have not got it yet; it will be tried until `retry_until`."""
    return _render(Action.DELAYED, head, cause, fates, original, retry_until)


def render_success(head: Letterhead, cause: Envelope, fates: Sequence[Fate], original: Original) -> bytes:
    """They have got it, or a server has that reports no success."""
    kind = Action.DELIVERED if all(fate.action is Action.DELIVERED for fate in fates) else Action.RELAYED
    return _render(kind, head, cause, fates, original, None)


def is_global(cause: Envelope) -> bool:
    """Whether the report needs SMTPUTF8: only when its reader's own address does (RFC 6533).

    Everything else can be said in ASCII, and then the report gets through servers that know no SMTPUTF8.
    """
    return cause.sender is not None and not cause.sender.is_ascii


def _render(
    kind: Action,
    head: Letterhead,
    cause: Envelope,
    fates: Sequence[Fate],
    original: Original,
    retry_until: float | None,
) -> bytes:
    utf8 = is_global(cause)
    words = head.words
    about = kind.value if cause.sender is not None else UNDELIVERABLE
    facts = {
        "hostname": head.hostname,
        "cause": cause.id,
        "id": head.id,
        "arrived": render_date(cause.arrived),
        "until": render_date(retry_until) if retry_until is not None else "",
    }
    text = write_human_part(words, about, facts, fates).encode("utf-8", "backslashreplace")
    status = render_status(head.hostname, cause, fates, head.date, retry_until, utf8)
    report_type = "global-delivery-status" if utf8 else "delivery-status"
    parts = [
        _text_part(words.language, text, utf8),
        Part(f"message/{report_type}", status),
        render_original(original, cause.smtputf8),
    ]
    subject = words.say(f"subject {about}")
    boundary = _boundary(head.id, parts)
    encoding = "7bit" if all(part.body.isascii() for part in parts) else "8bit"
    pieces = [_render_header(subject, head, cause, report_type, boundary, encoding)]
    pieces.append(b"This is a delivery status notification in MIME format (RFC 3464).\r\n")
    for part in parts:
        pieces += (f"\r\n--{boundary}\r\n".encode(), _part_header(part), part.body)
    pieces.append(f"\r\n--{boundary}--\r\n".encode())
    return b"".join(pieces)


def _text_part(language: str, text: bytes, is_global: bool) -> Part:
    """In ASCII, umlauts or none, unless the report needs more than that anyway: then it gets through everywhere."""
    kind = f"text/plain; charset=utf-8\r\nContent-Language: {language}"
    if is_global or text.isascii():
        return Part(kind, text.replace(b"\n", b"\r\n"))
    return Part(kind, quopri.encodestring(text).replace(b"\n", b"\r\n"), "quoted-printable")


def _render_header(
    subject: str, head: Letterhead, cause: Envelope, report_type: str, boundary: str, encoding: str
) -> bytes:
    recipient = f"<{readable(cause.sender_text)}>" if cause.sender is not None else f"<postmaster@{head.hostname}>"
    if not subject.isascii():
        subject = Header(subject, "utf-8", 60, "Subject").encode(linesep="")
    return "".join(
        (
            render_field("From", f"Mail Delivery System <MAILER-DAEMON@{head.hostname}>"),
            render_field("To", recipient),
            render_field("Subject", subject),
            render_field("Date", render_date(head.date)),
            render_field("Message-ID", head.message_id),
            render_field("Auto-Submitted", "auto-replied"),
            render_field("MIME-Version", "1.0"),
            f'Content-Type: multipart/report; report-type={report_type};\r\n boundary="{boundary}"\r\n',
            f"Content-Transfer-Encoding: {encoding}\r\n\r\n",
        )
    ).encode("utf-8", "backslashreplace")


def _part_header(part: Part) -> bytes:
    return f"Content-Type: {part.type}\r\nContent-Transfer-Encoding: {part.encoding}\r\n\r\n".encode()


def _boundary(identity: str, parts: Sequence[Part]) -> str:
    """One that no part contains, whatever a sender has guessed."""
    number = 0
    while True:
        boundary = f"=_{identity}.{number}"
        if not any(boundary.encode() in part.body for part in parts):
            return boundary
        number += 1
