"""One message behind another on a connection: no answer goes astray, whatever the server says and when it goes."""

from __future__ import annotations

import asyncio
import random

import pytest
from wires import EHLO, TAKEN, Net, Peer, answers, only

from shared.mail.outcome import Deferred, Delivered, Failed
from shared.smtp.judge import End
from shared.transport.pool import PoolLimits

ALONE = PoolLimits(first=1, most=1)
MESSAGE_AND_NEXT = ["Subject: greetings", "", "Hello.", ".", "MAIL FROM:<anna@hq.example> SIZE=30"]


async def opened(net: Net) -> Peer:
    return await (await net.accept()).open()


def test_the_next_message_begins_behind_the_end_of_the_last() -> None:
    async def scene() -> None:
        net = Net(limits=ALONE)
        legs = [net.carry(to=(f"r{number}@x.example",)) for number in range(3)]
        peer = await opened(net)
        said = await peer.hear(*TAKEN)
        assert said[:5] == MESSAGE_AND_NEXT and said[5:] == ["RCPT TO:<r1@x.example>", "DATA"]
        #  All that is owed comes in one piece; the third begins behind the second.
        said = await peer.hear("250 2.0.0 one\r\n250 ok\r\n250 ok\r\n354 go")
        assert said[-2:] == ["RCPT TO:<r2@x.example>", "DATA"]
        assert legs[0].done() and not legs[1].done()
        await peer.hear("451 4.3.0 not now", "250 ok", "550 5.1.1 nobody", "554 no recipients")
        first, second, third = await answers(legs)
        assert isinstance(first, Delivered) and first.reply.text == "one"
        assert isinstance(second, Deferred) and second.reply.text == "not now"
        assert isinstance(third, Failed) and third.reply.text == "nobody"
        assert net.dialled == []

    asyncio.run(asyncio.wait_for(scene(), 20))


@pytest.mark.parametrize("loss", ["421 4.3.2 closing", ""])
def test_a_message_that_followed_goes_on_another_connection(loss: str) -> None:
    async def scene() -> None:
        net = Net(limits=ALONE)
        legs = [net.carry(to=(f"r{number}@x.example",)) for number in range(2)]
        peer = await opened(net)
        await peer.hear(*TAKEN)
        await (peer.hear(loss) if loss else peer.close())
        outcome = only(await legs[0])
        assert isinstance(outcome, Deferred) and outcome.maybe_delivered is not bool(loss)
        peer = await net.accept()
        assert (await peer.hear("220 mx.example", *EHLO))[2] == "RCPT TO:<r1@x.example>"
        await peer.take()
        assert isinstance(only(await legs[1]), Delivered)

    asyncio.run(asyncio.wait_for(scene(), 20))


def test_nothing_follows_where_it_may_not() -> None:
    async def scene(*offer: str) -> None:
        net = Net(limits=ALONE)
        legs = [net.carry() for _ in range(2)]
        peer = await net.accept()
        await peer.hear("220 mx.example", *offer)
        said: list[str] = []
        for answer in TAKEN:
            said = await peer.hear(answer)
        assert said[-1] == "."
        await peer.close()
        for leg in legs:
            leg.cancel()

    asyncio.run(scene("250-mx.example", "250 SIZE 1000000"))
    asyncio.run(scene("250-mx.example", "250-PIPELINING", "250 LIMITS MAILMAX=1"))


def test_a_message_that_needs_no_journey_waits_its_turn_behind_one_that_does() -> None:
    async def scene() -> None:
        net = Net(limits=ALONE)
        legs = [net.carry(), net.carry(to=("b\u00fccher@x.example",)), net.carry()]
        peer = await opened(net)
        said = await peer.hear(*TAKEN)
        assert said[-1] == "."
        await peer.hear("250 2.0.0 ok")
        await peer.take()
        first, second, third = await answers(legs)
        assert isinstance(first, Delivered) and isinstance(third, Delivered)
        assert isinstance(second, Failed) and second.reply.enhanced == "5.6.7"

    asyncio.run(asyncio.wait_for(scene(), 20))


class Fickle:
    """A server that does what the recipient's name says, answers in pieces of its own and goes when it likes."""

    def __init__(self, peer: Peer, chance: random.Random, taken: list[str]) -> None:
        self._peer, self._chance, self._taken = peer, chance, taken
        self._pending: list[str] = ["220 mx.example", *EHLO]
        self._rcpt = ""
        self._in_data = False
        self.is_gone = False

    async def move(self) -> None:
        for line in self._peer.said():
            self._hear(line)
        if self._pending and self._chance.random() < 0.02:
            self.is_gone = True
            await self._peer.close()
            return
        count = self._chance.randint(0, len(self._pending))
        part, self._pending = self._pending[:count], self._pending[count:]
        if part:
            for line in await self._peer.hear("\r\n".join(part)):
                self._hear(line)

    def _hear(self, line: str) -> None:
        if self._in_data:
            if line == ".":
                self._in_data = False
                is_taken = "later" not in self._rcpt
                if is_taken:
                    self._taken.append(self._rcpt)
                self._pending.append("250 2.0.0 ok" if is_taken else f"451 4.3.0 {self._rcpt}")
        elif line.startswith("RCPT"):
            self._rcpt = line.partition("<")[2].partition("@")[0]
            is_known = "nobody" not in self._rcpt
            self._pending.append("250 ok" if is_known else f"550 5.1.1 {self._rcpt}")
        elif line == "DATA":
            self._in_data = "nobody" not in self._rcpt
            self._pending.append("354 go" if self._in_data else "554 5.5.1 nobody to send to")
        elif line == "QUIT":
            self._pending.append("221 bye")
        elif not line.startswith("EHLO"):
            self._pending.append("250 ok")


@pytest.mark.parametrize("seed", range(10))
def test_every_message_gets_its_own_answer(seed: int) -> None:
    async def scene() -> None:
        chance = random.Random(seed)
        net = Net(limits=PoolLimits(first=2, most=3))
        taken: list[str] = []
        names = [f"r{number}.{chance.choice(['ok', 'ok', 'ok', 'later', 'nobody'])}" for number in range(30)]
        legs = [net.carry(to=(f"{name}@x.example",)) for name in names]
        servers: list[Fickle] = []
        for _ in range(3000):
            await net.settle()
            while net.dialled:
                servers.append(Fickle(await net.accept(), chance, taken))
            for server in servers:
                if not server.is_gone:
                    await server.move()
            if all(leg.done() for leg in legs):
                break
        for name, leg in zip(names, legs, strict=True):
            assert leg.done(), f"{name} waits for ever"
            outcome = only(leg.result())
            if isinstance(outcome, Deferred) and End.LOST.value in outcome.reply.text:
                continue  #  the server went; what it had taken without saying so may come again
            expected = {"ok": Delivered, "later": Deferred, "nobody": Failed}[name.partition(".")[2]]
            assert type(outcome) is expected, name
            assert isinstance(outcome, Delivered) or outcome.reply.text == name
            assert taken.count(name) == (expected is Delivered)
        await net.carrier.close()

    asyncio.run(asyncio.wait_for(scene(), 60))
