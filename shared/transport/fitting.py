"""A message converted for a server that cannot take it as it is: in a thread, as a large one takes a while.

Not here: what is converted, and what must not be (shared/mime).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from shared.mail.content import Content
from shared.mail.envelope import Envelope, Recipient
from shared.mail.lacks import Lacks
from shared.mail.outcome import Deferred, Failed, Outcome
from shared.mime.fitted import Fitted, fit
from shared.mime.survey import MustNotChange
from shared.smtp.errand import unreadable


async def fit_for(
    lacks: Lacks, envelope: Envelope, content: Content
) -> tuple[Envelope, Fitted, str] | Failed | Deferred:
    """The message for that server, and what the trail says of it (nothing when it could stay as it was)."""
    try:
        envelope, fitted = await asyncio.get_running_loop().run_in_executor(None, fit, envelope, content, lacks)
    except MustNotChange as refusal:
        return Failed(refusal.reply)
    except OSError as error:
        return unreadable(error)
    words = str(lacks)
    return envelope, fitted, f"converted: {words[0].lower()}{words[1:]}" if fitted.is_changed else ""


def with_note(outcomes: Mapping[Recipient, Outcome], note: str) -> Mapping[Recipient, Outcome]:
    """Mail that was changed on its way says so in its trail."""
    return {
        who: replace(outcome, detail=f"{outcome.detail}; {note}" if outcome.detail else note)
        for who, outcome in outcomes.items()
    }
