"""What an alias sends on, through the real spool: an entry that the next daemon can claim, with the message whole."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mercury_s.local.redeposit import Redeposit
from shared.mail.address import parse_address
from shared.mail.content import BytesContent
from shared.mail.envelope import Body, Envelope, Recipient
from shared.maildir.committer import Committer
from shared.routing.lane import Lane
from shared.spool.deposit import Depositor, Letter
from shared.spool.ids import QueueIds
from shared.spool.lane import LaneFolder
from shared.spool.owner import Owner
from shared.spool.spool import Spool

ENVELOPE = Envelope(
    "7Q2M-K4ZC",
    parse_address("sender@far.example"),
    (Recipient(parse_address("team@hq.example")),),
    1_790_000_000.25,
    site="hq",
    body=Body.EIGHT_BIT,
    envid="abc",
)
TEAM = parse_address("team@hq.example")


class Broken(BytesContent):
    def chunks(self, size: int = 65536) -> Iterator[bytes]:
        yield b"Subject: x\r\n"
        raise OSError(5, "Input/output error")


def route(envelope: Envelope) -> list[Letter]:
    near = tuple(each for each in envelope.recipients if each.address.domain == "hq.example")
    far = tuple(each for each in envelope.recipients if each not in near)
    lanes = {Lane.LOCAL: near, Lane.RELAY: far}
    return [Letter(lane, replace(envelope, recipients=some)) for lane, some in lanes.items() if some]


async def put(spool: Spool, content: BytesContent, *to: str) -> str:
    committer = Committer(asyncio.get_running_loop().call_soon_threadsafe)
    committer.start()
    try:
        redeposit = Redeposit(Depositor(spool, committer, QueueIds(spool.root)), route)
        recipients = [Recipient(parse_address(text), (), "rfc822;team@hq.example") for text in to]
        return await redeposit.put(ENVELOPE, content, recipients, [TEAM, TEAM])
    finally:
        committer.stop()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    spool = Spool(tmp_path / "spool", "mail.hq.example")
    spool.prepare()
    return spool


@pytest.mark.parametrize("lines", [0, 1, 3000, 30_000, 400_000])
def test_the_entry_is_whole_and_the_envelope_the_same(spool: Spool, lines: int) -> None:
    message = b"Subject: x\r\n\r\n" + b"0123456\r\n" * lines
    new_id = asyncio.run(put(spool, BytesContent(message), "x@far.example", "anna@hq.example", "y@far.example"))
    owner = Owner(spool, "test")
    owner.begin()
    found = {}
    for lane in (Lane.LOCAL, Lane.RELAY):
        folder = LaneFolder(spool, lane, owner)
        ((name, _),) = folder.scan()
        claim = folder.claim(name)
        assert claim
        found[lane] = [str(recipient.address) for recipient in claim.envelope.recipients]
        assert b"".join(claim.content.chunks()) == b"Delivered-To: team@hq.example\r\n" + message
        assert claim.envelope.id == new_id != ENVELOPE.id
        for field in ("sender", "arrived", "site", "body", "envid"):
            assert getattr(claim.envelope, field) == getattr(ENVELOPE, field)
        assert {recipient.original for recipient in claim.envelope.recipients} == {"rfc822;team@hq.example"}
    owner.end()
    assert found == {Lane.LOCAL: ["anna@hq.example"], Lane.RELAY: ["x@far.example", "y@far.example"]}


@pytest.mark.parametrize("size", [1000, 1_000_000])
def test_a_message_that_cannot_be_read_leaves_nothing_behind(spool: Spool, size: int) -> None:
    with pytest.raises(OSError, match="Input/output error"):
        asyncio.run(put(spool, Broken(b"x" * size), "x@far.example"))
    for part in ("new", "tmp", "cur"):
        assert os.listdir(spool.folder(Lane.RELAY) / part) == []


def test_a_lane_that_cannot_be_written_is_an_error_and_leaves_nothing(spool: Spool) -> None:
    os.rename(spool.folder(Lane.RELAY) / "tmp", spool.root / "away")
    with pytest.raises(OSError, match="No such file"):
        asyncio.run(put(spool, BytesContent(b"Subject: x\r\n\r\n"), "anna@hq.example", "x@far.example"))
    assert os.listdir(spool.folder(Lane.LOCAL) / "new") == []
