"""Lanes: the folders of the spool, one for each daemon that drains it and two that nobody drains."""

from __future__ import annotations

from enum import StrEnum


class Lane(StrEnum):
    """The value is the Maildir++ folder below the spool."""

    LOCAL = ".local"
    RELAY = ".relay"
    DIRECT = ".direct"
    HOLD = ".hold"
    TRASH = ".trash"

    @property
    def word(self) -> str:
        """The lane as people read it: local, relay, direct, hold, trash."""
        return self[1:]
