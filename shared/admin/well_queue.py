"""Is everything well with what waits: held mail, mail that is late, and why; causes that many destinations share,
long before mail is late; a site that somebody has paused; the clock."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from shared.admin.output import age, count_text
from shared.admin.trouble import Trouble
from shared.config.model import Config
from shared.mail.reply import printable
from shared.routing.lane import Lane
from shared.routing.site import SiteWord
from shared.spool.queue_entry import QueueEntry, list_entries
from shared.spool.spool import Spool
from shared.state.site_words import UnreadableWords, read_orders

#  So many entries are looked at; reasons repeat.
_LOOKED_AT = 200
_REASONS = 3
_LONGEST_REASON = 160
#  So many destinations with the same fault: it is not theirs.
_NAMELESS, _UNREACHED = 2, 3
#  Mail that comes from later than this, in seconds, was not put back by the clock's own corrections.
_CLOCK_SLACK = 300.0

_CODE = re.compile(r"[245][0-9]{2}(?: [245]\.[0-9]{1,3}\.[0-9]{1,3})?")


def of_the_queue(
    config: Config, spool: Spool, lanes: Mapping[str, Mapping[str, Any]], now: float
) -> Iterator[Trouble]:
    yield from _of_pauses(config, now)
    if held := lanes["hold"]["entries"]:
        yield Trouble(f"{count_text(held)} held until a person decides", "mercury queue list --lane hold")
    moving = {word: lane for word, lane in lanes.items() if word in ("local", "relay", "direct") and lane["oldest"]}
    if any(lane["oldest"] > now + _CLOCK_SLACK for lane in moving.values()):
        yield Trouble(
            "mail waits that has come later than it is now: the clock of this host was put back, or was wrong before",
            "timedatectl tells what it is; when it is right, mercury queue retry --all",
        )
    late = {word: lane for word, lane in moving.items() if now - lane["oldest"] > config.retry.warn_after}
    for word, lane in late.items():
        oldest = age(now - lane["oldest"])
        yield Trouble(
            f"mail in the lane {word} waits since {oldest}", f"mercury queue list --lane {word}; mercury queue shape"
        )
    if moving:
        failed = _failed(spool)
        yield from _of_causes([entry for entry in failed if entry.lane is Lane.DIRECT])
        if late:
            yield from _of_reasons(failed)


def _of_pauses(config: Config, now: float) -> Iterator[Trouble]:
    try:
        orders = read_orders(config.spool, now)
    except (OSError, UnreadableWords):  # `mercury site list` says it
        return
    for name, order in orders.items():
        if order.word is SiteWord.HOLD and name in config.sites:
            until = f" for {age(order.until - now)} more" if order.until else ""
            why = f": {order.reason}" if order.reason else ""
            paused = f"paused {age(now - order.since)} ago by {order.by or 'hand'}"
            yield Trouble(f"the mail of site {name} was {paused}{until}{why}", f"mercury site resume {name}")


def _failed(spool: Spool) -> list[QueueEntry]:
    """Entries that had an attempt, which was in vain."""
    entries = islice(list_entries(spool, (Lane.DIRECT, Lane.RELAY, Lane.LOCAL)), _LOOKED_AT)
    return [entry for entry in entries if entry.last_error]


def _of_causes(failed: list[QueueEntry]) -> Iterator[Trouble]:
    """What is wrong with this host or its line, and not with the one that mail is for."""
    domains = {code: _domains(failed, f" {code} ") for code in ("4.4.3", "4.4.1")}
    everywhere = _domains(failed, "")
    if (nameless := domains["4.4.3"]) and _NAMELESS <= len(nameless) >= len(everywhere) / 2:
        yield Trouble(
            f"the name servers give no answer for {len(nameless)} domains, and mail for them waits",
            f"mercury probe {min(nameless)}; they are those of dns.servers, or of /etc/resolv.conf",
        )
    if (unreached := domains["4.4.1"]) and _UNREACHED <= len(unreached) == len(everywhere):
        yield Trouble(
            f"no mail host of {len(unreached)} domains can be reached: the line is down, or port 25 is blocked",
            "mercury doctor; `delivery: auto` relays meanwhile",
        )


def _domains(failed: list[QueueEntry], code: str) -> set[str]:
    """Of recipients who wait, with that in the last error."""
    return {
        printable(address.rpartition("@")[2])
        for entry in failed
        if code in entry.last_error
        for address in entry.recipients
    }


def _of_reasons(failed: list[QueueEntry]) -> Iterator[Trouble]:
    """Why mail waits, the most frequent first."""
    for reason, count in Counter(entry.last_error for entry in failed).most_common(_REASONS):
        #  The words are a stranger's, and people copy commands: no more than the numbers stands in one.
        code = _CODE.match(reason)
        narrowed = f"mercury queue list --error '{code[0]}'" if code else "mercury queue list"
        text = printable(reason)
        yield Trouble(
            f"{count_text(count)}: " + (text if len(text) <= _LONGEST_REASON else text[:_LONGEST_REASON] + "…"),
            narrowed,
        )
