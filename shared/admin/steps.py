"""The steps of a message's story (shared/survey/story.py) as lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shared.admin.output import moment
from shared.mail.reply import printable
from shared.survey.story import Step

_NAMES = {"mercury-s": "MercuryS", "mercury-c": "MercuryC", "mercury-e": "MercuryE"}
_OF_A_RECIPIENT = "recipient-"


def lines_of(steps: Sequence[Step]) -> Iterator[str]:
    """A line for each; where attempts for a recipient ended alike, for the first, and how many more there were."""
    words = [_words_of(step) for step in steps]
    runs: dict[tuple[str, str], list[int]] = {}
    again: dict[int, list[int]] = {}
    for number, step in enumerate(steps):
        recipient = str(step.fields.get("recipient", ""))
        run = runs.get((step.daemon, recipient))
        if recipient and run is not None and words[run[0]] == words[number]:
            run.append(number)
        else:
            run = runs[step.daemon, recipient] = [number]
        again[number] = run
    for number, step in enumerate(steps):
        run = again[number]
        if number == run[0]:
            yield _line(step, words[number])
        elif number == run[-1]:
            times = "the same again" if len(run) == 2 else f"the same {len(run) - 1} times more, up to here"
            yield _line(step, f"<{step.fields['recipient']}> {times}")


def line_of(step: Step) -> str:
    """When, who, what, for whom, what was answered, and the rest as key=value."""
    return _line(step, _words_of(step))


def _line(step: Step, words: str) -> str:
    return printable(f"{moment(step.at)}  {_NAMES.get(step.daemon, step.daemon):<8}  {words}")


def _words_of(step: Step) -> str:
    fields = dict(step.fields)
    event = step.event.removeprefix(_OF_A_RECIPIENT)
    if event != step.event:
        #  Told of the message as a whole; and how late it is, by the times before the lines.
        for key in ("sender", "lane", "delay"):
            fields.pop(key, None)
    words = [event.replace("-", " ")]
    if recipient := fields.pop("recipient", ""):
        words.append(f"<{recipient}>")
    if host := fields.pop("host", ""):
        words.append(f"by {host}")
    text = " ".join(words)
    said: list[str] = []
    for key in ("reply", "detail", "reason"):
        #  What we say in a server's place stands in the reply already.
        if (value := str(fields.pop(key, "") or "")) and not any(value in other for other in said):
            said.append(value)
    rest = [f"{key}={value}" for key, value in fields.items()]
    return text + (": " + "; ".join(said) if said else "") + ("  " + " ".join(rest) if rest else "")
