"""What the demonstration shows: a live table on a terminal, a line for each change anywhere else."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from shared.admin.demo.letters import CUSTOMER, OFFICE, PARTNER, STRANGER
from shared.admin.demo.progress import Course, Progress
from shared.admin.demo.stage import FAR, HERE, Stage
from shared.mail.reply import printable


class View(Protocol):
    def show(self, progress: Progress) -> None: ...
    def settle(self, progress: Progress) -> None: ...
    def say(self, text: str) -> None: ...
    def close(self) -> None: ...


class PlainView:
    """For pipes and logs: what has changed, once, without colours."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: dict[int, str] = {}

    def show(self, progress: Progress) -> None:
        for course in progress.courses:
            line = line_of(course)
            if self._said.get(course.number) != line:
                self._said[course.number] = line
                self.say(line)

    def know(self, progress: Progress) -> None:
        """What stands now was shown elsewhere."""
        self._said = {course.number: line_of(course) for course in progress.courses}

    def settle(self, progress: Progress) -> None:
        """Nothing to do: every change is a line already."""

    def say(self, text: str) -> None:
        encoding = self._console.encoding
        text = text.encode(encoding, "backslashreplace").decode(encoding)
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        pass


class LiveView:
    """For terminals: one table that changes in place. What is said is printed above it, where it stays and can be
    scrolled to, however small the terminal; and once the instructions are due, `settle` ends the table."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = Live(console=console, auto_refresh=False, transient=False)
        self._live.start()
        self._after = PlainView(console)

    def show(self, progress: Progress) -> None:
        if self._live is None:
            self._after.show(progress)
        else:
            self._live.update(table_of(progress), refresh=True)

    def say(self, text: str) -> None:
        self._console.print(Text(text))

    def settle(self, progress: Progress) -> None:
        """Print the table whole, and from here on a line for each change."""
        if self._live is None:
            return
        self.close()
        self._console.print(table_of(progress))
        self._after.know(progress)

    def close(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.transient = True
            live.stop()


def choose_view(console: Console) -> View:
    return LiveView(console) if console.is_terminal else PlainView(console)


def line_of(course: Course) -> str:
    return f"{course.number}. {title_of(course)} to {shown(course.recipient) or '?'}: {state_of(course)}"


def shown(text: str) -> str:
    """An address as people write it, unless it holds what a terminal would obey."""
    return text if text.isprintable() else printable(text)


def title_of(course: Course) -> str:
    if course.letter:
        return course.letter.title
    return "a bounce, to the sender" if course.is_report else "sent by hand"


def state_of(course: Course) -> str:
    """Where a message stands, in a few words."""
    if course.trouble:
        return f"WRONG: {printable(course.trouble)}"
    if course.has_ended_well and course.letter:
        return f"{course.letter.ending.value}, as it should be"
    if course.answer is None:
        return "not yet sent"
    lane = f" in the lane {course.lane}" if course.lane else ""
    if course.is_finished and not course.letter:
        return f"{course.queue_id}: in the mailbox here" if course.where else f"{course.queue_id}: done"
    return f"{course.queue_id}{lane}: {printable(course.last_event) or 'accepted'}"


def table_of(progress: Progress) -> Table:
    table = Table(title="Mercury: real mail, end to end, on this machine", title_justify="left", expand=False)
    for name in ("", "letter", "to", "queue id", "lane", "last event", "end"):
        table.add_column(name, no_wrap=name in ("", "queue id"))
    for course in progress.courses:
        style = (
            "red" if course.trouble else "green" if course.has_ended_well else "yellow" if course.letter else "dim"
        )
        is_done = course.has_ended_well or (course.is_finished and not course.letter)
        mark = "✗" if course.trouble else "✓" if is_done else "…" if course.answer else " "
        table.add_row(
            Text(mark, style),
            Text(title_of(course)),
            Text(shown(course.recipient)),
            Text(course.queue_id),
            Text(course.lane),
            Text(printable(course.last_event)),
            Text(_end_of(course), style),
        )
    return table


def _end_of(course: Course) -> str:
    if course.trouble:
        return printable(course.trouble)
    if course.has_ended_well and course.letter:
        return course.letter.ending.value
    return "done" if course.is_finished else ""


def opening_words(stage: Stage) -> str:
    ports = stage.ports
    return (
        f"MercuryS listens on {HERE}:{ports.smtp}. The smarthost for the world: {HERE}:{ports.smarthost}. The MX of\n"
        f"{PARTNER} is {FAR}:{ports.mx}, says the name server on {HERE}:{ports.dns}.\nEverything is in {stage.folder}"
    )


def words_to_try_by_hand(stage: Stage) -> str:
    """How to go on: what to type, and where to look."""
    return f"""
Try it yourself, in another terminal (addresses: anna@{OFFICE} and bert@{OFFICE} here, anyone@{CUSTOMER} by the
smarthost, anyone@{PARTNER} end to end, {STRANGER}@{PARTNER} to see a bounce):

    telnet {HERE} {stage.ports.smtp}
    EHLO me.example
    MAIL FROM:<anna@{OFFICE}>
    RCPT TO:<bert@{OFFICE}>
    DATA
    Subject: by hand

    Good morning
    .
    QUIT

The mail, as Maildirs (mutt -f FOLDER, or cat FOLDER/new/*):

    {stage.local_mail}/bert
    {stage.local_mail}/anna
    {stage.smarthost_mail}/{CUSTOMER}/carol      (and others by the name before the @)
    {stage.partner_mail}/{PARTNER}/dora

The queue and its trails, with the daemons' logs and configuration beside them:

    {Path(sys.executable).parent}/mercury --config {stage.config} queue list
"""
