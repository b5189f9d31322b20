"""A trouble that `mercury status` tells: what is wrong, in a sentence, and the command that helps."""

from __future__ import annotations

from shared.mail.record import dataclass


@dataclass(frozen=True, slots=True)
class Trouble:
    what: str
    do: str
