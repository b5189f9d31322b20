"""Failed logins as all workers count them together (mercury_s/tally.py); what follows from them is in failures.py."""

from __future__ import annotations

from mercury_s.auth.failures import BLOCK_SECONDS, MOST_FAILURES, WINDOW_SECONDS, Failures, delay_after, network_of
from mercury_s.tally import Tally


class SharedFailures(Failures):
    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def note(self, client: str, name: str) -> float:
        prefix = network_of(client)
        count = self._count(f"failed client {prefix}")
        if count >= MOST_FAILURES:
            self._tally.add(f"blocked {prefix}", 1, BLOCK_SECONDS)
        return delay_after(max(count, self._count(f"failed name {name.casefold()}")))

    def is_blocked(self, client: str) -> bool:
        return self._tally.total(f"blocked {network_of(client)}") > 0

    def _count(self, key: str) -> int:
        self._tally.add(key, 1, WINDOW_SECONDS)
        return self._tally.total(key)
