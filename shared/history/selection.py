"""Which lines of the records are kept: what happened to messages, and whoever was turned away.

Filing looks for names between quotation marks and parses nothing, a few hundred lines at a time: it is done for every
event of a daemon. A line is taken apart when somebody asks.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from shared.observe import events

#  Events that are about no message yet; of all others those that name a queue id are kept.
KEPT = frozenset(
    {
        events.SESSION_REFUSED,
        events.SESSION_TIMED_OUT,
        events.LIMIT_REACHED,
        events.CLIENT_BLACKLISTED,
        events.PROXY_REFUSED,
        events.HELO_REFUSED,
        events.SENDER_REFUSED,
        events.RECIPIENT_REFUSED,
        events.MESSAGE_REFUSED,
        events.LOGIN_REFUSED,
        events.PICKUP_REFUSED,
    }
)
_KEPT = frozenset(event.encode() for event in KEPT)
#  A quotation mark inside a value has a backslash before it, so no value can look like a name.
_ID = b',"id":"'
_IDS = re.compile(rb',"(?:id|report)":"([^"]+)"').findall

Row = tuple[float, str | None, str]
"""Unix time, queue id, the line without its end."""


class Block(NamedTuple):
    """Lines that are filed together, and the queue ids in them, with a blank between two."""

    ids: str
    lines: bytes


def block_of(piece: bytes) -> Block:
    """What is kept of these lines; it may be nothing."""
    if piece.count(_ID) < piece.count(b"\n"):  #  else all of it, as under load
        piece = b"\n".join([line for line in piece.split(b"\n") if _ID in line or _event_of(line) in _KEPT])
    return Block(b" ".join(dict.fromkeys(_IDS(piece))).decode("ascii", "replace"), piece)


def _event_of(line: bytes) -> bytes:
    #  {"at":1795456686.250,"daemon":"mercury-s","event":"message-accepted","id":"7Q2M-K4ZC",...
    parts = line.split(b'"', 10)
    return parts[9] if len(parts) > 10 else b""


def texts_about(queue_ids: Collection[str]) -> list[bytes]:
    """What to give to `rows_of` for these: for more than one nothing, as looking at every line is quicker then."""
    return [f'"{queue_id}"'.lower().encode() for queue_id in queue_ids] if len(queue_ids) == 1 else []


def rows_of(piece: bytes, texts: Collection[bytes] = ()) -> Iterator[Row]:
    """The lines that are kept, and in which one of `texts` (lower case) stands, if there are any.

    A line about a report comes twice: for the report, and for the message that it is about.
    """
    if texts and not _holds(piece, texts):
        return
    lines: Iterable[bytes] = piece.split(b"\n")
    if texts:
        lines = (line for line in lines if _holds(line, texts))
    for line in lines:
        yield from _rows(line.decode("ascii", "replace"))


def _holds(octets: bytes, texts: Collection[bytes]) -> bool:
    lowered = octets.lower()
    return any(text in lowered for text in texts)


def _rows(line: str) -> Iterator[Row]:
    parts = line.split('"', 14)
    if len(parts) < 11 or parts[1] != "at" or parts[7] != "event":
        return  #  torn by a power cut, or not ours
    queue_id = parts[13] if parts[11:12] == ["id"] else _value(line, "id")
    if queue_id is None and parts[9] not in KEPT:
        return
    try:
        at = float(parts[2][1:-1])
    except ValueError:
        return
    yield at, queue_id, line
    if '"report":"' in line and (report := _value(line, "report")):
        yield at, report, line


def _value(line: str, name: str) -> str | None:
    start = line.find(f',"{name}":"')
    if start < 0:
        return None
    start += len(name) + 5
    return line[start : line.find('"', start)]
