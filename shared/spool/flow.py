"""A flow: the mail of one origin, by which senders take turns (shared/delivery/turns.py).

Its mark is part of an entry's name, so that a lane of a million entries can be shared fairly without opening one.
"""

from __future__ import annotations

from zlib import crc32

from shared.mail.envelope import Envelope

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]


def flow_of(envelope: Envelope) -> str:
    """Four letters for the login, or for the client with the domain it sends for; empty for mail born here.

    Not the sender alone: newsletters give each letter a sender of its own. Not what a client calls itself either,
    which it could change from letter to letter. Two flows may share a mark; then they share their turns.
    """
    origin = envelope.login
    if not origin:
        words = envelope.client.split(" ", 2)
        origin = " ".join(words[:2]) if words[0] == "uid" else words[0]
        if not origin:
            return ""
        if envelope.sender is not None:
            origin += "@" + envelope.sender.domain
    digest = crc32(origin.encode("utf-8", "surrogatepass"))
    return _PAIRS[digest >> 10 & 1023] + _PAIRS[digest & 1023]
