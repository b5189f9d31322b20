"""What a report says to people: plain words, one idea to a sentence, and what they can do.

The words are in words/<language>.txt, one file for a language, and in files of a house that wants others in their
place; here is in which order they stand. report.py frames them. The fields for machines are in fields.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from string import Formatter

from shared.dsn.fate import Action, Fate
from shared.dsn.text import readable
from shared.mail.record import dataclass
from shared.mail.reply import Reply, printable

LANGUAGES = ("en", "de")
USUAL = "en"
#  In place of the action's words, for a report to the postmaster about mail that has no sender.
UNDELIVERABLE = "undeliverable"

LONGEST_QUOTED_LINE = 900
MOST_QUOTED_LINES = 20

_NAME = re.compile(r"\[(.+)\]\Z")
_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


@dataclass(frozen=True, slots=True)
class Words:
    """The texts of one language by their names."""

    language: str
    texts: Mapping[str, str]

    def say(self, name: str, **facts: object) -> str:
        return self.texts[name].format_map(facts)

    def advise(self, status: str) -> str:
        """What the sender can do about a failure with this enhanced code."""
        detail = status.partition(".")[2]
        names = (f"advice {detail}", f"advice {detail.partition('.')[0]}.", "advice")
        return next(self.texts[name] for name in names if name in self.texts)

    def span(self, seconds: float) -> str:
        """A length of time as people say it: "5 days", "1 hour"; never more exact than that."""
        whole = max(int(seconds), 0)
        unit, length = next((each for each in _UNITS if whole >= each[1]), _UNITS[-1])
        count = whole // length
        return self.say(f"one {unit}" if count == 1 else f"{unit}s", count=count)


@cache
def words_in(language: str) -> Words:
    """Read once. A language that we do not have is spoken in English."""
    from importlib.resources import files  # with the first report, which most days do not have

    known = language if language in LANGUAGES else USUAL
    text = files("shared.dsn").joinpath("words", f"{known}.txt").read_text("utf-8")
    return Words(known, parse_words(text))


def parse_words(text: str) -> dict[str, str]:
    """The texts of a file of words. Raises ValueError when a name stands there twice."""
    texts: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        if found := _NAME.match(line):
            if found[1] in texts:
                raise ValueError(f"[{found[1]}] stands there twice")
            lines = texts[found[1]] = []
        else:
            lines.append(line)
    return {name: "\n".join(lines).strip() for name, lines in texts.items()}


def reworded(usual: Words, texts: Mapping[str, str]) -> Words:
    """`usual` with `texts` in the place of those of the same names; they have no faults."""
    return replace(usual, texts={**usual.texts, **texts})


def faults_of(usual: Words, texts: Mapping[str, str]) -> Iterator[str]:
    """Why `texts` cannot take the place of those of the same names."""
    for name, text in texts.items():
        if name not in usual.texts:
            yield f"there is no text [{name}]"
            continue
        try:
            known, wanted = _facts(usual.texts[name]), _facts(text)
        except ValueError as error:
            yield f"[{name}]: {error}"
            continue
        for fact in sorted(wanted - known):
            with_names = ", ".join(f"{{{fact}}}" for fact in sorted(known)) or "nothing"
            yield f"[{name}]: {{{fact}}} is not known there; what is filled in is {with_names}"
        longest = LONGEST_QUOTED_LINE
        if not text or not all(line.isprintable() and len(line) <= longest for line in text.split("\n")):
            yield f"[{name}]: it is empty, or has control characters or a line of more than {longest} letters"


def _facts(text: str) -> set[str]:
    """What is to be filled in. Raises ValueError where braces do not match, or hold more than a name."""
    facts = set()
    for _, fact, form, conversion in Formatter().parse(text):
        if fact is not None:
            if form or conversion:
                raise ValueError(f"only a name may stand in braces, as in {{{fact}}}")
            facts.add(fact)
    return facts


def write_human_part(words: Words, kind: str, facts: Mapping[str, str], fates: Sequence[Fate]) -> str:
    """The first part of a report, lines ended by LF. `facts`: hostname, cause, id, arrived, until."""
    text = [words.say("greeting", **facts), words.say(f"opening {kind}", **facts)]
    text += [_tell(words, fate) for fate in fates]
    text += [words.say(f"closing {kind}", **facts), words.say("signature", **facts)]
    return "\n\n".join(text) + "\n"


def _tell(words: Words, fate: Fate) -> str:
    """One recipient: for whom, what happened, in whose words, what to do."""
    lines = [f"<{readable(str(fate.recipient.address))}>"]
    if fate.tried_for:
        name = "gave up" if fate.action is Action.FAILED else "still trying"
        lines += _indent(words.say(name, span=words.span(fate.tried_for)))
    lines += _indent(_who_speaks(words, fate))
    lines += [f"        {line}" for line in quote(fate.reply)]
    if fate.maybe_delivered:
        lines += _indent(words.say("maybe"))
    if fate.action is Action.FAILED:
        lines += _indent(words.advise(fate.status))
    return "\n".join(lines)


def _who_speaks(words: Words, fate: Fate) -> str:
    if not fate.host:
        return words.say("found")
    host = printable(fate.host)[:LONGEST_QUOTED_LINE]
    if fate.action in (Action.DELIVERED, Action.RELAYED):
        return words.say("taken", host=host)
    return words.say("refused" if fate.reply.is_permanent else "deferred", host=host)


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
