"""What is put into the pickup folder comes into the spool once it is durable there, and never without its writer."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fakes.spools import PromptCommitter

from mercury_s.pickup import Pickup
from shared.config.load import parse
from shared.mail.handwritten import Wish
from shared.observe.log import log
from shared.spool.deposit import Depositor
from shared.spool.ids import QueueIds
from shared.spool.pickup import PickupFolder
from shared.spool.record import parse_record
from shared.spool.spool import Spool


class Post:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.spool = Spool(root / "spool", "test")
        self.spool.prepare()
        self.folder = PickupFolder(root / "pickup")
        self.account = "root"
        self.found: Callable[[], object] = lambda: None
        self.said: list[tuple[str, dict[str, Any]]] = []

    def make(self) -> Pickup:
        config = parse("hostname: mail.hq.example\nlocal: {domains: [hq.example]}", self.root / "mercury.yaml")
        depositor = Depositor(self.spool, PromptCommitter(), QueueIds(self.spool.root))
        return Pickup(
            self.folder,
            config,
            depositor,
            ThreadPoolExecutor(2),
            self._watch,
            lambda: 1790000000.0,
            lambda uid: self.account,
        )

    def _watch(self, found: Callable[[], object]) -> Callable[[], object]:
        self.found = found
        return lambda: None

    def run(self, script: Callable[[Pickup], Any]) -> None:
        async def play() -> None:
            pickup = self.make()
            await pickup.start()
            await script(pickup)
            await pickup.stop(5.0)

        with log.watched(lambda name, fields: self.said.append((name, dict(fields)))):
            asyncio.run(play())

    def entries(self) -> list[tuple[str, list[str]]]:
        found = []
        for path in sorted(self.spool.root.glob(".*/new/*")):
            envelope, _ = parse_record(path.read_bytes())
            found.append((envelope.sender_text, [str(one.address) for one in envelope.recipients]))
        return sorted(found)

    def left(self) -> list[str]:
        return list(self.folder.names())


@pytest.fixture
def post(tmp_path: Path) -> Post:
    return Post(tmp_path)


async def settled(what: Callable[[], bool]) -> None:
    for _ in range(5000):
        if what():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never came to that")


def test_what_lay_there_before_the_start_and_what_comes_later_is_taken(post: Post) -> None:
    post.folder.prepare()
    post.folder.put(Wish(("anna",)), b"Subject: first\n\n")

    async def script(pickup: Pickup) -> None:
        await settled(lambda: len(post.entries()) == 1 and not post.left())
        post.folder.put(Wish(("x@away.example",), "boss@hq.example"), b"Subject: second\n\n")
        post.found()
        await settled(lambda: len(post.entries()) == 2 and not post.left())

    post.run(script)
    assert post.entries() == [("boss@hq.example", ["x@away.example"]), ("root@hq.example", ["anna@hq.example"])]
    assert [name for name, _ in post.said].count("message-accepted") == 2


def test_what_can_never_be_mail_is_put_aside_and_the_rest_goes_on(post: Post) -> None:
    post.folder.prepare()
    (post.folder.root / "new/1").write_bytes(b"Subject: for nobody\n\n")
    os.symlink("/etc/passwd", post.folder.root / "new/2")
    (post.folder.root / "new/3").write_bytes(b"To: anna@hq.example\n\n")

    async def script(pickup: Pickup) -> None:
        await settled(lambda: not post.left())

    post.run(script)
    assert post.entries() == [("root@hq.example", ["anna@hq.example"])]
    assert sorted(os.listdir(post.folder.root / "refused")) == ["1", "2"]
    assert len([name for name, _ in post.said if name == "pickup-refused"]) == 2


def test_a_spool_that_takes_nothing_costs_no_message(post: Post) -> None:
    post.folder.prepare()
    post.folder.put(Wish(("anna",)), b"Subject: x\n\n")
    (post.spool.root / ".local/tmp").rename(post.spool.root / ".local/away")

    async def script(pickup: Pickup) -> None:
        await settled(lambda: any(name == "deposit-failed" for name, _ in post.said))
        assert len(post.left()) == 1
        (post.spool.root / ".local/away").rename(post.spool.root / ".local/tmp")
        post.found()
        await settled(lambda: not post.left())

    post.run(script)
    assert len(post.entries()) == 1


def test_a_folder_that_cannot_be_used_is_said_once_and_stops_nothing(post: Post) -> None:
    post.folder.root.write_text("a file in its place")

    async def script(pickup: Pickup) -> None:
        post.found()

    post.run(script)
    assert [name for name, _ in post.said] == ["pickup-off"]
