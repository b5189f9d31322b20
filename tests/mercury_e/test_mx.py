"""mercury_e/mx.py: RFC 5321 §5.1 and RFC 7505 as tables, and the ordering as a property."""

from __future__ import annotations

import random
from ipaddress import ip_network
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mercury_e.mx import (
    MOST_HOSTS,
    Exchangers,
    Target,
    decide_literal,
    decide_targets,
    order_hosts,
    read_exchangers,
)
from mercury_e.reach import Reach
from shared.dns.answers import Found, MxRecord, NoData, NoSuchName, Trouble
from shared.mail.outcome import Deferred, Failed

DOMAIN = "example.org"
OWN = frozenset({"mail.home.example"})


def mx(*records: tuple[int, str], stale: bool = False) -> Found[tuple[MxRecord, ...]]:
    return Found(tuple(MxRecord(*record) for record in records), 300, stale=stale)


def exchangers(*records: tuple[int, str]) -> Exchangers:
    return Exchangers(tuple(MxRecord(*record) for record in records))


def at(*addresses: str, stale: bool = False) -> Found[tuple[str, ...]]:
    return Found(addresses, 300, stale=stale)


def unshuffled(records: list[MxRecord]) -> None:
    """Chance, when it leaves everything as it is."""


@pytest.mark.parametrize(
    ("answer", "records"),
    [
        (mx((20, "b.example"), (10, "a.example")), [(10, "a.example"), (20, "b.example")]),
        (mx((10, "b.example"), (10, "a.example")), [(10, "a.example"), (10, "b.example")]),
        (mx((10, "a.example"), (10, "a.example"), (30, "a.example")), [(10, "a.example")]),
        (NoData(), [(0, DOMAIN)]),
        (mx((0, "."), (10, "a.example")), [(10, "a.example")]),
        (mx((5, "a.example"), (10, "mail.home.example"), (10, "b.example"), (20, "c.example")), [(5, "a.example")]),
    ],
    ids=["by preference", "equals by name", "twice", "implicit", "dot beside others is nothing", "own name cuts off"],
)
def test_the_answer_becomes_the_hosts_that_take_mail(answer, records):
    decision = read_exchangers(DOMAIN, answer, OWN)
    assert isinstance(decision, Exchangers)
    assert list(decision.records) == records
    assert decision.implicit is isinstance(answer, NoData)


@pytest.mark.parametrize(
    ("answer", "outcome", "code", "enhanced"),
    [
        (mx((0, ".")), Failed, 556, "5.1.10"),
        (mx((0, "."), (10, ".")), Failed, 556, "5.1.10"),
        (mx(), Failed, 550, "5.4.4"),
        (NoSuchName(), Failed, 550, "5.1.2"),
        (Trouble("SERVFAIL"), Deferred, 451, "4.4.3"),
        (mx((10, "mail.home.example"), (20, "b.example")), Failed, 554, "5.4.6"),
        (mx((10, "b.example"), (10, "mail.home.example")), Failed, 554, "5.4.6"),
        (mx((0, "."), stale=True), Deferred, 451, "4.4.3"),
        (mx(stale=True), Deferred, 451, "4.4.3"),
        (mx((10, "mail.home.example"), stale=True), Deferred, 451, "4.4.3"),
    ],
    ids=[
        "null MX", "two null MX", "only invalid names", "NXDOMAIN", "SERVFAIL", "we are the best", "we are among the best",
        "stale null MX", "stale and invalid", "stale and ours",
    ],
)  # fmt: skip
def test_without_hosts_the_answer_is_an_outcome(answer, outcome, code, enhanced):
    decision = read_exchangers(DOMAIN, answer, OWN)
    assert isinstance(decision, outcome)
    assert (decision.reply.code, decision.reply.enhanced) == (code, enhanced)
    assert DOMAIN in decision.reply.text


def test_a_domain_that_is_ourselves_and_has_no_mx_loops():
    decision = read_exchangers("mail.home.example", NoData(), OWN)
    assert isinstance(decision, Failed) and decision.reply.enhanced == "5.4.6"


def test_the_reason_of_a_trouble_is_for_the_log_and_not_for_the_report():
    decision = read_exchangers(DOMAIN, Trouble("name server 127.0.0.1:53: SERVFAIL"), OWN)
    assert isinstance(decision, Deferred)
    assert "127.0.0.1" in decision.detail and "127.0.0.1" not in decision.reply.text


records = st.lists(
    st.builds(MxRecord, st.integers(0, 65535) | st.sampled_from([0, 10]), st.from_regex(r"[a-z]{1,3}\.example\Z")),
    min_size=1,
    max_size=40,
)


@settings(derandomize=True)
@given(records, st.randoms(use_true_random=False))
def test_the_order_never_violates_preference_and_invents_nobody(hosts, chance):
    decision = read_exchangers(DOMAIN, Found(tuple(hosts), 300), frozenset())
    assert isinstance(decision, Exchangers)
    ordered = order_hosts(decision, chance.shuffle)
    assert all(one.preference <= other.preference for one, other in pairwise(ordered))
    assert set(ordered) <= set(hosts)
    assert len(ordered) == min(MOST_HOSTS, len({host.host for host in hosts}))
    left_out = set(decision.records) - set(ordered)
    assert all(ordered[-1].preference <= host.preference for host in left_out)


@settings(derandomize=True)
@given(records, st.integers(0, 39))
def test_nobody_as_good_as_ourselves_or_worse_is_left(hosts, which):
    ours = hosts[which % len(hosts)]
    best = min(host.preference for host in hosts if host.host == ours.host)
    decision = read_exchangers(DOMAIN, Found(tuple(hosts), 300), frozenset({ours.host}))
    if isinstance(decision, Exchangers):
        assert max(host.preference for host in decision.records) < best
    else:
        assert decision.reply.enhanced == "5.4.6"
        assert min(host.preference for host in hosts) == best


def test_equals_come_in_every_order():
    """D-10: a hundred equals share the load."""
    hosts = exchangers(*((10, f"mx{number}.example") for number in range(100)))
    chance = random.Random(1)
    firsts = {order_hosts(hosts, chance.shuffle)[0].host for _ in range(600)}
    assert len(firsts) > 90


def test_a_thousand_exchangers_are_ten():
    """D-03."""
    hosts = exchangers(*((number, f"mx{number}.example") for number in range(1000)))
    assert [host.preference for host in order_hosts(hosts, random.Random(2).shuffle)] == list(range(10))


def targets(hosts, addresses, reach=None, domain=DOMAIN):
    return decide_targets(domain, hosts, order_hosts(hosts, unshuffled), addresses, reach or Reach())


def test_hosts_without_an_address_are_passed_over():
    hosts = exchangers((10, "a.example"), (20, "b.example"), (30, "c.example"), (40, "d.example"))
    answers = {
        "a.example": NoSuchName(),
        "b.example": NoData(),
        "c.example": Trouble("timed out"),
        "d.example": at("192.0.2.4"),
    }
    assert targets(hosts, answers) == (Target("d.example", ("192.0.2.4",)),)


@pytest.mark.parametrize(
    ("answers", "outcome", "enhanced"),
    [
        ({"a.example": NoSuchName(), "b.example": NoData()}, Failed, "5.4.4"),
        ({"a.example": NoSuchName(), "b.example": Trouble("timed out")}, Deferred, "4.4.3"),
        ({"a.example": at("127.0.0.1"), "b.example": at("10.0.0.1", "fe80::1")}, Failed, "5.4.4"),
        ({"a.example": at("127.0.0.1"), "b.example": Trouble("timed out")}, Deferred, "4.4.3"),
        ({"a.example": at("10.0.0.1", stale=True), "b.example": NoData()}, Deferred, "4.4.3"),
        ({"a.example": at("198.51.100.9"), "b.example": at("192.0.2.2")}, Failed, "5.4.6"),
        ({"a.example": Trouble("timed out"), "b.example": at("198.51.100.9")}, Deferred, "4.4.3"),
        ({"a.example": at("198.51.100.9"), "b.example": Trouble("timed out")}, Failed, "5.4.6"),
    ],
    ids=[
        "none has an address", "perhaps one has", "all forbidden", "forbidden or unknown", "stale and forbidden",
        "own address first", "own address behind a host in trouble", "own address before a host in trouble",
    ],
)  # fmt: skip
def test_without_an_address_to_dial_it_is_an_outcome(answers, outcome, enhanced):
    reach = Reach(own={"198.51.100.9"})
    decision = targets(exchangers((10, "a.example"), (20, "b.example")), answers, reach)
    assert isinstance(decision, outcome)
    assert decision.reply.enhanced == enhanced


@pytest.mark.parametrize(
    ("answer", "enhanced"), [(NoData(), "5.4.4"), (NoSuchName(), "5.1.2"), (Trouble("timed out"), "4.4.3")]
)
def test_an_implicit_exchanger_without_an_address(answer, enhanced):
    decision = targets(Exchangers((MxRecord(0, DOMAIN),), implicit=True), {DOMAIN: answer})
    assert isinstance(decision, Failed | Deferred)
    assert decision.reply.enhanced == enhanced


def test_an_own_address_cuts_off_its_host_and_all_that_are_no_better():
    hosts = exchangers((10, "a.example"), (20, "b.example"), (20, "c.example"), (30, "d.example"))
    answers = {
        "a.example": at("192.0.2.1"),
        "b.example": at("192.0.2.2"),
        "c.example": at("192.0.2.3", "2001:db8::9"),
        "d.example": at("192.0.2.4"),
    }
    reach = Reach(own={"2001:db8:0::9"})
    assert targets(hosts, answers, reach) == (Target("a.example", ("192.0.2.1",)),)


def test_forbidden_addresses_are_left_out_and_the_others_dialled():
    """D-02."""
    answers = {"a.example": at("127.0.0.1", "192.0.2.1", "::ffff:127.0.0.1", "2001:db8::1")}
    assert targets(exchangers((10, "a.example")), answers) == (Target("a.example", ("192.0.2.1", "2001:db8::1")),)


def test_what_the_operator_opens_is_dialled():
    reach = Reach(own={"127.0.0.1"}, allowed=(ip_network("127.0.0.0/8"),))
    answers = {"a.example": at("127.0.0.1", "10.0.0.1")}
    assert targets(exchangers((10, "a.example")), answers, reach) == (Target("a.example", ("127.0.0.1",)),)


def test_a_stale_answer_still_carries_mail():
    hosts = Exchangers((MxRecord(10, "a.example"),), stale=True)
    assert targets(hosts, {"a.example": at("192.0.2.1", stale=True)}) == (Target("a.example", ("192.0.2.1",)),)


@pytest.mark.parametrize(
    ("address", "enhanced"),
    [
        ("192.0.2.1", None),
        ("2001:db8::1", None),
        ("127.0.0.1", "5.4.4"),
        ("10.1.2.3", None),
        ("198.51.100.9", "5.4.6"),
    ],
)
def test_an_address_literal_goes_straight_there_if_it_may(address, enhanced):
    reach = Reach(own={"198.51.100.9"}, allowed=(ip_network("10.0.0.0/8"),))
    decision = decide_literal(address, reach)
    if enhanced is None:
        assert decision == (Target(address, (address,)),)
    else:
        assert isinstance(decision, Failed) and decision.reply.enhanced == enhanced
