"""A step of a message's story (shared/survey/story.py) as a line for people."""

from __future__ import annotations

from shared.admin.output import moment
from shared.mail.reply import printable
from shared.survey.story import Step

_NAMES = {"mercury-s": "MercuryS", "mercury-c": "MercuryC", "mercury-e": "MercuryE"}


def line_of(step: Step) -> str:
    """When, who, what, for whom, what was answered, and the rest as key=value."""
    fields = dict(step.fields)
    words = [step.event.replace("-", " ")]
    if recipient := fields.pop("recipient", ""):
        words.append(f"<{recipient}>")
    if host := fields.pop("host", ""):
        words.append(f"by {host}")
    text = " ".join(words)
    said = [str(value) for key in ("reply", "detail", "reason") if (value := fields.pop(key, ""))]
    rest = [f"{key}={value}" for key, value in fields.items()]
    text += (": " + "; ".join(said) if said else "") + ("  " + " ".join(rest) if rest else "")
    return printable(f"{moment(step.at)}  {_NAMES.get(step.daemon, step.daemon):<8}  {text}")
