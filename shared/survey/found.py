"""What the history tells of messages: which lines belong together, and what became of each message.

Not here: where the lines come from (shared/history), how they are shown (shared/admin/find.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

from shared.history.search import FOREVER, History
from shared.history.selection import Row
from shared.mail.record import dataclass
from shared.observe import events

QUEUED, DELIVERED, DEFERRED, FAILED, HELD = "queued", "delivered", "deferred", "failed", "held"
REMOVED, DROPPED, REFUSED = "removed", "dropped", "refused"
STATES = (QUEUED, DELIVERED, DEFERRED, FAILED, HELD, REMOVED, DROPPED, REFUSED)

#  What is searched for by each name: fields of the events.
_FIELDS = {
    "sender": ("sender",),
    "recipient": ("recipient",),
    "client": ("client",),
    "id": ("id",),
    "message_id": ("message_id",),
    "subject": ("subject",),
    "reply": ("reply", "reason"),
}
_OUTCOMES = {
    events.RECIPIENT_DELIVERED: DELIVERED,
    events.RECIPIENT_DEFERRED: DEFERRED,
    events.RECIPIENT_FAILED: FAILED,
}
#  What ends a recipient's part by hand: dropped, or changed for another, whose own lines follow.
_LEFT = ("changed", "dropped")
#  Messages whose story is read together: the history is read through once for these.
_AT_ONCE = 500
_BY_HAND = {"held": HELD, "removed": REMOVED, "released": QUEUED, "undeleted": QUEUED}


@dataclass(frozen=True, slots=True)
class Wanted:
    """`parts` by the names of _FIELDS and `texts` from anywhere: all must be found, in whatever lines of a message.

    `since` and `until` are about when something happened to it (Unix time).
    """

    parts: Mapping[str, str] = field(default_factory=dict)
    texts: tuple[str, ...] = ()
    since: float = 0.0
    until: float = FOREVER
    state: str = ""

    def search_texts(self) -> list[str]:
        """One of these stands in every line that can matter, as far as ASCII goes; none: any line may."""
        texts = [*self.parts.values(), *self.texts]
        return [json.dumps(text)[1:-1] for text in texts] if all(text.isascii() for text in texts) else []

    def found_in(self, fields: Mapping[str, Any]) -> set[str]:
        """The names of what this line holds."""
        found = {name for name, part in self.parts.items() if _holds(fields, name, part)}
        if self.texts:
            whole = " ".join(str(value) for value in fields.values()).casefold()
            found |= {text for text in self.texts if text.casefold() in whole}
        return found

    @property
    def everything(self) -> set[str]:
        return {*self.parts, *self.texts}


def _holds(fields: Mapping[str, Any], name: str, part: str) -> bool:
    if name == "id":
        return fields.get("id") == part
    wanted = part.casefold()
    if name == "client":
        #  Of what was born here, `client` also names the account.
        return str(fields.get("client", "")).casefold().split(" ")[0] == wanted
    return any(wanted in str(fields.get(key, "")).casefold() for key in _FIELDS[name])


@dataclass(slots=True)
class Found:
    """A message, or a refusal before there was one (`id` is then empty). `reason` is the last one that was given."""

    id: str
    at: float
    state: str = QUEUED
    sender: str = ""
    recipients: list[str] = field(default_factory=list)
    recipient_count: int = 0
    client: str = ""
    size: int = 0
    message_id: str = ""
    subject: str = ""
    last_reply: str = ""
    reason: str = ""
    last_at: float = 0.0

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "at": self.at,
            "last_at": self.last_at,
            "state": self.state,
            "from": self.sender,
            "to": self.recipients,
            "recipients": self.recipient_count,
            "client": self.client,
            "size": self.size,
            "message_id": self.message_id,
            "subject": self.subject,
            "reply": self.last_reply,
            "reason": self.reason,
        }


def parse_line(line: str) -> dict[str, Any] | None:
    """None: not a line of ours, or a torn one."""
    try:
        fields: dict[str, Any] = json.loads(line)
        fields["at"], fields["event"] = float(fields["at"]), str(fields["event"])
    except (ValueError, KeyError, TypeError):
        return None
    if type(fields.get("subject")) is str and "=?" in fields["subject"]:
        fields["subject"] = _decoded(fields["subject"])
    return fields


def _decoded(subject: str) -> str:
    """Encoded words (RFC 2047) as what they say."""
    from email.header import decode_header, make_header

    try:
        return str(make_header(decode_header(subject)))
    except (ValueError, LookupError):
        return subject


def find_messages(history: History, wanted: Wanted, limit: int) -> list[Found]:
    """The newest `limit`, the oldest first."""
    if queue_id := wanted.parts.get("id"):
        rows: Iterator[Row] = iter(history.about(queue_id))
    else:
        rows = history.holding(wanted.search_texts(), wanted.since, wanted.until)
    missing: dict[str, set[str]] = {}
    lines: dict[str, float] = {}
    matched: list[Found] = []
    for at, row_id, line in rows:
        fields = parse_line(line)
        if fields is None or (row_id is not None and fields.get("id") != row_id):
            continue  #  the copy for a report
        found = wanted.found_in(fields)
        if row_id is None:
            if found == wanted.everything and line not in lines:
                lines[line] = at
                matched.append(_summary("", [fields]))
        else:
            left = missing.setdefault(row_id, wanted.everything)
            left -= found
            lines[row_id] = max(at, lines.get(row_id, 0.0))
    ids = sorted((row_id for row_id, left in missing.items() if not left), key=lambda row_id: -lines[row_id])
    matched = [message for message in matched if not wanted.state or message.state == wanted.state]
    return _newest(matched, _messages(history, ids, wanted), limit)


def _messages(history: History, ids: Sequence[str], wanted: Wanted) -> Iterator[Found]:
    for start in range(0, len(ids), _AT_ONCE):
        for row_id, rows in history.about_all(ids[start : start + _AT_ONCE]).items():
            parsed = (parse_line(line) for _, _, line in rows)
            steps = [fields for fields in parsed if fields and fields.get("id") == row_id]
            if not steps:
                continue  #  pruned since the ids were read
            message = _summary(row_id, steps)
            if not wanted.state or message.state == wanted.state:
                yield message


def _newest(refusals: list[Found], messages: Iterator[Found], limit: int) -> list[Found]:
    taken = []
    for message in messages:
        taken.append(message)
        if len(taken) >= limit:
            break
    return sorted([*refusals, *taken], key=lambda message: message.at)[-limit:]


def _summary(queue_id: str, steps: list[dict[str, Any]]) -> Found:
    steps.sort(key=lambda fields: fields["at"])
    message = Found(queue_id, steps[0]["at"])
    last: dict[str, str] = {}
    left: set[str] = set()
    for fields in steps:
        event = fields["event"]
        _note(message, fields)
        if event in _OUTCOMES:
            last[str(fields.get("recipient"))] = _OUTCOMES[event]
        elif event == events.OPERATOR_ACTED:
            message.state = _BY_HAND.get(str(fields.get("action")), message.state)
            if fields.get("action") in _LEFT:
                left.add(str(fields.get("recipient")))
        elif event == events.BOUNCE_HELD:
            message.state = HELD
        elif event == events.MESSAGE_DROPPED:
            message.state = DROPPED
        elif event == events.LOGIN_REFUSED:
            message.state, message.reason = REFUSED, f"a wrong login as {fields.get('account') or 'nobody we know'}"
        elif event.endswith("-refused") or event in (events.SESSION_TIMED_OUT, events.LIMIT_REACHED):
            message.state = REFUSED
        elif event == events.MESSAGE_FINISHED and message.state == HELD:
            message.state = QUEUED
    message.recipient_count = max(message.recipient_count, len(message.recipients))
    outcomes = [outcome for recipient, outcome in last.items() if recipient not in left]
    if message.state == QUEUED and outcomes:
        message.state = _state_of(set(outcomes), len(outcomes) >= message.recipient_count - len(left))
    return message


def _state_of(outcomes: set[str], is_complete: bool) -> str:
    for state in (FAILED, DEFERRED):
        if state in outcomes:
            return state
    return DELIVERED if is_complete else QUEUED


def _note(message: Found, fields: Mapping[str, Any]) -> None:
    """What this step says of the message as a whole."""
    message.last_at = fields["at"]
    for name in ("sender", "client", "message_id", "subject"):
        if not getattr(message, name) and fields.get(name):
            setattr(message, name, str(fields[name]))
    for recipient in str(fields.get("recipient") or "").split(","):
        if recipient and not recipient.endswith("...") and recipient not in message.recipients:
            message.recipients.append(recipient)
    message.size = message.size or int(fields.get("size") or 0)
    message.recipient_count = max(message.recipient_count, int(fields.get("recipients") or 0))
    message.last_reply = str(fields.get("reply") or message.last_reply)
    message.reason = str(fields.get("reason") or message.reason)
