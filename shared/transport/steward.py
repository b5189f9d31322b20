"""The steward keeps to what next hops demand: their hours, their budgets, how many recipients a message may have.

Asked only about hops that have terms (shared/routing/terms.py), so that others cost nothing. It also remembers what
every hop says of itself and how it is, in the book of next hops (shared/state/hop_book.py). Time comes in as an
argument. Not here: what is done with a message that may not go (carrier.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from shared.mail.envelope import Envelope
from shared.mail.record import dataclass
from shared.observe import events
from shared.observe.log import log
from shared.routing.budget import Account, Limit, Over, Unit, words_of_span
from shared.routing.hours import opens_in
from shared.routing.next_hop import NextHop
from shared.smtp.client_events import Ended
from shared.smtp.ehlo import Extensions
from shared.smtp.judge import End
from shared.state.hop_book import HEARD_AGAIN, HopPage, read_book, render_book, write_book
from shared.transport.dial import Unreached

#  Seconds from a change to its writing.
SAVE_AFTER = 1.0
#  Of strangers, which are in no book, so many are counted at once; then all begin anew.
MOST_STRANGERS = 10_000


@dataclass(frozen=True, slots=True)
class Withheld(Unreached):
    """The hop gets nothing now, by its terms and not for a fault. `seconds` until it may; `is_to_wait`: mail is not
    to go to another one instead."""

    seconds: float = 0.0
    is_to_wait: bool = False


class Steward:
    """`clock` is Unix time; `folder` is the state folder, None keeps nothing. `close` writes what is not written."""

    def __init__(self, clock: Callable[[], float], folder: Path | None = None) -> None:
        self._clock = clock
        self._folder = folder
        self._accounts: dict[str, Account] = {}
        #  When the next of those that wait at a hop is to come again.
        self._turns: dict[str, float] = {}
        self._pages: dict[str, HopPage] = {}
        self._saving: asyncio.Task[None] | None = None
        self._is_dirty = False
        if folder is not None:
            try:
                self._pages = read_book(folder)
            except OSError as error:
                log.event(events.HOP_BOOK_TROUBLE, path=str(folder), reason=str(error))

    # -- what may go -----------------------------------------------------------------------------------------------

    def room(self, hop: NextHop, envelope: Envelope, wanted: int) -> int | Withheld:
        """For how many of `wanted` recipients a transaction may begin now; these are spent."""
        terms, now, is_urgent = hop.terms, self._clock(), envelope.priority > 0
        if not is_urgent and (seconds := opens_in(terms.hours, terms.zone, now)) > 0:
            hours = ", ".join(map(str, terms.hours))
            return _withheld(hop, f"its hours are {hours}", seconds)
        if terms.budget.limits:
            return self._budgeted(hop, wanted, is_urgent, now)
        return wanted

    def give_back(self, hop: NextHop, messages: int, recipients: int) -> None:
        """Of what `room` has spent, this was not used after all."""
        if hop.terms.budget.limits and (messages or recipients):
            self._account(hop).spend(-messages, -recipients, self._clock())
            self._changed()

    def _budgeted(self, hop: NextHop, wanted: int, is_urgent: bool, now: float) -> int | Withheld:
        account, budget = self._account(hop), hop.terms.budget
        room = account.room(wanted, is_urgent, now)
        if room:
            account.spend(1, room, now)
            self._page(hop).spent = account.kept()
            self._changed()
            return room
        wait, limit = account.free_in(wanted, is_urgent, now)
        assert limit is not None
        said = f"the budget of {limit} is used up"
        if budget.reserve and not is_urgent:
            said += f", but for the {budget.reserve} % kept for urgent mail"
        return _withheld(hop, said, self._turn(hop, limit, wanted, wait, now), budget.over is Over.WAIT)

    def _turn(self, hop: NextHop, limit: Limit, wanted: int, wait: float, now: float) -> float:
        """Those who wait come again one after the other, at the pace of the limit, not all at the same moment."""
        amount = wanted if limit.unit is Unit.RECIPIENTS else 1
        turn = max(self._turns.get(hop.book_name, 0.0), now + wait)
        latest = now + wait + limit.seconds
        self._turns[hop.book_name] = min(turn + amount * limit.seconds / limit.count, latest)
        return min(turn, latest) - now

    def _account(self, hop: NextHop) -> Account:
        account = self._accounts.get(hop.book_name)
        if account is None or account.budget != hop.terms.budget:
            if self._folder is None and len(self._accounts) >= MOST_STRANGERS:
                for known in (self._accounts, self._turns, self._pages):
                    known.clear()
            kept = account.kept() if account is not None else self._page(hop).spent
            account = self._accounts[hop.book_name] = Account(hop.terms.budget, kept)
        return account

    # -- what is known of a hop ------------------------------------------------------------------------------------

    def most_recipients(self, hop: NextHop) -> tuple[int, int]:
        """Recipients, and domains of recipients, that it takes in one transaction as far as it has said so (RFC
        9422); 0: it has not."""
        page = self._pages.get(hop.book_name)
        limits = page.limits if page is not None else {}
        return limits.get("RCPTMAX", 0), limits.get("RCPTDOMAINMAX", 0)

    def hear(self, hop: NextHop, offer: Extensions) -> None:
        """What it has said in its answer to EHLO, for who comes after the next start and for MercuryS."""
        page, now = self._page(hop), self._clock()
        if page.trouble:
            self.note_health(hop, "")  #  it let us in
        if (page.size, page.limits) == (offer.size, offer.limits) and now - page.heard < HEARD_AGAIN:
            return
        page.size, page.limits, page.heard = offer.size, dict(offer.limits), now
        self._changed()

    def note_health(self, hop: NextHop, trouble: str) -> None:
        """Why it gets no mail; empty: it is well."""
        page = self._page(hop)
        if bool(page.trouble) != bool(trouble):
            page.since = self._clock()
        if page.trouble != trouble:
            page.trouble = trouble
            self._changed()

    def is_unwell(self, hop: NextHop) -> bool:
        page = self._pages.get(hop.book_name)
        return page is not None and bool(page.trouble)

    def _page(self, hop: NextHop) -> HopPage:
        return self._pages.setdefault(hop.book_name, HopPage())

    # -- the book --------------------------------------------------------------------------------------------------

    def _changed(self) -> None:
        self._is_dirty = True
        if self._folder is not None and self._saving is None:
            self._saving = asyncio.ensure_future(self._save())

    async def _save(self) -> None:
        try:
            await asyncio.sleep(SAVE_AFTER)
            while self._is_dirty and self._folder is not None:
                data = self._render()
                await asyncio.get_running_loop().run_in_executor(None, self._write, self._folder, data)
                await asyncio.sleep(SAVE_AFTER)
        finally:
            self._saving = None

    def close(self) -> None:
        if self._saving is not None:
            self._saving.cancel()
        if self._is_dirty and self._folder is not None:
            self._write(self._folder, self._render())

    def _render(self) -> bytes:
        self._is_dirty = False
        for name, account in self._accounts.items():
            self._pages[name].spent = account.kept()
        return render_book(self._pages, self._clock())

    def _write(self, folder: Path, data: bytes) -> None:
        try:
            write_book(folder, data)
        except OSError as error:
            self._is_dirty = False  #  what is counted next will try again
            log.event(events.HOP_BOOK_TROUBLE, path=str(folder), reason=str(error))


def _withheld(hop: NextHop, said: str, seconds: float, is_to_wait: bool = False) -> Withheld:
    when = _rounded(seconds)
    return Withheld(
        Ended(End.WITHHELD, None, f"{said}; again in {when}"), str(hop), seconds=seconds, is_to_wait=is_to_wait
    )


def _rounded(seconds: float) -> str:
    """For people: 12s, 45m, 9h22m."""
    if seconds < 120:
        return words_of_span(max(1.0, round(seconds)))
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m"
