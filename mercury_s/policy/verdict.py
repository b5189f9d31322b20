"""A verdict on what a client asked for: yes, or a reply that says no. `reason` is for the log, never for the peer."""

from __future__ import annotations

from dataclasses import dataclass

from shared.mail.reply import Reply


@dataclass(frozen=True, slots=True)
class Accept:
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Refuse:
    reply: Reply
    reason: str


Verdict = Accept | Refuse
