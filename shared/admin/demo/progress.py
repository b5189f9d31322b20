"""How far each letter has come: read from the daemons' event files, the lanes of the spool and the Maildirs.

Only what any operator could look at; the daemons are not asked. What ends a letter is the Maildir, never an event.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.admin.demo.letters import Answer, Ending, Letter
from shared.admin.demo.stage import Stage
from shared.mail.address import Address, parse_address
from shared.observe import events
from shared.routing.lane import Lane


@dataclass
class Course:
    """One message as the view shows it. `letter` is None for mail that someone sent by hand."""

    letter: Letter | None
    number: int
    answer: Answer | None = None
    lane: str = ""
    last_event: str = ""
    recipient: str = ""
    where: Path | None = None
    trouble: str = ""
    is_report: bool = False
    events: list[str] = field(default_factory=list)

    @property
    def queue_id(self) -> str:
        return self.answer.queue_id if self.answer else ""

    @property
    def has_ended_well(self) -> bool:
        if self.letter and self.letter.ending is Ending.REFUSED:
            return self.answer is not None and self.answer.code == 550
        return self.where is not None

    @property
    def is_finished(self) -> bool:
        """No recipient is left, say the daemons."""
        return events.MESSAGE_FINISHED in self.events

    @property
    def is_over(self) -> bool:
        return self.has_ended_well or bool(self.trouble)


class Progress:
    def __init__(self, stage: Stage, letters: tuple[Letter, ...]) -> None:
        self._stage = stage
        self._offsets: dict[Path, int] = {}
        self.courses = [
            Course(letter, number, recipient=letter.recipient) for number, letter in enumerate(letters, 1)
        ]
        self._early: list[dict[str, Any]] = []

    @property
    def all_sent(self) -> bool:
        return all(course.answer for course in self.courses)

    @property
    def is_over(self) -> bool:
        return all(course.is_over for course in self.courses if course.letter)

    def note_answer(self, course: Course, answer: Answer) -> None:
        course.answer = answer
        course.last_event = f"{answer.code} {answer.text}" if answer.code >= 400 else course.last_event
        assert course.letter
        if answer.code >= 400 and course.letter.ending is not Ending.REFUSED:
            course.trouble = f"MercuryS refused it: {answer.code} {answer.text}"
        elif answer.code < 400 and course.letter.ending is Ending.REFUSED:
            course.trouble = "MercuryS took it and should not have"

    def look(self) -> None:
        """Bring every course up to date."""
        self._read_events()
        lanes = self._lanes()
        for course in self.courses:
            course.lane = lanes.get(course.queue_id, "")
            if course.letter and course.answer and not course.is_over:
                course.where = self._find(course.letter)

    def _read_events(self) -> None:
        found, self._early = self._early, []
        for file in sorted(self._stage.events.glob("*.jsonl")):
            found += self._new_events(file)
        found.sort(key=lambda event: float(event.get("at", 0)))
        for event in found:
            self._note_event(event)

    def _new_events(self, file: Path) -> list[dict[str, Any]]:
        with file.open("rb") as lines:
            lines.seek(self._offsets.get(file, 0))
            data = lines.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offsets[file] = self._offsets.get(file, 0) + len(whole)
        return [json.loads(line) for line in whole.splitlines()]

    def _note_event(self, event: dict[str, Any]) -> None:
        queue_id = str(event.get("id", ""))
        if not queue_id:
            return
        course = next((course for course in self.courses if course.queue_id == queue_id), None)
        if course is None:
            if not self.all_sent:
                self._early.append(event)
                return
            course = self._unexpected(queue_id)
        course.last_event = f"{event.get('event', '')} ({str(event.get('daemon', '')).replace('mercury_', '')})"
        course.recipient = str(event.get("recipient", "")) or course.recipient
        course.is_report = course.is_report or event.get("sender") in ("", "<>")
        course.events.append(str(event.get("event", "")))

    def _unexpected(self, queue_id: str) -> Course:
        """A bounce, or a letter by hand."""
        course = Course(None, len(self.courses) + 1, Answer(250, "", queue_id))
        self.courses.append(course)
        return course

    def _lanes(self) -> dict[str, str]:
        """Which lane each queue id is in; the id stands in the name of its entry."""
        found: dict[str, str] = {}
        for lane in Lane:
            for part in ("new", "cur"):
                for path in (self._stage.spool / lane.value / part).glob("*"):
                    found[path.name.split(".")[1] if "." in path.name else ""] = lane.word
        return found

    def _find(self, letter: Letter) -> Path | None:
        """The copy of `letter` where it ought to be, unchanged but for what was put on top."""
        match letter.ending:
            case Ending.LOCAL:
                return _copy_in(self._local(letter.recipient), letter.message)
            case Ending.SMARTHOST:
                return _copy_in(_far(self._stage.smarthost_mail, letter.recipient), letter.message)
            case Ending.PARTNER:
                return _copy_in(_far(self._stage.partner_mail, letter.recipient), letter.message)
            case Ending.BOUNCED:
                return _report_in(self._local(letter.sender), letter)
            case Ending.REFUSED:
                return None

    def _local(self, address: str) -> Path:
        return self._stage.local_mail / parse_address(address).local


def _far(maildirs: Path, recipient: str) -> Path:
    address: Address = parse_address(recipient)
    return maildirs / address.ascii_domain / address.local


def _copy_in(maildir: Path, message: bytes) -> Path | None:
    wanted = message.replace(b"\r\n", b"\n")
    return next((path for path in maildir.glob("new/*") if path.read_bytes().endswith(wanted)), None)


def _report_in(maildir: Path, letter: Letter) -> Path | None:
    """A delivery report about `letter`: from nobody, naming the recipient and bringing back the head."""
    message_id = letter.message.partition(b"Message-ID: ")[2].partition(b"\r\n")[0]
    for path in maildir.glob("new/*"):
        text = path.read_bytes()
        is_report = text.startswith(b"Return-Path: <>\n") and b"multipart/report" in text
        if is_report and message_id in text and letter.recipient.encode() in text:
            return path
    return None
