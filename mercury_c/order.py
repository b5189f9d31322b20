"""Pure: in which order smarthosts are tried. The lowest priority first; those that share one by their weights.

The algorithm is that of RFC 2782 for SRV records. Not here: which of them is well (shared/transport).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from shared.routing.next_hop import NextHop


def is_fixed(hops: Sequence[NextHop]) -> bool:
    """There is one order only, and it is this one."""
    return all(one.priority < other.priority for one, other in pairwise(hops))


def in_order(hops: Iterable[NextHop], chance: Callable[[], float]) -> list[NextHop]:
    """`chance` gives numbers from 0 to 1, without 1."""
    waiting = sorted(hops, key=lambda hop: (hop.priority, hop.weight))
    ordered: list[NextHop] = []
    while waiting:
        peers = [hop for hop in waiting if hop.priority == waiting[0].priority]
        chosen = _one_of(peers, chance()) if len(peers) > 1 else peers[0]
        waiting.remove(chosen)
        ordered.append(chosen)
    return ordered


def _one_of(peers: Sequence[NextHop], chance: float) -> NextHop:
    """A weight of 0 means almost never; when nobody has another, all are equal."""
    weights = [hop.weight or 0.01 for hop in peers]
    mark = chance * sum(weights)
    for hop, weight in zip(peers, weights, strict=True):
        mark -= weight
        if mark < 0:
            return hop
    return peers[-1]
