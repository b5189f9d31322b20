"""Reasons for waiting, brought together: what two remote replies have in common when they mean the same. Pure.

A reply names addresses, times, hosts and tickets; with these left out, a hundred deferrals are one problem.
"""

from __future__ import annotations

import re

from shared.mail.reply import printable

LONGEST = 160

#  Addresses and links; words with a digit in them; what brackets and quotes stand around.
_VARIES = re.compile(r"https?://\S+|\S*@\S+|<[^<>]*>|\[[^\[\]]*\]|\S*[0-9]\S*")
_CODE = re.compile(r"([245][0-9]{2})[ -]?((?:[245]\.[0-9]{1,3}\.[0-9]{1,3})?)")


def group_of(reason: str) -> str:
    """The same for replies that differ only in names, numbers and times; empty for no reason."""
    text = printable(reason)[:1000]
    code = _CODE.match(text)
    head = f"{code[1]} {code[2]}".strip() if code else ""
    rest = _VARIES.sub("…", text[code.end() :] if code else text)
    return " ".join(f"{head} {rest}".split())[:LONGEST]
