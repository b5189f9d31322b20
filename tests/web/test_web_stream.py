"""Open pages hear of what changes, once; the host is looked at only for them."""

from __future__ import annotations

import asyncio
from typing import Any

from shared.web.stream import HEARTBEAT, LONGEST_STALL, MOST, Stream, Streams


class Wire:
    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_finished = False
        self.is_allowed = True
        self.stream = Stream(self.written.append, self._finish, lambda: self.is_allowed)

    def _finish(self) -> None:
        self.is_finished = True


def test_only_what_differs_is_sent() -> None:
    wire = Wire()
    assert wire.stream.send({"a": "1", "b": "2"}, 0.0)
    assert wire.stream.send({"a": "1", "b": "3"}, 1.0)
    assert wire.stream.send({"a": "1", "b": "3"}, 2.0)
    assert wire.written == [b"event: a\ndata: 1\n\nevent: b\ndata: 2\n\n", b"event: b\ndata: 3\n\n"]
    wire.stream.send({"a": "1", "b": "3"}, 2.0 + HEARTBEAT)
    assert wire.written[-1].startswith(b":")


def test_who_may_no_longer_look_is_let_go_before_anything_is_sent() -> None:
    wire = Wire()
    wire.is_allowed = False
    assert not wire.stream.send({"a": "1"}, 0.0)
    assert wire.is_finished and wire.written == []


def test_who_does_not_read_is_skipped_and_then_let_go() -> None:
    wire = Wire()
    wire.stream.send({"a": "1"}, 0.0)
    wire.stream.is_stalled = True
    assert wire.stream.send({"a": "2"}, LONGEST_STALL) and len(wire.written) == 1
    assert not wire.stream.send({"a": "3"}, LONGEST_STALL + 1) and wire.is_finished


def test_the_host_is_looked_at_once_for_all_and_only_while_a_page_is_open() -> None:
    async def day() -> None:
        looks = []
        has_beaten, has_sent = asyncio.Event(), asyncio.Event()

        async def look() -> dict[str, Any]:
            looks.append(1)
            asyncio.get_running_loop().call_soon(has_sent.set)  #  behind the sending
            return {"a": len(looks)}

        async def beat() -> None:
            has_beaten.set()

        streams = Streams(look, beat)
        streams.start()
        await has_beaten.wait()
        assert looks == []
        wires = [Wire(), Wire()]
        for wire in wires:
            assert streams.add(wire.stream)
        await has_sent.wait()
        assert len(looks) == 1 and all(wire.written for wire in wires)
        streams.stop()
        assert all(wire.is_finished for wire in wires)

    asyncio.run(day())


def test_there_are_never_too_many() -> None:
    async def crowd() -> None:
        async def nothing() -> Any:
            return {}

        streams = Streams(nothing, nothing)
        assert all(streams.add(Wire().stream) for _ in range(MOST))
        assert not streams.add(Wire().stream)

    asyncio.run(crowd())
