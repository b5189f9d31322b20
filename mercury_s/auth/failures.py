"""Failed logins, counted by client and by login name: how long the answer waits, and who is not asked any more.

Names are counted alike whether they exist or not. A name is never locked: a success is not delayed, and only the
client that keeps failing is turned away. Pure but for the clock; bounded however many clients there are.
Not here: checking passwords (authenticate.py), closing sessions (the session's limits).
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable

_FIRST_DELAY = 1.0
_LONGEST_DELAY = 8.0
WINDOW_SECONDS = 600.0
BLOCK_SECONDS = 600.0
MOST_FAILURES = 10  #  failures of one client within the window
_KEPT = 20_000  #  clients, and names


class Failures:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._clients = _Counts()
        self._names = _Counts()
        self._blocked: OrderedDict[str, float] = OrderedDict()

    def note(self, client: str, name: str) -> float:
        """Another failure; the seconds that its answer waits: 1, 2, 4, at most 8."""
        now = self._clock()
        prefix = network_of(client)
        count = self._clients.add(prefix, now)
        if count >= MOST_FAILURES:
            self._blocked[prefix] = now + BLOCK_SECONDS
            self._blocked.move_to_end(prefix)
            if len(self._blocked) > _KEPT:
                self._blocked.popitem(last=False)
        worst = max(count, self._names.add(name.casefold(), now))
        return delay_after(worst)

    def is_blocked(self, client: str) -> bool:
        """Whether this client failed so often that it is not asked for ten minutes."""
        prefix = network_of(client)
        until = self._blocked.get(prefix)
        if until is None:
            return False
        if self._clock() < until:
            return True
        del self._blocked[prefix]
        return False


def delay_after(failures: int) -> float:
    """Seconds."""
    return min(_FIRST_DELAY * 2.0 ** (failures - 1), _LONGEST_DELAY)


class _Counts:
    """Times of failures within the window, for the keys that failed last."""

    def __init__(self) -> None:
        self._times: OrderedDict[str, list[float]] = OrderedDict()

    def add(self, key: str, now: float) -> int:
        times = [time for time in self._times.pop(key, ()) if now - time < WINDOW_SECONDS][1 - MOST_FAILURES :]
        times.append(now)
        self._times[key] = times
        if len(self._times) > _KEPT:
            self._times.popitem(last=False)
        return len(times)


def network_of(client: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 that an IPv6 host chooses its addresses from."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
    return str(address)
