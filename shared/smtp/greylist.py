"""Greylisting: a server that puts a stranger off once, to see whether he comes again (RFC 6647). Pure.

It says so by a 4xx, nearly always with the word, often with the time. The usual back-off comes again too early, which
some servers answer by starting anew, and the second time far too late; who is told a time comes just after it.
"""

from __future__ import annotations

import re

from shared.mail.reply import Reply

#  What most greylists demand when they do not say (postgrey, milter-greylist, rspamd).
USUAL_WAIT = 300.0
LONGEST_WAIT = 3600.0
#  Behind the time, as the other clock may differ a little.
MARGIN = 10.0
#  After so many attempts it is something else, and the back-off counts again.
MOST_ATTEMPTS = 3

_WORD = re.compile(r"gr[ea]y[ -]?list", re.IGNORECASE)
_CLOCK = re.compile(r"\b(\d{1,2}):(\d{2}):(\d{2})\b")
_SPAN = re.compile(r"\b(\d{1,5}) ?(s|secs?|seconds?|m|mins?|minutes?|h|hours?)\b", re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def greylist_wait(reply: Reply, attempts: int) -> float | None:
    """Seconds until it makes sense to come again after `attempts` attempts; None when this is no greylisting."""
    if not reply.is_transient or attempts > MOST_ATTEMPTS or not _WORD.search(reply.text):
        return None
    said = _said(reply.text)
    return min((USUAL_WAIT if said is None else said) + MARGIN, LONGEST_WAIT)


def _said(text: str) -> float | None:
    if found := _CLOCK.search(text):
        return float(int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3]))
    if found := _SPAN.search(text):
        return float(int(found[1]) * _SECONDS[found[2][0].lower()])
    return None
