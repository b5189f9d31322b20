"""The priority of a message, from what its header says of itself; in the numbers of RFC 6710, -9 to 9.

Pure. Anybody may lower the priority of his mail, only our own people raise it: a stranger's urgent letter is not more
urgent than ours. Bulk is bulk, whoever sends it and whatever else it says. Looked at only where `receive.priorities`
says so. Not here: what a priority does (shared/delivery/waiting.py, shared/transport/steward.py).
"""

from __future__ import annotations

from collections.abc import Mapping

URGENT, USUAL, BULK = 4, 0, -4

_BULK = frozenset({b"bulk", b"junk", b"list"})
_LIST_FIELDS = (b"list-id", b"list-unsubscribe")
#  Field → its words, in the order in which they count: RFC 2156 §5.3.6 and §5.3.4, then what mail clients made up.
_WISHES: Mapping[bytes, Mapping[bytes, int]] = {
    b"priority": {b"urgent": URGENT, b"normal": USUAL, b"non-urgent": BULK},
    b"importance": {b"high": URGENT, b"normal": USUAL, b"low": BULK},
    b"x-priority": {b"1": URGENT, b"2": URGENT, b"3": USUAL, b"4": BULK, b"5": BULK},
    b"x-msmail-priority": {b"high": URGENT, b"normal": USUAL, b"low": BULK},
}


def decide_priority(header: bytes, is_trusted: bool) -> int:
    """`is_trusted`: it comes from one of our own people."""
    lowered = b"\r\n" + header.lower()
    if _word(lowered, b"precedence") in _BULK or any(b"\r\n%b:" % name in lowered for name in _LIST_FIELDS):
        return BULK
    for name, words in _WISHES.items():
        wish = words.get(_word(lowered, name))
        if wish is not None:
            return wish if is_trusted else min(wish, USUAL)
    return USUAL


def _word(lowered: bytes, name: bytes) -> bytes:
    """The first word of the field, without the comment that X-Priority has behind its number."""
    start = lowered.find(b"\r\n%b:" % name)
    if start < 0:
        return b""
    start += len(name) + 3
    end = lowered.find(b"\r\n", start)
    words = (lowered[start:end] if end >= 0 else lowered[start:]).split(None, 1)
    return words[0] if words else b""
