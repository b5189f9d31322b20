"""Dovecot's protocol, spoken with a Dovecot of a few lines over a pair of sockets."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import Awaitable, Callable

import pytest

from mercury_s.auth.backend import BackendDown
from mercury_s.auth.dovecot import DovecotLogins
from shared.config.account import Account
from shared.mail.address import parse_address

ANNA = Account(parse_address("anna@hq.example"))
GREETING = b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\tx\nDONE\n"
Answer = Callable[[list[str]], bytes]


class Peer:
    """Answers each AUTH line with what `answer` says; empty: closes."""

    def __init__(self, answer: Answer, greeting: bytes = GREETING) -> None:
        self.answer = answer
        self.greeting = greeting
        self.connections = 0
        self.asked: list[list[str]] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self.connections += 1
        ours, theirs = socket.socketpair()
        self.tasks.append(asyncio.ensure_future(self._serve(*await asyncio.open_connection(sock=theirs))))
        return await asyncio.open_connection(sock=ours, limit=16384)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readline()).startswith(b"VERSION\t1\t")
        assert (await reader.readline()).startswith(b"CPID\t")
        writer.write(self.greeting)
        while line := await reader.readline():
            self.asked.append(line.decode().rstrip("\n").split("\t"))
            said = self.answer(self.asked[-1])
            if not said:
                break
            writer.write(said)
        writer.close()


def ask(peer: Peer, *questions: Callable[[DovecotLogins], Awaitable[object]]) -> list[object]:
    async def run() -> list[object]:
        logins = DovecotLogins(peer.connect, "hq.example")
        found: list[object] = []
        for question in questions:
            try:
                found.append(await question(logins))
            except BackendDown as down:
                found.append(down)
        await logins.close()
        for task in peer.tasks:
            task.cancel()
        await asyncio.gather(*peer.tasks, return_exceptions=True)
        return found

    return asyncio.run(asyncio.wait_for(run(), 10))


def anna(logins: DovecotLogins) -> Awaitable[Account | None]:
    return logins.check("anna", "se cret", "192.0.2.1")


def test_a_yes_names_the_account() -> None:
    peer = Peer(lambda asked: f"OK\t{asked[1]}\tuser=anna@hq.example\textra\n".encode())
    assert ask(peer, anna, anna) == [ANNA, ANNA]
    assert peer.connections == 1
    first = peer.asked[0]
    assert first[:3] == ["AUTH", "1", "PLAIN"] and {"secured", "rip=192.0.2.1"} <= set(first)
    assert base64.b64decode(first[-1].removeprefix("resp=")) == b"\0anna\0se cret"
    assert peer.asked[1][1] == "2"


def test_a_yes_without_a_domain_is_ours() -> None:
    assert ask(Peer(lambda asked: f"OK\t{asked[1]}\tuser=anna\n".encode()), anna) == [ANNA]


def test_a_no_is_no_and_a_temporary_no_is_later() -> None:
    assert ask(Peer(lambda asked: f"FAIL\t{asked[1]}\tuser=anna\n".encode()), anna) == [None]
    [down] = ask(Peer(lambda asked: f"FAIL\t{asked[1]}\tuser=anna\ttemp\n".encode()), anna)
    assert isinstance(down, BackendDown)
    assert ask(Peer(lambda asked: f"CONT\t{asked[1]}\tAAAA\n".encode()), anna) == [None]


def test_answers_are_matched_by_number() -> None:
    waiting: list[str] = []

    def answer(asked: list[str]) -> bytes:
        waiting.append(asked[1])
        if len(waiting) < 2:
            return b"FAIL\t99\n"  #  nobody's
        return f"OK\t{waiting[1]}\tuser=bert\nFAIL\t{waiting[0]}\n".encode()

    async def both(logins: DovecotLogins) -> object:
        return await asyncio.gather(anna(logins), logins.check("bert", "x", "192.0.2.1"))

    [(first, second)] = ask(Peer(answer), both)  # type: ignore[misc]
    assert first is None and second == Account(parse_address("bert@hq.example"))


@pytest.mark.parametrize("said", [b"", b"x" * 40000])
def test_a_connection_that_breaks_is_made_anew(said: bytes) -> None:
    replies = [said, b"OK\t1\tuser=anna\n"]
    peer = Peer(lambda asked: replies.pop(0))
    down, found = ask(peer, anna, anna)
    assert isinstance(down, BackendDown) and found == ANNA
    assert peer.connections == 2


def test_another_version_is_not_spoken() -> None:
    [down] = ask(Peer(lambda asked: b"", GREETING.replace(b"VERSION\t1", b"VERSION\t2")), anna)
    assert "another version" in str(down)


def test_where_nobody_listens_nobody_is_refused() -> None:
    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        raise FileNotFoundError(2, "No such file or directory")

    async def run() -> None:
        with pytest.raises(BackendDown, match="No such file"):
            await DovecotLogins(connect, "hq.example").check("anna", "x", "192.0.2.1")

    asyncio.run(run())


def test_nothing_typed_can_end_a_line() -> None:
    peer = Peer(lambda asked: f"FAIL\t{asked[1]}\n".encode())
    ask(peer, lambda logins: logins.check("an\tna\nOK\t1", "x\ty\n", "192.0.2.1"))
    assert len(peer.asked) == 1 and len(peer.asked[0]) == 8
    assert ask(Peer(lambda asked: b""), lambda logins: logins.check("anna", "a\0b", "192.0.2.1")) == [None]
