"""What came of knocking at a mail host: does SMTP answer there? Pure.

Not here: the knocking (probe.py), what several of them show (mercury_e/breaker.py).
"""

from __future__ import annotations

from enum import StrEnum

from shared.mail.record import dataclass


class Finding(StrEnum):
    """What came of one host: SMTP; silence; a refusal; no way to it; a connection without SMTP; no address."""

    ANSWERS = "answers"
    SILENT = "silent"
    REFUSED = "refused"
    NO_WAY = "no way"
    MUTE = "mute"
    NO_ADDRESS = "no address"


@dataclass(frozen=True, slots=True)
class Knock:
    host: str
    finding: Finding
    detail: str = ""
