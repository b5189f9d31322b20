"""What a report says to people: plain words, one idea to a sentence, and what they can do.

All text of the human part is here, as templates; report.py frames it. The fields for machines are in fields.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shared.dsn.fate import Action, Fate
from shared.dsn.text import readable
from shared.mail.reply import Reply, printable

SUBJECTS: Mapping[Action, str] = {
    Action.FAILED: "Your message could not be delivered",
    Action.DELAYED: "Your message is delayed, nothing to do for you yet",
    Action.DELIVERED: "Your message was delivered",
    Action.RELAYED: "Your message was passed on",
}

_OPENINGS: Mapping[Action, str] = {
    Action.FAILED: "Your message of {arrived} could not be delivered to:",
    Action.DELAYED: "Your message of {arrived} has not been delivered yet to:",
    Action.DELIVERED: "Your message of {arrived} was delivered. You asked to be told. It reached:",
    Action.RELAYED: "Your message of {arrived} was passed on. You asked to be told. It concerns:",
}

_GREETING = "This is the mail system of {hostname}."
_CLOSINGS: Mapping[Action, str] = {
    Action.FAILED: "It will not be tried again. Recipients that are not named here are not affected.",
    Action.DELAYED: (
        "You need not send it again: it will be tried until {until}.\n"
        "If it cannot be delivered by then, you will get another report."
    ),
    Action.DELIVERED: "This is for your information only.",
    Action.RELAYED: (
        "The next mail system does not report deliveries, so this is the last you will hear\n"
        "of it, unless something goes wrong."
    ),
}
_SIGNATURE = (
    "If you need help, show this report to postmaster@{hostname}.\n"
    "Your message is known there as {cause}, this report as {id}."
)

_REMOTE_REFUSED = "The mail server {host} refused it. It said:"
_REMOTE_DEFERRED = "The mail server {host} could not take it yet. It said:"
_REMOTE_TOOK = "The mail server {host} took it. It said:"
_WE_SAY = "This mail system found:"
_GAVE_UP = "It was tried for {span} without success."
_STILL_TRYING = "It has been tried for {span}."
_MAYBE = (
    "A connection broke at the very end of one attempt, so the recipient may have received\n"
    "the message all the same, perhaps more than once."
)

#  By the enhanced code without its class (RFC 3463), the most exact first.
_ADVICE: Sequence[tuple[str, str]] = (
    ("1.1", "The part before the @ is not known there. Look for a typing error in the address."),
    ("1.2", "The domain behind the @ does not exist. Look for a typing error in the address."),
    ("1.10", "That domain accepts no mail at all. Look for a typing error in the address."),
    ("1.", "Look for a typing error in the address."),
    ("2.1", "The mailbox is switched off. Reach the recipient another way."),
    ("2.2", "The mailbox is full. Reach the recipient another way, and try again later."),
    ("2.3", "The message is too large for this mailbox. Send it without attachments, or in parts."),
    ("2.", "The mailbox has a problem that its owner has to solve. Reach the recipient another way."),
    ("3.4", "The message is too large. Send it without attachments, or in parts."),
    ("4.6", "The mail went round in circles. The postmaster of the recipient has to put this right."),
    ("4.7", "The server on the other side was out of order for too long. Try again later, or another way."),
    ("4.", "The way to the recipient is disturbed. Try again later, or reach the recipient another way."),
    ("6.7", "The server cannot handle an address with letters outside of English. Ask for another address."),
    ("6.", "The server cannot handle the form of this message. Send it in a simpler form."),
    ("7.", "The other side has rules that forbid this. Its postmaster can say which, if the words above do not."),
    ("", "The words above are the reason. Try again, or reach the recipient another way."),
)

LONGEST_QUOTED_LINE = 900
MOST_QUOTED_LINES = 20


def write_human_part(
    kind: Action, hostname: str, cause: str, identity: str, arrived: str, fates: Sequence[Fate], until: str
) -> str:
    """The first part of a report, lines ended by LF."""
    facts = {"hostname": hostname, "cause": cause, "id": identity, "arrived": arrived, "until": until}
    paragraphs = [_GREETING, _OPENINGS[kind]]
    text = [paragraph.format_map(facts) for paragraph in paragraphs]
    text += [_tell(fate) for fate in fates]
    text += [_CLOSINGS[kind].format_map(facts), _SIGNATURE.format_map(facts)]
    return "\n\n".join(text) + "\n"


def _tell(fate: Fate) -> str:
    """One recipient: for whom, what happened, in whose words, what to do."""
    lines = [f"<{readable(str(fate.recipient.address))}>"]
    if fate.tried_for:
        lines += _indent((_GAVE_UP if fate.action is Action.FAILED else _STILL_TRYING).format(span=fate.tried_for))
    lines += _indent(_who_speaks(fate))
    lines += [f"        {line}" for line in quote(fate.reply)]
    if fate.maybe_delivered:
        lines += _indent(_MAYBE)
    if fate.action is Action.FAILED:
        lines += _indent(advise(fate.status))
    return "\n".join(lines)


def _who_speaks(fate: Fate) -> str:
    if not fate.host:
        return _WE_SAY
    host = printable(fate.host)[:LONGEST_QUOTED_LINE]
    if fate.action in (Action.DELIVERED, Action.RELAYED):
        return _REMOTE_TOOK.format(host=host)
    return (_REMOTE_REFUSED if fate.reply.is_permanent else _REMOTE_DEFERRED).format(host=host)


def _indent(text: str) -> list[str]:
    return [f"    {line}" for line in text.split("\n")]


def quote(reply: Reply) -> list[str]:
    """The reply word by word, as it came over the wire but for what a terminal or a parser might take amiss."""
    prefix = f"{reply.code} {reply.enhanced} " if reply.enhanced else f"{reply.code} "
    lines = []
    for line in reply.text.split("\n"):
        shown = (prefix + printable(line)).rstrip()
        lines += [shown[at : at + LONGEST_QUOTED_LINE] for at in range(0, len(shown), LONGEST_QUOTED_LINE)]
        if len(lines) > MOST_QUOTED_LINES:
            return [*lines[:MOST_QUOTED_LINES], "..."]
    return lines


def advise(status: str) -> str:
    """What the sender can do about a failure with this enhanced code."""
    detail = status.partition(".")[2]
    return next(
        advice
        for start, advice in _ADVICE
        if detail == start or ((start.endswith(".") or not start) and detail.startswith(start))
    )


def describe_span(seconds: float) -> str:
    """A length of time as people say it: "5 days", "1 hour"; never more exact than that."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            return _count(int(seconds // length), unit)
    return _count(max(int(seconds), 0), "second")


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
