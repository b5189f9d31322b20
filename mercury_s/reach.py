"""The reach: how large a message may be that is to go on from here, by what the next hops have said of themselves.

MercuryC writes down what each next hop takes (shared/state/hop_book.py). A message that is larger than all that its
recipient could go to is refused while whoever hands it in still has it (RFC 1870 §6.1), rather than returned later.
Nothing is known, nothing is refused. The book is looked at once a second at most. Not here: our own limit
(policy/transaction.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from mercury_s.policy.verdict import Refuse
from shared.mail.address import Address
from shared.mail.envelope import Recipient
from shared.mail.reply import Reply
from shared.observe import events
from shared.observe.log import log
from shared.routing.decide import decide_route
from shared.routing.lane import Lane
from shared.routing.table import RoutingTable
from shared.state.hop_book import BELIEVED, NAME, read_book

_LOOK_EVERY = 1.0


class Reach:
    """`now` is Unix time, `clock` any seconds. Octets throughout."""

    def __init__(
        self, folder: Path, table: RoutingTable, now: Callable[[], float], clock: Callable[[], float]
    ) -> None:
        self._folder = folder
        self._table = table
        self._now = now
        self._clock = clock
        self._next_look = float("-inf")
        self._mark: tuple[int, int] | None = None
        self._sizes: dict[str, int] = {}
        self._least = float("inf")

    def object_to(self, recipient: Address, site: str, size: int) -> Refuse | None:
        """Why a message of `size` cannot reach `recipient`."""
        if self._clock() >= self._next_look:
            self._look()
        if size <= self._least:
            return None
        most = self._most(recipient, site)
        if not 0 < most < size:
            return None
        text = f"The message has {size} octets; the next server on the way to {recipient.domain} takes {most}"
        return Refuse(Reply(552, "5.3.4", text), f"{size} octets are more than its next hop takes")

    def object_to_all(self, recipients: Sequence[Recipient], site: str, size: int) -> Refuse | None:
        """Why it can reach none of them."""
        refusal = None
        for recipient in recipients:
            refusal = self.object_to(recipient.address, site, size)
            if refusal is None:
                return None
        return refusal

    def _most(self, recipient: Address, site: str) -> int:
        """What the largest of the hops takes; 0 when that is not known, or mail does not go by hops."""
        route = decide_route(self._table, recipient, site)
        if route.lane is not Lane.RELAY:
            return 0
        sizes = [self._sizes.get(hop.book_name, 0) for hop in route.hops]
        return max(sizes) if all(sizes) else 0

    def _look(self) -> None:
        self._next_look = self._clock() + _LOOK_EVERY
        try:
            status = os.stat(self._folder / NAME)
            mark = (status.st_ino, status.st_mtime_ns)
            if mark == self._mark:
                return
            self._mark = mark
            pages = read_book(self._folder)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                log.event(events.HOP_BOOK_TROUBLE, path=str(self._folder / NAME), reason=str(error))
            pages = {}
        now = self._now()
        self._sizes = {name: page.size for name, page in pages.items() if page.size and now - page.heard < BELIEVED}
        self._least = min(self._sizes.values(), default=float("inf"))
