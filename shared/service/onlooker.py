"""The dialogues of a daemon for who looks on over its control socket (`mercury trace`; the tap: shared/observe)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.observe.tap import MOST_WATCHERS, Wanted, tap
from shared.service.control import Answer, Denied, Peer

#  So often something is said, so that either side sees that the other is still there.
BEAT_SECONDS = 5.0


async def tell_dialogues(request: Mapping[str, Any], peer: Peer) -> Answer:
    """Until the other end goes away: `watching` at first and as a beat, lines of dialogues, and `dropped`."""
    words = {key: request.get(key, "") for key in ("peer", "to", "id")}
    if not all(isinstance(word, str) for word in words.values()):
        raise Denied("peer, to and id are texts")
    watcher = tap.watch(Wanted(**words))
    if watcher is None:
        raise Denied(f"{MOST_WATCHERS} look on already; one of them has to end")
    try:
        yield {"watching": True}
        while True:
            lines = await watcher.next(BEAT_SECONDS)
            for line in lines:
                yield line
            if not lines:
                yield {"watching": True}
    finally:
        tap.leave(watcher)
