"""How much a mailbox holds, and whether there is room for more: the `maildirsize` file of Maildir++.

    1073741824S                      the limit that the rest was counted under
    734003200 10215                  octets and messages; each line is added to the others
    2817 1

Dovecot and Courier keep the same file. It is counted anew when it is not there, speaks of another limit, is longer
than 5120 octets, or leaves no room and is 15 minutes old. Here: the file and the decision. Not here: writing the
message (maildrop.py).
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path

from shared.config.account import Account
from shared.config.local import Over
from shared.mail.outcome import Deferred, Delivered, Failed, Outcome
from shared.mail.record import dataclass
from shared.mail.reply import Reply
from shared.maildir.tree import make_maildir

FILE = "maildirsize"
_LONGEST = 5120
_OLD = 900.0  #  seconds
_LOOK_AGAIN = 10.0  #  seconds, for questions before the message is here
_MOST_REMEMBERED = 10_000

FULL_FOR_NOW = Reply(452, "4.2.2", "The mailbox is full")
FULL = Reply(552, "5.2.2", "The mailbox is full")
_LARGER_THAN_ALL = Reply(552, "5.2.3", "The message is larger than the whole mailbox may be")


@dataclass(frozen=True, slots=True)
class Usage:
    """What the file says. `when` it was last written, in Unix time."""

    octets: int
    messages: int
    when: float


class Quotas:
    """`default` in octets for accounts without a word of their own, 0: no limit. `clock` gives Unix time."""

    def __init__(
        self, default: int, over: Over, clock: Callable[[], float], executor: Executor | None = None
    ) -> None:
        self._default = default
        self._over = over
        self._clock = clock
        self._executor = executor
        self._in_flight: Counter[str] = Counter()
        self._looked: dict[str, tuple[float, bool]] = {}

    @property
    def full(self) -> Reply:
        """What is said of a full mailbox."""
        return FULL if self._over is Over.BOUNCE else FULL_FOR_NOW

    def limit_of(self, account: Account) -> int:
        return self._default if account.quota is None else account.quota

    def is_full(self, folder: str, limit: int) -> bool:
        """Whether the file says that nothing more goes in, as far as it was looked at lately. Counts nothing."""
        now = self._clock()
        known = self._looked.get(folder)
        if known is not None and now - known[0] < _LOOK_AGAIN:
            return known[1]
        usage = read_usage(folder, limit)
        is_full = usage is not None and usage.octets >= limit and now - usage.when < _OLD
        if len(self._looked) >= _MOST_REMEMBERED:
            self._looked.clear()
        self._looked[folder] = (now, is_full)
        return is_full

    async def deliver(self, folder: str, limit: int, size: int, drop: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """`drop` if there is room for `size` octets; then the file is told. Raises OSError."""
        if size > limit:
            return Failed(_LARGER_THAN_ALL, detail=f"the quota is {limit} octets")
        loop = asyncio.get_running_loop()
        usage = await loop.run_in_executor(self._executor, self._count, folder, limit, size)
        if usage.octets + self._in_flight[folder] + size > limit:
            detail = f"{usage.octets} of {limit} octets are used"
            return Failed(FULL, detail=detail) if self._over is Over.BOUNCE else Deferred(FULL_FOR_NOW, detail=detail)
        self._in_flight[folder] += size
        try:
            outcome = await drop()
            if isinstance(outcome, Delivered):
                real = size_in_name(outcome.detail)
                await loop.run_in_executor(self._executor, add_usage, folder, size if real is None else real, 1)
            return outcome
        finally:
            self._in_flight[folder] -= size
            if not self._in_flight[folder]:
                del self._in_flight[folder]

    def _count(self, folder: str, limit: int, size: int) -> Usage:
        usage = read_usage(folder, limit)
        if usage is None or (usage.octets + size > limit and self._clock() - usage.when >= _OLD):
            make_maildir(Path(folder), 0o700)  #  else there is no place for the file yet
            return count_again(folder, limit)
        return usage


def read_usage(folder: str, limit: int) -> Usage | None:
    """What the file in the Maildir `folder` says under this limit; None when it has to be counted. Blocks."""
    try:
        with open(f"{folder}/{FILE}", "rb") as file:
            text = file.read(_LONGEST + 1)
            when = os.fstat(file.fileno()).st_mtime
    except OSError:
        return None
    head, *lines = text.split(b"\n")
    if len(text) > _LONGEST or head.strip() != b"%dS" % limit or lines[-1:] != [b""]:
        return None
    octets = messages = 0
    try:
        for line in lines[:-1]:
            more_octets, more_messages = line.split()
            octets += int(more_octets)
            messages += int(more_messages)
    except ValueError:
        return None
    return Usage(octets, messages, when) if octets >= 0 and messages >= 0 else None


def add_usage(folder: str, octets: int, messages: int) -> None:
    """Tell the file; if it cannot be told it is counted again some time. Blocks."""
    try:
        descriptor = os.open(f"{folder}/{FILE}", os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        os.write(descriptor, b"%d %d\n" % (octets, messages))
    except OSError:
        pass
    finally:
        os.close(descriptor)


def count_again(folder: str, limit: int) -> Usage:
    """Look at every message and write the file anew. Blocks; a mailbox that is not there is empty."""
    octets = messages = 0
    for size in _sizes(folder):
        octets += size
        messages += 1
    part = f"{folder}/tmp/{FILE}.{secrets.token_hex(8)}"
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, b"%dS\n%d %d\n" % (limit, octets, messages))
            when = os.fstat(descriptor).st_mtime
        finally:
            os.close(descriptor)
        os.rename(part, f"{folder}/{FILE}")
    except OSError:
        return Usage(octets, messages, 0.0)  #  it was counted, and will be again
    return Usage(octets, messages, when)


def size_in_name(name: str) -> int | None:
    """The size that the name of a message ends with (`,S=1234`), or None."""
    _, found, behind = name.rpartition(",S=")
    digits = behind.partition(",")[0].partition(":")[0]
    return int(digits) if found and digits.isascii() and digits.isdigit() else None


def _sizes(folder: str) -> Iterator[int]:
    """Of every message in the Maildir and in the folders below it, which are its siblings by name (`.Sent`)."""
    folders = [folder]
    try:
        with os.scandir(folder) as entries:
            folders += [
                entry.path for entry in entries if entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
            ]
    except OSError:
        return
    for place in folders:
        for part in ("new", "cur"):
            try:
                with os.scandir(f"{place}/{part}") as entries:
                    for entry in entries:
                        size = size_in_name(entry.name)
                        yield entry.stat().st_size if size is None else size
            except OSError:
                continue  #  no folder of mail, or a message that was taken away under our eyes
