"""Names of entries, the text that every rename in the spool is about.

    <seconds>.<queue id>.<node>,S=<octets>[,F=<flow>][,P=<priority>][,C=<copy>][,L=<lane>]     in new/
    <the same>,N=<owner>:2,                                                                    in cur/

Made of digits, ids and host names of ours only; nothing that a peer has said is ever part of a name.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from shared.routing.lane import Lane

_NOT_IN_A_NODE = re.compile(r"[^A-Za-z0-9.-]")
_LONGEST_NODE = 64


class EntryName(NamedTuple):
    """`origin` is the word of the lane an entry was deposited in, once it has left it. `copy` tells an entry that was
    split off another one later from those that the message became when it came. `flow` is the mark of its sender
    (flow.py), `priority` the envelope's. All are left out when there is nothing to say."""

    seconds: int
    id: str
    node: str
    size: int
    origin: str = ""
    copy: str = ""
    flow: str = ""
    priority: int = 0

    def __str__(self) -> str:
        flow = f",F={self.flow}" if self.flow else ""
        priority = f",P={self.priority}" if self.priority else ""
        copy = f",C={self.copy}" if self.copy else ""
        origin = f",L={self.origin}" if self.origin else ""
        return f"{self.seconds}.{self.id}.{self.node},S={self.size}{flow}{priority}{copy}{origin}"


def parse_name(name: str) -> EntryName | None:
    """What the name of an entry in new/ says, or None for a foreign name."""
    base, *fields = name.split(",")
    parts = base.split(".", 2)
    if len(parts) != 3 or not fields or not name.isascii() or ":" in name:
        return None
    seconds, size = parts[0], fields[0][2:]
    if not (fields[0].startswith("S=") and seconds.isdecimal() and size.isdecimal()):
        return None
    if len(fields) == 1:
        return EntryName(int(seconds), parts[1], parts[2], int(size))
    get = {field[:2]: field[2:] for field in fields[1:]}.get
    priority = get("P=", "0")
    if not priority.removeprefix("-").isdecimal() or len(priority) > 3:
        return None
    parsed = EntryName(
        int(seconds), parts[1], parts[2], int(size), get("L=", ""), get("C=", ""), get("F=", ""), int(priority)
    )
    return parsed if str(parsed) == name else None


def standing(name: str) -> tuple[str, int]:
    """Flow and priority of an entry, as fast as can be: this is asked for every name of a lane that is due."""
    _, found, rest = name.partition(",F=")
    flow = rest.partition(",")[0] if found else ""
    _, found, rest = name.partition(",P=")
    if not found:
        return flow, 0
    try:
        return flow, int(rest.partition(",")[0])
    except ValueError:
        return flow, 0


def claimed_name(name: str, owner: str) -> str:
    """The name in cur/ of an entry that `owner` works on."""
    return f"{name},N={owner}:2,"


def split_claimed(claimed: str) -> tuple[str, str]:
    """The name in new/ and the owner; the owner is empty when a mail reader has put the entry into cur/."""
    name = claimed.partition(":")[0]
    name, _, owner = name.partition(",N=")
    return name, owner


def name_in_lane(name: str, here: Lane, there: Lane) -> str:
    """The name that the entry `name` of one lane gets in another. Entries of one message may meet in a lane; the lane
    each was deposited in keeps their names apart. Raises ValueError for a foreign name."""
    parsed = parse_name(name)
    if parsed is None:
        raise ValueError(f"{name!r} is no entry name")
    origin = parsed.origin or here.word
    return str(parsed._replace(origin="" if origin == there.word else origin))


def safe_node(text: str) -> str:
    """`text`, a host name, as it may stand in names."""
    return _NOT_IN_A_NODE.sub("-", text)[:_LONGEST_NODE].strip(".") or "localhost"
