"""What hops demand: budgets, windows, recipients of one transaction, the account's name, and the pace of the line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from wires import EHLO, HOP, Net, Peer, only

from mercury_c.account_name import in_name_of
from shared.mail.address import parse_address
from shared.mail.content import BytesContent
from shared.mail.outcome import Deferred, Delivered
from shared.routing.budget import Budget, Limit, Over, Unit
from shared.routing.hours import parse_span
from shared.routing.next_hop import NextHop, Tls
from shared.routing.terms import Terms
from shared.state.hop_book import NAME, read_book
from shared.transport.steward import Steward

NOON = 1_764_158_400.0  # in UTC


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def net(folder: Path | None = None, now: float = NOON) -> tuple[Net, Steward]:
    steward = Steward(lambda: now + made.reactor.seconds(), folder)
    made = Net(steward=steward, in_name_of=in_name_of, are_smarthosts=True)
    return made, steward


def budget(count: int, unit: Unit = Unit.MESSAGES, **more: Any) -> NextHop:
    return replace(HOP, terms=Terms(Budget((Limit(unit, count, 3600.0),), **more)))


SECOND = NextHop("second.example", 25, Tls.OFF)


def test_over_its_budget_mail_waits_and_says_why() -> None:
    async def go() -> None:
        it, steward = net()
        first = it.carry(budget(1))
        peer = await (await it.accept()).open()
        await peer.take()
        assert isinstance(only(await first), Delivered)
        outcomes = [only(await it.carry(budget(1))) for _ in range(2)]
        assert all(isinstance(outcome, Deferred) for outcome in outcomes)
        one, other = (outcome for outcome in outcomes if isinstance(outcome, Deferred))
        assert "the budget of 1 messages in 1h is used up" in one.detail and one.reply.enhanced == "4.4.5"
        assert one.retry_after and other.retry_after and 3500 < one.retry_after <= 3660
        assert other.retry_after - one.retry_after == pytest.approx(3600, abs=1), "they come one after the other"
        steward.close()

    run(go)


def test_over_its_budget_the_next_takes_it_unless_it_is_to_wait() -> None:
    async def go() -> None:
        it, _ = net()
        for over in Over:
            hop = replace(budget(1, over=over), host=f"{over}.example")
            first = it.carry(hop, SECOND)
            await (await (await it.accept()).open()).take()
            assert isinstance(only(await first), Delivered)
            task = it.carry(hop, SECOND)
            if over is Over.NEXT:
                await (await (await it.accept()).open()).take()
                outcome = only(await task)
                assert isinstance(outcome, Delivered) and outcome.host.startswith("second.example")
                assert "not next.example:25 gets no mail at the moment (the budget of 1 messages" in outcome.detail
            else:
                assert isinstance(only(await task), Deferred) and not it.dialled

    run(go)


def test_what_was_not_taken_is_not_counted_and_the_reserve_is_for_urgent_mail() -> None:
    async def go() -> None:
        it, _ = net()
        hop = budget(10, reserve=90)
        refused = it.carry(hop)
        peer = await (await it.accept()).open()
        await peer.hear("250 ok", "550 5.1.1 nobody", "503 no")
        await refused
        assert isinstance((await _take_all(peer, it.carry(hop)))[0], Delivered)
        assert isinstance(only(await it.carry(hop)), Deferred), "nine of ten are kept"
        assert isinstance((await _take_all(peer, it.carry(hop, priority=4)))[0], Delivered)

    run(go)


def test_a_message_for_many_goes_in_parts_and_the_rest_waits() -> None:
    async def go() -> None:
        it, _ = net()
        terms = Terms(Budget((Limit(Unit.RECIPIENTS, 3, 3600.0),)), most_recipients=2)
        task = it.carry(replace(HOP, terms=terms), to=tuple(f"r{n}@x.example" for n in range(5)))
        outcomes = await _take_all(await it.accept(), task, *EHLO)
        assert [type(outcome) for outcome in outcomes] == [Delivered] * 3 + [Deferred] * 2

    run(go)


def test_outside_its_window_a_hop_gets_urgent_mail_only() -> None:
    async def go() -> None:
        it, _ = net()
        hop = replace(HOP, terms=Terms(hours=(parse_span("22:00-06:00"),), zone=UTC))
        outcome = only(await it.carry(hop))
        assert isinstance(outcome, Deferred) and outcome.retry_after == pytest.approx(10 * 3600, abs=60)
        assert "its hours are 22:00-06:00; again in" in outcome.detail
        task = it.carry(hop, priority=1)
        await (await (await it.accept()).open()).take()
        assert isinstance(only(await task), Delivered)

    run(go)


def test_limits_that_a_server_names_are_kept_and_kept_to(tmp_path: Path) -> None:
    async def go() -> None:
        it, steward = net(tmp_path)
        to = ("a@x.example", "b@y.example", "c@x.example")
        task = it.carry(to=to)
        ehlo = ("250-mx.example", "250-PIPELINING", "250-SIZE 4000", "250 LIMITS RCPTDOMAINMAX=1 RCPTMAX=9")
        assert isinstance((await _take_all(await it.accept(), task, *ehlo))[0], Delivered)
        steward.close()
        page = read_book(tmp_path)["relay.example:25"]
        assert (page.size, page.limits) == (4000, {"RCPTDOMAINMAX": 1, "RCPTMAX": 9}) and page.heard >= NOON
        #  After a restart it is known before the first connection.
        again, _ = net(tmp_path)
        task = again.carry(to=to)
        peer = await again.accept()
        said = await peer.hear("220 mx.example", "250-mx.example", "250-PIPELINING", "250 LIMITS RCPTDOMAINMAX=1")
        assert [line for line in said if "RCPT" in line] == ["RCPT TO:<a@x.example>", "RCPT TO:<c@x.example>"]
        task.cancel()

    run(go)


async def _take_all(peer: Peer, task: asyncio.Task[Any], *ehlo: str) -> list[Any]:
    """The server says yes to everything; `ehlo`: it has yet to greet."""
    if ehlo:
        for line in ("220 mx.example", *ehlo):
            peer.wire.protocol.dataReceived(line.encode() + b"\r\n")
    for _ in range(20):
        await peer.net.settle()
        if task.done():
            break
        for line in _answers(peer.said()):
            peer.wire.protocol.dataReceived(line.encode() + b"\r\n")
    return list((await task).values())


def _answers(said: list[str]) -> list[str]:
    answers = []
    for line in said:
        if line.startswith(("MAIL", "RCPT", "RSET")):
            answers.append("250 ok")
        elif line == "DATA":
            answers.append("354 go")
        elif line == ".":
            answers.append("250 taken")
    return answers


def test_counts_and_health_outlive_a_restart(tmp_path: Path) -> None:
    async def go() -> None:
        it, steward = net(tmp_path)
        task = it.carry(budget(1))
        await (await (await it.accept()).open()).take()
        await task
        steward.note_health(HOP, "cannot be reached")
        steward.close()
        again, other = net(tmp_path)
        assert isinstance(only(await again.carry(budget(1))), Deferred) and not again.dialled
        assert other.is_unwell(HOP) and read_book(tmp_path)["relay.example:25"].since >= NOON
        other.note_health(HOP, "")
        other.close()
        assert read_book(tmp_path)["relay.example:25"].trouble == ""

    run(go)


def test_a_book_that_makes_no_sense_is_as_none(tmp_path: Path) -> None:
    for text in ("", "[]", '{"hops": {"a": {}}}', '{"hops": 3}'):
        (tmp_path / NAME).write_text(text)
        assert read_book(tmp_path) == {}


def test_mail_goes_in_the_name_of_the_account() -> None:
    async def go() -> None:
        it, _ = net()
        hop = replace(HOP, terms=Terms(author=parse_address("office@isp.example")))
        task = it.carry(hop, content=BytesContent(b"From: Anna <anna@hq.example>\r\n\r\nhi\r\n"))
        peer = await it.accept()
        said = await peer.hear("220 mx.example ESMTP", "250-mx.example", "250 PIPELINING")
        assert said[1] == "MAIL FROM:<office@isp.example>"
        said = await peer.hear("250 ok", "250 ok", "354 go")
        assert said[:2] == ["From: Anna <office@isp.example>", "Reply-To: Anna <anna@hq.example>"]
        await peer.hear("250 ok")
        outcome = only(await task)
        assert isinstance(outcome, Delivered) and "in the name of office@isp.example" in outcome.detail

    run(go)


def test_the_line_is_not_filled_and_urgent_mail_does_not_wait() -> None:
    async def go() -> None:
        it, _ = net()
        hop = replace(HOP, terms=Terms(bandwidth=10_000))
        large = BytesContent(b"Subject: x\r\n\r\n" + (b"y" * 76 + b"\r\n") * 2000)
        task = it.carry(hop, content=large)
        peer = await it.accept()
        await peer.hear("220 mx.example ESMTP", "250-mx.example", "250 PIPELINING")
        await it.later(1.0)
        await peer.hear("250 ok", "250 ok", "354 go")
        octets, seconds = 0, 0.0
        urgent = it.carry(hop, priority=1)
        await (await (await it.accept()).open()).take()
        assert isinstance(only(await urgent), Delivered), "it has a connection of its own"
        while octets < large.size - 2500:  # the first slice went with the commands
            await it.later(0.25)
            data = peer.wire.read()
            assert len(data) <= 5000, "what a quarter of a second takes, and what was left of the one before"
            octets, seconds = octets + len(data), seconds + 0.25
            assert seconds < 40
        assert 14 <= seconds <= 18
        await peer.hear("250 ok")
        assert isinstance(only(await task), Delivered)

    run(go)


def test_a_slow_line_is_no_slow_server() -> None:
    """What we hold back ourselves does not count against the server's patience."""

    async def go() -> None:
        it, _ = net()
        hop = replace(HOP, terms=Terms(bandwidth=512))
        large = BytesContent(b"Subject: x\r\n\r\n" + (b"y" * 76 + b"\r\n") * 6000)
        task = it.carry(hop, content=large)
        peer = await it.accept()
        await peer.hear("220 mx.example ESMTP", "250-mx.example", "250 CHUNKING")
        await it.later(1.0)
        await peer.hear("250 ok")
        await it.later(1.0)
        await peer.hear("250 ok")
        octets = 0
        for _ in range(900):
            await it.later(1.0)
            octets += len(peer.wire.read())
        assert not peer.wire.closed and 440_000 < octets < 470_000
        task.cancel()

    run(go)


def test_without_a_place_for_the_book_counting_goes_on(tmp_path: Path) -> None:
    async def go() -> None:
        (tmp_path / "file").write_text("no folder")
        it, steward = net(tmp_path / "file")
        task = it.carry(budget(1))
        await (await (await it.accept()).open()).take()
        assert isinstance(only(await task), Delivered)
        assert isinstance(only(await it.carry(budget(1))), Deferred)
        steward.close()

    run(go)
