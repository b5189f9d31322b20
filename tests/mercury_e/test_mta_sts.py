"""MTA-STS: what records and policies say (mta_sts.py), how long they are known (policies.py), what follows (demand.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from fakes.zones import FakeResolver
from test_dane import demands
from test_dane import plan as plan_dane

from mercury_e.mta_sts import LONGEST_AGE, Mode, Policy, PolicyError, parse_policy, read_id
from mercury_e.policies import AFTER_FAILURE, Policies
from mercury_e.policy_page import PageUnusable
from shared.mail.outcome import Deferred
from shared.routing.next_hop import Tls


def text(mode: str = "enforce", *hosts: str, age: int = 86400) -> bytes:
    lines = [
        "version: STSv1",
        f"mode: {mode}",
        *(f"mx: {host}" for host in hosts or ("mx.example",)),
        f"max_age: {age}",
    ]
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize(
    ("records", "id"),
    [
        (["v=STSv1; id=20160831085700Z;"], "20160831085700Z"),
        (["v=spf1 -all", "v=STSv1;id=a1"], "a1"),
        (["v=STSv1; id=a1", "v=STSv1; id=a2"], ""),
        (["v=STSv1"], ""),
        (["v=STSv1; id=a-1"], ""),
        (["v=STSv11; id=a1"], ""),
        (["id=a1; v=STSv1"], ""),
        ([], ""),
    ],
)
def test_the_id_of_a_record(records: list[str], id: str) -> None:
    assert read_id(records) == id


def test_a_policy_is_read() -> None:
    policy = parse_policy(text("testing", "MX.example", "*.mail.example", age=604800) + b"\r\nother: thing\r\n")
    assert policy == Policy(Mode.TESTING, ("mx.example", "*.mail.example"), 604800)
    assert parse_policy(text(age=9999999999)).max_age == LONGEST_AGE
    assert parse_policy(b"version: STSv1\nmode: none\nmax_age: 60\n").mode is Mode.NONE


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"<html>",
        text().replace(b"STSv1", b"STSv2"),
        text("strict"),
        text().replace(b"86400", b"soon"),
        text().replace(b"86400", b"12345678901"),
        b"version: STSv1\nmode: enforce\nmax_age: 60\n",
        text("enforce", "mx.*.example"),
        text("enforce", "mx example"),
        text("enforce", "*"),
    ],
)
def test_what_is_no_policy(content: bytes) -> None:
    with pytest.raises(PolicyError):
        parse_policy(content)


@pytest.mark.parametrize(
    ("pattern", "host", "is_allowed"),
    [
        ("mx.example", "mx.example", True),
        ("mx.example", "mx2.example", False),
        ("*.example", "mx.example", True),
        ("*.example", "a.mx.example", False),
        ("*.example", "example", False),
    ],
)
def test_which_hosts_a_policy_allows(pattern: str, host: str, is_allowed: bool) -> None:
    assert Policy(Mode.ENFORCE, (pattern,), 60).allows(host) is is_allowed


# ---- what is known -------------------------------------------------------------------------------------------------


class World:
    """A domain with a record and a page, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 1_000_000.0
        self.zone = {
            "_mta-sts.there.example": {"TXT": ["v=STSv1; id=1"]},
            "mta-sts.there.example": {"A": ["192.0.2.1"]},
        }
        self.page: bytes | Exception = text()
        self.fetched: list[tuple[str, Sequence[str]]] = []
        self.told: list[tuple[str, str]] = []
        self.policies = self.restarted()

    def restarted(self) -> Policies:
        resolver = FakeResolver(self.zone)
        self.policies = Policies(
            self.folder,
            resolver,
            self.fetch,
            lambda addresses: addresses,
            lambda: self.now,
            lambda domain, error: self.told.append((domain, str(error))),
        )
        self.zone = resolver.zone
        return self.policies

    async def fetch(self, domain: str, addresses: Sequence[str]) -> bytes:
        self.fetched.append((domain, addresses))
        await asyncio.sleep(0)
        if isinstance(self.page, Exception):
            raise self.page
        return self.page

    def ask(self, domain: str = "there.example") -> Policy | None:
        async def ask() -> Policy | None:
            policy = await self.policies.policy(domain)
            for _ in range(20):
                await asyncio.sleep(0)
            return policy

        return asyncio.run(ask())


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_policy_is_fetched_once_and_kept_over_restarts(world: World) -> None:
    for _ in range(2):
        assert world.ask() == Policy(Mode.ENFORCE, ("mx.example",), 86400)
        world.restarted()
    assert world.fetched == [("there.example", ("192.0.2.1",))]


def test_without_a_record_nobody_asks_for_the_page(world: World) -> None:
    assert world.ask("elsewhere.example") is None
    assert not world.fetched


def test_it_holds_when_its_record_is_gone_but_not_beyond_its_time(world: World) -> None:
    world.ask()
    del world.zone["_mta-sts.there.example"]
    world.now += 86399
    assert world.ask() is not None
    world.now += 2
    assert world.ask() is None


def test_a_broken_page_leaves_the_policy_that_is_known(world: World) -> None:
    world.ask()
    world.zone["_mta-sts.there.example"] = {"TXT": ["v=STSv1; id=2"]}
    for page in (PageUnusable("status 404"), b"nonsense"):
        world.page = page
        assert world.ask() is not None
        world.now += AFTER_FAILURE + 1
    assert len(world.fetched) == 3
    assert world.told == [("there.example", "status 404"), ("there.example", "it has a line without a colon")]


def test_after_a_failure_nobody_asks_for_some_minutes(world: World) -> None:
    world.page = PageUnusable("status 404")
    assert world.ask() is None and world.ask() is None
    assert len(world.fetched) == 1
    world.now += AFTER_FAILURE + 1
    world.page = text()
    assert world.ask() is not None


def test_a_new_id_and_old_age_renew_it_behind_the_mail(world: World) -> None:
    world.ask()
    world.page = text("testing")
    world.zone["_mta-sts.there.example"] = {"TXT": ["v=STSv1; id=2"]}
    first = world.ask()
    assert first is not None and first.mode is Mode.ENFORCE, "mail does not wait for what replaces a policy"
    second = world.ask()
    assert second is not None and second.mode is Mode.TESTING
    assert len(world.fetched) == 2
    world.now += 86400 / 2 + 1
    world.ask()
    assert len(world.fetched) == 3


def test_what_is_getting_old_is_renewed_by_the_clock_without_mail(world: World) -> None:
    world.ask()

    async def look() -> None:
        await world.policies.renew()
        for _ in range(20):
            await asyncio.sleep(0)

    world.now += 86400 / 2 - 1
    asyncio.run(look())
    assert len(world.fetched) == 1
    world.now += 2
    asyncio.run(look())
    asyncio.run(look())
    assert len(world.fetched) == 2, "it is young again"
    world.now += 2 * 86400
    asyncio.run(look())
    assert len(world.fetched) == 2, "what is over is nobody's until mail comes"


def test_mode_none_is_no_policy(world: World) -> None:
    world.page = b"version: STSv1\nmode: none\nmax_age: 86400\n"
    assert world.ask() is None and world.ask() is None
    assert len(world.fetched) == 1


@pytest.mark.parametrize("content", ["", "[]", '{"there.example": 3}', '{"there.example": ["1", "x", "y"]}'])
def test_a_file_that_cannot_be_read_is_fetched_anew(world: World, content: str) -> None:
    (world.folder / "mta-sts.json").write_text(content)
    world.restarted()
    assert world.ask() is not None


# ---- what follows --------------------------------------------------------------------------------------------------


class Given:
    def __init__(self, policy: Policy | None) -> None:
        self._policy = policy

    async def policy(self, domain: str) -> Policy | None:
        return self._policy


def plan(policy: Policy, domain: str = "two.example", **more):
    return plan_dane(f"a@{domain}", policies=Given(policy), **more)


def test_an_enforced_policy_demands_verification_and_leaves_other_hosts_out() -> None:
    policy = Policy(Mode.ENFORCE, ("mx1.one.example",), 60)
    (leg,) = plan(policy).legs
    assert [(hop.host, hop.tls) for hop in leg.hops] == [("mx1.one.example", Tls.VERIFY)]
    assert "not mx2.one.example: the MTA-STS policy" in leg.reason
    (outcome,) = plan(Policy(Mode.ENFORCE, ("mx9.one.example",), 60)).settled.values()
    assert isinstance(outcome, Deferred) and outcome.reply.enhanced == "4.7.5"


def test_testing_changes_nothing() -> None:
    assert demands(plan(Policy(Mode.TESTING, ("mx9.one.example",), 60))) == [[Tls.OPPORTUNISTIC] * 2]


def test_dane_comes_first() -> None:
    planned = plan(Policy(Mode.ENFORCE, ("mx2.one.example",), 60), "one.example")
    assert demands(planned) == [[Tls.DANE, Tls.VERIFY]]


def test_tls_required_no_waives_it_and_requiretls_is_content_with_it() -> None:
    policy = Policy(Mode.ENFORCE, ("mx1.one.example",), 60)
    assert demands(plan(policy, tls_optional=True)) == [[Tls.OPPORTUNISTIC] * 2]
    assert demands(plan(policy, requiretls=True)) == [[Tls.VERIFY]]
    assert plan(Policy(Mode.TESTING, ("mx1.one.example",), 60), requiretls=True).settled
