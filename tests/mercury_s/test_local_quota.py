"""Quota: maildirsize as others read and write it, counted anew when it must be, and no more in than there is room."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from mercury_s.local.directory import Alias, Mailbox, NoSuchUser
from mercury_s.local.mailbox import MailboxFolders
from mercury_s.local.quota import FILE, Quotas, Usage, add_usage, count_again, read_usage, size_in_name
from mercury_s.local.reception import Reception
from shared.config.account import Account
from shared.config.local import Over
from shared.mail.address import parse_address
from shared.mail.outcome import Deferred, Delivered, Failed, Outcome
from shared.mail.reply import Reply
from shared.maildir.tree import make_maildir

ANNA = Account(parse_address("anna@hq.example"))
LIMIT = 10_000


class Box:
    """A Maildir with a clock that stands beside the file's own time."""

    def __init__(self, root: Path, over: Over = Over.DEFER) -> None:
        self.path = root / "hq.example" / "anna"
        make_maildir(self.path)
        self.later = 0.0
        self.quotas = Quotas(LIMIT, over, lambda: self.now())
        self.file = self.path / FILE
        self.dropped = 0

    def now(self) -> float:
        return (os.stat(self.file).st_mtime if self.file.exists() else 0.0) + self.later

    def put(self, size: int, name: str = "", folder: str = "new") -> Path:
        place = self.path / folder
        place.mkdir(parents=True, exist_ok=True)
        path = place / (name or f"{self.dropped}.x,S={size}")
        path.write_bytes(b"x" * (size if not name or ",S=" not in name else 1))
        self.dropped += 1
        return path

    async def deliver(self, size: int) -> Outcome:
        async def drop() -> Outcome:
            path = self.put(size)
            return Delivered(Reply(250, "2.0.0", "ok"), detail=str(path))

        return await self.quotas.deliver(str(self.path), LIMIT, size, drop)

    def usage(self) -> Usage:
        found = read_usage(str(self.path), LIMIT)
        assert found is not None
        return found


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


@pytest.mark.parametrize(
    ("text", "octets", "messages"),
    [
        (b"10000S\n", 0, 0),
        (b"10000S\n5000 3\n", 5000, 3),
        (b"10000S\n        5000            3\n-1000 -1\n  7   1\n", 4007, 3),  #  as Courier pads its numbers
    ],
)
def test_the_file_as_others_write_it(box: Box, text: bytes, octets: int, messages: int) -> None:
    box.file.write_bytes(text)
    assert (box.usage().octets, box.usage().messages) == (octets, messages)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"10000S", b"20000S\n1 1\n", b"10000S,100C\n1 1\n", b"10000S\nx y\n", b"10000S\n1\n", b"10000S\n-1 1\n",
        b"10000S\n1 1", b"10000S\n" + b"1 1\n" * 2000,
    ],
)  # fmt: skip
def test_what_has_to_be_counted_anew(box: Box, text: bytes) -> None:
    box.file.write_bytes(text)
    assert read_usage(str(box.path), LIMIT) is None


def test_every_message_of_every_folder_counts(box: Box) -> None:
    box.put(0, "1.a,S=100")
    box.put(0, "2.a,S=200:2,S", "cur")
    box.put(30, "3.a:2,ST", "cur")
    box.put(0, "4.a,S=4000,W=4100:2,", ".Sent/cur")
    box.put(0, "5.a,S=7", "tmp")
    box.put(0, "6.a,S=7", "not-a-folder/new")
    usage = count_again(str(box.path), LIMIT)
    assert (usage.octets, usage.messages) == (4330, 4)
    assert box.file.read_bytes() == b"10000S\n4330 4\n"
    assert not list((box.path / "tmp").glob(f"{FILE}*"))


def test_a_mailbox_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert count_again(str(tmp_path / "none"), LIMIT).octets == 0
    add_usage(str(tmp_path / "none"), 1, 1)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("name", "size"),
    [("1.x,S=12", 12), ("1.x,S=12:2,S", 12), ("1.x,S=12,W=13:2,", 12), ("1.x", None), ("1,S=x", None)],
)
def test_the_size_in_a_name(name: str, size: int | None) -> None:
    assert size_in_name(name) == size


def test_what_is_delivered_is_added(box: Box) -> None:
    async def run() -> None:
        for size in (3000, 4000):
            assert isinstance(await box.deliver(size), Delivered)

    asyncio.run(run())
    assert box.file.read_bytes() == b"10000S\n0 0\n3000 1\n4000 1\n"


def test_the_first_messages_of_a_mailbox_count(box: Box) -> None:
    shutil.rmtree(box.path)
    assert isinstance(asyncio.run(box.deliver(3000)), Delivered)
    assert box.file.read_bytes() == b"10000S\n0 0\n3000 1\n"


@pytest.mark.parametrize(
    ("over", "kind", "code"), [(Over.DEFER, Deferred, "452 4.2.2"), (Over.BOUNCE, Failed, "552 5.2.2")]
)
def test_a_full_mailbox_says_what_it_is_told_to(
    tmp_path: Path, over: Over, kind: type[Deferred] | type[Failed], code: str
) -> None:
    box = Box(tmp_path, over)
    box.file.write_bytes(b"10000S\n9000 3\n")
    outcome = asyncio.run(box.deliver(1001))
    assert isinstance(outcome, kind) and str(outcome.reply).startswith(code)
    assert not box.dropped and box.usage().octets == 9000
    assert isinstance(asyncio.run(box.deliver(1000)), Delivered)


def test_a_message_larger_than_everything_is_returned(box: Box) -> None:
    outcome = asyncio.run(box.deliver(LIMIT + 1))
    assert isinstance(outcome, Failed) and outcome.reply.enhanced == "5.2.3"


def test_an_old_file_that_says_full_is_counted_again(box: Box) -> None:
    """Mail was deleted by somebody who knows nothing of the file."""
    box.file.write_bytes(b"10000S\n10000 3\n")
    assert isinstance(asyncio.run(box.deliver(500)), Deferred)
    box.later = 901.0
    assert isinstance(asyncio.run(box.deliver(500)), Delivered)
    assert box.usage().octets == 500


def test_many_at_once_do_not_pass_together(box: Box) -> None:
    go = asyncio.Event()

    async def slow() -> Outcome:
        await go.wait()
        return Delivered(Reply(250, "2.0.0", "ok"), detail=str(box.put(4000)))

    async def run() -> list[Outcome]:
        tasks = [asyncio.create_task(box.quotas.deliver(str(box.path), LIMIT, 4000, slow)) for _ in range(5)]
        await asyncio.sleep(0.05)
        go.set()
        return await asyncio.gather(*tasks)

    outcomes = asyncio.run(run())
    assert sum(isinstance(outcome, Delivered) for outcome in outcomes) == 2
    assert box.usage().octets == 8000


@pytest.mark.parametrize("error", [OSError(28, "full"), None])
def test_what_fails_takes_no_room(box: Box, error: OSError | None) -> None:
    async def fail() -> Outcome:
        if error:
            raise error
        return Deferred(Reply(452, "4.3.1", "no space"))

    async def run() -> None:
        drop: Callable[[], Awaitable[Outcome]] = fail
        try:
            await box.quotas.deliver(str(box.path), LIMIT, 9000, drop)
        except OSError:
            pass
        assert isinstance(await box.deliver(9000), Delivered)

    asyncio.run(run())


def test_the_account_has_the_last_word() -> None:
    quotas = Quotas(LIMIT, Over.DEFER, lambda: 0.0)
    words = {None: LIMIT, 0: 0, 5: 5}
    assert [quotas.limit_of(Account(ANNA.address, quota=quota)) for quota in words] == list(words.values())


# -- at RCPT -----------------------------------------------------------------------------------------------------------


def reception(box: Box) -> Reception:
    return Reception(MailboxFolders(f"{box.path.parent.parent}/{{domain}}/{{user}}"), box.quotas)


def test_a_full_mailbox_is_refused_at_rcpt(box: Box) -> None:
    box.file.write_bytes(b"10000S\n10000 3\n")
    refusal = reception(box).objection(Mailbox(ANNA), None, False)
    assert refusal is not None and str(refusal.reply).startswith("452 4.2.2")


@pytest.mark.parametrize("text", [b"10000S\n9999 3\n", b"", b"5S\n100 1\n"])
def test_what_is_not_known_to_be_full_is_welcome(box: Box, text: bytes) -> None:
    box.file.write_bytes(text)
    assert reception(box).objection(Mailbox(ANNA), None, False) is None


def test_others_are_not_asked(box: Box) -> None:
    box.file.write_bytes(b"10000S\n10000 3\n")
    no_limit = Mailbox(Account(ANNA.address, quota=0))
    for found in (no_limit, NoSuchUser(), Alias(ANNA.address, ())):
        assert reception(box).objection(found, None, False) is None


def test_the_look_is_remembered_for_a_while(box: Box) -> None:
    box.file.write_bytes(b"10000S\n10000 3\n")
    os.utime(box.file, (1000.0, 1000.0))
    door = reception(box)
    assert door.objection(Mailbox(ANNA), None, False)
    box.file.write_bytes(b"10000S\n1 1\n")
    os.utime(box.file, (1009.0, 1009.0))
    assert door.objection(Mailbox(ANNA), None, False), "nine seconds later"
    os.utime(box.file, (1011.0, 1011.0))
    assert door.objection(Mailbox(ANNA), None, False) is None
