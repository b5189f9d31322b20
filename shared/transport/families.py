"""IPv6 or IPv4 first: as has worked from here (RFC 8305 §4, "historical" preference). Time comes in as an argument.

A host has addresses of both families; which of them works is a matter of our line far more often than of the host.
When several hosts cannot be reached over one family while the other reaches them, that family goes last for a while,
and is tried again then. Not here: single addresses that are dead (back_off.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

#  One dead host says nothing about a family.
ENOUGH = 3
#  RFC 8305 §9.1: such a memory must not last longer than the network may stay as it is.
DOUBT = 600.0


class Families:
    """What became of the connections made from here, by family."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failed: dict[bool, set[str]] = {False: set(), True: set()}
        self._doubted_until: dict[bool, float] = {}

    def note_failure(self, address: str) -> None:
        """No connection could be made to this address."""
        failed = self._failed[_is_six(address)]
        if len(failed) < ENOUGH:
            failed.add(address)

    def note_success(self, address: str) -> None:
        """A connection was made: its family works, and the other, if it has failed so often, is doubted."""
        family = _is_six(address)
        self._failed[family].clear()
        self._doubted_until.pop(family, None)
        other = self._failed[not family]
        if len(other) >= ENOUGH:
            self._doubted_until[not family] = self._clock() + DOUBT
            other.clear()

    def is_doubted(self, address: str) -> bool:
        until = self._doubted_until.get(_is_six(address)) if self._doubted_until else None
        return until is not None and self._clock() < until

    def order(self, addresses: Sequence[str]) -> Sequence[str]:
        """As they were, but those of a doubted family last."""
        return sorted(addresses, key=self.is_doubted) if self._doubted_until else addresses


def _is_six(address: str) -> bool:
    return ":" in address
