"""The far end of the demonstration keeps what it is given, however the bytes arrive."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from shared.admin.demo.sink import Session, Sink

DIALOGUE = (
    b"EHLO a.example\r\nMAIL FROM:<anna@office.example> BODY=8BITMIME\r\nRCPT TO:<dora@partner.example>\r\n"
    b"RCPT TO:<nobody@partner.example>\r\nDATA\r\nSubject: hi\r\n\r\n..dot\r\n..\r\nend\r\n.\r\nQUIT\r\n"
)


class Writer:
    """As much of a StreamWriter as a session uses."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    async def drain(self) -> None:
        await asyncio.sleep(0)


def converse(sink: Sink, pieces: list[bytes]) -> list[str]:
    """The codes that the sink answers with."""
    writer = Writer()

    async def run() -> None:
        reader = asyncio.StreamReader()
        session = asyncio.ensure_future(Session(sink, reader, writer).run())  # type: ignore[arg-type]
        for piece in pieces:
            reader.feed_data(piece)
            await asyncio.sleep(0)
        reader.feed_eof()
        await session

    asyncio.run(run())
    return [line[:3] for line in writer.written.decode().splitlines() if line[3] == " "]


@pytest.mark.parametrize("size", [1, 10_000])
def test_what_is_sent_is_kept(tmp_path: Path, size: int) -> None:
    sink = Sink("mx.partner.example", tmp_path, frozenset({"nobody"}))
    pieces = [DIALOGUE[start : start + size] for start in range(0, len(DIALOGUE), size)]
    assert converse(sink, pieces) == ["220", "250", "250", "250", "550", "354", "250", "221"]
    [kept] = (tmp_path / "partner.example" / "dora" / "new").iterdir()
    assert kept.read_bytes() == b"Return-Path: <anna@office.example>\nSubject: hi\n\n.dot\n.\nend\n"
    assert not (tmp_path / "partner.example" / "nobody").exists()


def test_data_without_recipients_is_refused(tmp_path: Path) -> None:
    assert converse(Sink("x", tmp_path), [b"MAIL FROM:<>\r\nDATA\r\nQUIT\r\n"]) == ["220", "250", "503", "221"]


@pytest.mark.parametrize("address", ["../../etc/x@partner.example", "a/b@partner.example", "..@partner.example"])
def test_no_address_leads_out_of_the_folder(tmp_path: Path, address: str) -> None:
    sink = Sink("x", tmp_path / "mail")
    converse(sink, [f"MAIL FROM:<>\r\nRCPT TO:<{address}>\r\nDATA\r\n\r\n.\r\nQUIT\r\n".encode()])
    outside = [path for path in tmp_path.rglob("*") if tmp_path / "mail" not in (path, *path.parents)]
    assert outside == []
