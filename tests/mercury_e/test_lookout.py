"""The lookout: circuits are kept in the spool and taken up again, one notice a series, one host leads."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mercury_e.breaker import Rules
from mercury_e.lookout import Lookout, Rounds
from shared.routing.next_hop import NextHop
from shared.state.site_words import read_detours, read_port_25, write_port_25
from shared.vantage.knock import Finding, Knock

ROUNDS = Rounds(("mx1", "mx2"), 300.0, 20.0, Rules(bad_rounds=2, good_rounds=2, stay=100.0))
RELAY = NextHop("relay.example")


class World:
    """Knocks as the test wants them, and everything that was told."""

    def __init__(self, spool: Path) -> None:
        self.spool = spool
        self.now = 1_000_000.0
        self.is_open = True
        self.relay = True
        self.count = 0
        self.notices: list[str] = []
        self.events: list[str] = []

    async def knock_at(self, endpoints: Sequence[str]) -> tuple[Knock, ...]:
        self.count += 1
        finding = Finding.ANSWERS if self.is_open else Finding.SILENT
        return tuple(Knock(endpoint, finding) for endpoint in endpoints)

    async def takes_connections(self, hops: Sequence[NextHop]) -> bool:
        return self.relay and bool(hops)

    async def notify(self, name: str, knocks: tuple[Knock, ...]) -> None:
        self.notices.append(name)

    def report(self, event: str, **fields: Any) -> None:
        self.events.append(str(event))

    def lookout(self, node: str = "a") -> Lookout:
        watched = {"hq": (RELAY,), "lab": ()}
        return Lookout(
            self.spool, node, ROUNDS, self, lambda: watched, self.notify, lambda: self.now, self.report
        )  # fmt: skip

    def round(self, lookout: Lookout) -> float:
        self.now += 60
        return asyncio.run(lookout.round({"hq": (RELAY,), "lab": ()}))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_block_is_kept_and_only_sites_whose_relay_answers_go_there(world: World) -> None:
    lookout = world.lookout()
    world.is_open = False
    assert world.round(lookout) == ROUNDS.again
    assert read_detours(world.spool) == {}
    assert world.round(lookout) == ROUNDS.every
    assert list(read_detours(world.spool)) == ["hq"]
    assert world.notices == ["hq"]


def test_a_new_start_goes_on_where_the_old_one_was(world: World) -> None:
    world.is_open = False
    world.round(world.lookout())
    world.round(world.lookout())
    assert list(read_detours(world.spool)) == ["hq"]
    world.is_open = True
    assert world.round(world.lookout()) == ROUNDS.again
    world.round(world.lookout())
    world.round(world.lookout())
    assert read_detours(world.spool) == {}
    assert "port-25-open" in world.events


def test_a_second_block_within_a_day_writes_no_second_notice(world: World) -> None:
    lookout = world.lookout()
    for _ in range(2):
        world.is_open = False
        world.round(lookout)
        world.round(lookout)
        assert read_detours(world.spool)
        world.is_open = True
        for _ in range(5):
            world.round(lookout)
        assert not read_detours(world.spool)
    assert world.notices == ["hq"]
    assert world.events.count("port-25-blocked") == 2


def test_of_two_hosts_on_a_spool_one_leads_until_it_is_gone(world: World) -> None:
    world.round(world.lookout("a"))
    world.is_open = False
    for _ in range(5):
        world.round(world.lookout("b"))
    assert world.count == 1 and read_port_25(world.spool)["node"] == "a"
    world.now += 3 * ROUNDS.every
    world.round(world.lookout("b"))
    assert read_port_25(world.spool)["node"] == "b"


def test_a_damaged_file_is_said_and_begun_anew(world: World) -> None:
    (world.spool / "port-25.json").write_text("{broken")
    world.round(world.lookout())
    assert "site-words-trouble" in world.events
    assert set(read_port_25(world.spool)["sites"]) == {"hq", "lab"}
    write_port_25(world.spool, {"node": "a", "at": world.now, "sites": {"hq": {"is_relaying": "?"}}})
    world.round(world.lookout())
    assert read_port_25(world.spool)["sites"]["hq"]["is_relaying"] is False


def test_suspicion_brings_the_next_round_forward(world: World) -> None:
    async def main() -> None:
        lookout = world.lookout()
        lookout.rounds = Rounds(ROUNDS.hosts, 3600.0, 0.01, ROUNDS.rules)
        lookout.begin()
        try:
            async with asyncio.timeout(30):
                while world.count < 3:
                    lookout.suspect()
                    await asyncio.sleep(0.01)
        finally:
            await lookout.stop()

    asyncio.run(main())
