"""Where a message goes that somebody may already have."""

from __future__ import annotations

from shared.delivery.same_host import hosts_that_may_have_it, same_host_first
from shared.delivery.settlement import MAYBE_DELIVERED
from shared.mail.address import parse_address
from shared.mail.envelope import Recipient
from shared.routing.leg import Leg
from shared.routing.next_hop import NextHop
from shared.spool.trail import DEFERRED, TrailRecord

FIRST, SECOND = NextHop("a.example", 587), NextHop("b.example", 587)
THERE = NextHop("192.0.2.9", 25)
LISTED = NextHop("mx.example", 25, addresses=("192.0.2.1", "192.0.2.2"))
LEG = Leg("relay hq", (Recipient(parse_address("x@y.example")),), (FIRST, SECOND, THERE, LISTED))


def hops(*hosts: str) -> tuple[NextHop, ...]:
    return same_host_first(LEG, hosts).hops


def test_the_host_that_may_have_it_comes_first_by_the_address_it_had() -> None:
    exactly = NextHop("b.example", 587, addresses=("192.0.2.7",))
    assert hops("b.example[192.0.2.7]:587") == (exactly, SECOND, FIRST, THERE, LISTED)
    assert hops("192.0.2.9[192.0.2.9]:25") == (THERE, FIRST, SECOND, LISTED)
    first, *others = hops("mx.example[192.0.2.2]:25")
    assert first.addresses == ("192.0.2.2", "192.0.2.1") and others == [FIRST, SECOND, THERE]
    assert hops("mx.example[192.0.2.77]:25")[0] == LISTED


def test_who_is_no_hop_any_more_is_not_asked() -> None:
    assert hops("b.example[192.0.2.7]:25", "c.example[192.0.2.7]:587", "unix:/run/x", "") == LEG.hops
    assert hops("gone.example[192.0.2.7]:25", "mx.example[192.0.2.1]:25")[0] == LISTED


def test_the_trail_says_who_the_last_one_first() -> None:
    def record(host: str, detail: str) -> TrailRecord:
        return TrailRecord(0.0, "c", DEFERRED, "x@y.example", "451 4.4.2 lost", host, detail)

    maybe = f"{MAYBE_DELIVERED}; the connection broke"
    records = [record("a", maybe), record("b", ""), record("c", maybe), record("", maybe), record("a", maybe)]
    assert hosts_that_may_have_it(records) == ["a", "c"]
