"""The book of next hops: what each said of itself, how it is, and what of its budget is spent.

MercuryC writes it (`next-hops.json` in the state folder), MercuryS and `mercury site show` read it. It is written as
a whole and renamed into place, synced, a second after something changed, so a crash forgets a second of counting and
nothing else. A file that cannot be read is as none: everything in it is learned anew. Not here: what a budget is
(shared/routing/budget.py), who keeps to it (shared/transport/steward.py).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAME = "next-hops.json"
#  A hop that nobody has spoken to for so long may have other limits by now; after much longer it is forgotten.
BELIEVED, REMEMBERED = 7 * 86400.0, 60 * 86400.0
#  What was heard again is written anew only after so long, if it is the same.
HEARD_AGAIN = 3600.0


@dataclass(slots=True)
class HopPage:
    """`size` is the largest message it takes in octets and `limits` are those of RFC 9422, heard at `heard` (Unix
    time); 0 and none when it named none. `trouble` is why it gets no mail, `since` when; empty when it is well.
    `spent`: slots of the budget by the words of their limit."""

    size: int = 0
    limits: dict[str, int] = field(default_factory=dict)
    heard: float = 0.0
    trouble: str = ""
    since: float = 0.0
    spent: dict[str, dict[int, int]] = field(default_factory=dict)


def read_book(folder: Path) -> dict[str, HopPage]:
    """The pages by book name (NextHop.book_name). Raises OSError, except when there is no book."""
    try:
        data = (folder / NAME).read_bytes()
    except FileNotFoundError:
        return {}
    try:
        pages = json.loads(data)["hops"]
        return {str(name): _page(fields) for name, fields in pages.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def render_book(pages: Mapping[str, HopPage], now: float) -> bytes:
    """Without those that nothing has been heard of for long."""
    hops = {
        name: {
            "size": page.size,
            "limits": page.limits,
            "heard": page.heard,
            "trouble": page.trouble,
            "since": page.since,
            "spent": page.spent,
        }
        for name, page in pages.items()
        if page.spent or now - max(page.heard, page.since) < REMEMBERED
    }
    return json.dumps({"written": now, "hops": hops}, indent=1).encode() + b"\n"


def write_book(folder: Path, data: bytes) -> None:
    """Durably: the old book or the new one is there, whatever happens. Raises OSError."""
    part = folder / f"{NAME}.part"
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    os.rename(part, folder / NAME)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _page(fields: Mapping[str, Any]) -> HopPage:
    return HopPage(
        int(fields["size"]),
        {str(name): int(value) for name, value in fields["limits"].items()},
        float(fields["heard"]),
        str(fields["trouble"]),
        float(fields["since"]),
        {
            str(limit): {int(slot): int(count) for slot, count in slots.items()}
            for limit, slots in fields["spent"].items()
        },
    )
