"""Who looks on at a dialogue (shared/observe/tap.py)."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any

from shared.observe.tap import MOST_WAITING, MOST_WATCHERS, Tap, Wanted


def in_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    @functools.wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


def texts(lines: list[object]) -> list[object]:
    return [line.get("text", line) for line in lines if isinstance(line, dict)]


@in_a_loop
async def test_a_slow_reader_loses_lines_and_is_told_how_many() -> None:
    tap = Tap()
    watcher = tap.watch(Wanted())
    assert watcher is not None
    dialogue = tap.listen("192.0.2.1", "", "192.0.2.1")
    assert dialogue is not None
    for number in range(MOST_WAITING + 7):
        dialogue.note(str(number))
    lines = await watcher.next(1)
    assert len(lines) == MOST_WAITING + 1 and lines[-1] == {"dropped": 7}
    dialogue.note("again")
    assert texts(list(await watcher.next(1))) == ["again"]


@in_a_loop
async def test_nobody_looks_on_once_all_have_left() -> None:
    tap = Tap()
    assert not tap.is_on
    watchers = [tap.watch(Wanted()) for _ in range(MOST_WATCHERS)]
    assert tap.is_on and tap.watch(Wanted()) is None
    for watcher in watchers:
        assert watcher is not None
        tap.leave(watcher)
    assert not tap.is_on and tap.listen("x", "", "192.0.2.1") is None


@in_a_loop
async def test_only_what_is_wanted_is_shown_from_its_beginning() -> None:
    tap = Tap()
    by_net, by_to, by_id = tap.watch(Wanted(peer="192.0.2.0/24")), tap.watch(Wanted(to="b.example")), tap.watch(
        Wanted(id="Q7"))  # fmt: skip
    assert by_net and by_to and by_id
    first, second = tap.listen("192.0.2.9", "", "192.0.2.9"), tap.listen("mx[2001:db8::1]:25", "mx", "2001:db8::1")
    assert first and second
    for dialogue in (first, second):
        dialogue.server(b"220 mx\r\n")
    first.client(b"RCPT TO:<Joe@B.example>\r\n")
    second.client(b"RCPT TO:<joe@ab.example>\r\n")
    second.note("message Q7")
    assert texts(list(await by_net.next(1))) == ["220 mx", "RCPT TO:<Joe@B.example>"]
    assert texts(list(await by_to.next(1))) == ["220 mx", "RCPT TO:<Joe@B.example>"]
    assert texts(list(await by_id.next(1))) == ["220 mx", "RCPT TO:<joe@ab.example>", "message Q7"]
    assert await asyncio.wait_for(by_to.next(0.01), 30) == []


def test_a_peer_is_a_name_an_address_or_a_network() -> None:
    assert Wanted(peer="MX.b.example.").may_be("mx.b.example", "192.0.2.1")
    assert Wanted(peer="192.0.2.1").may_be("mx", "192.0.2.1") and not Wanted(peer="192.0.2.2").may_be("", "192.0.2.1")
    assert not Wanted(peer="mx").may_be("mx2", "/run/lmtp")
