"""What is larger than all next hops take is refused; what is not known, is not."""

from __future__ import annotations

from pathlib import Path

from mercury_s.reach import Reach
from shared.mail.address import parse_address
from shared.mail.envelope import Recipient
from shared.routing.next_hop import NextHop
from shared.routing.site import Delivery, Site
from shared.routing.table import RouteRule, RoutingTable
from shared.state.hop_book import BELIEVED, HopPage, render_book, write_book

ONE, TWO, VIA = (NextHop(f"{name}.example", 587) for name in ("one", "two", "via"))
TABLE = RoutingTable(
    "mail.hq.example",
    frozenset({"hq.example"}),
    {"hq": Site("hq", (), Delivery.RELAY, (ONE, TWO)), "branch": Site("branch", (), Delivery.DIRECT)},
    "hq",
    (RouteRule(("inner.example",), via=VIA),),
)
OUT, IN, HERE = (parse_address(f"x@{domain}") for domain in ("far.example", "inner.example", "hq.example"))


class Clock:
    def __init__(self) -> None:
        self.time = 1e9

    def __call__(self) -> float:
        return self.time


def learn(folder: Path, clock: Clock, **sizes: int) -> None:
    pages = {f"{name}.example:587": HopPage(size, heard=clock.time) for name, size in sizes.items()}
    write_book(folder, render_book(pages, clock.time))
    clock.time += 2


def test_only_what_none_of_the_hops_takes_is_refused(tmp_path: Path) -> None:
    clock = Clock()
    reach = Reach(tmp_path, TABLE, clock, clock)
    assert reach.object_to(OUT, "hq", 10**9) is None, "nothing is known"
    learn(tmp_path, clock, one=1000)
    assert reach.object_to(OUT, "hq", 5000) is None, "two may take it"
    learn(tmp_path, clock, one=1000, two=2000, via=500)
    assert reach.object_to(OUT, "hq", 2000) is None
    refusal = reach.object_to(OUT, "", 2001)
    assert refusal is not None and refusal.reply.code == 552 and refusal.reply.enhanced == "5.3.4"
    assert "far.example takes 2000" in refusal.reply.text
    assert reach.object_to(IN, "branch", 501) is not None
    assert reach.object_to(OUT, "branch", 10**9) is None and reach.object_to(HERE, "hq", 10**9) is None


def test_a_message_that_somebody_can_get_is_taken(tmp_path: Path) -> None:
    clock = Clock()
    reach = Reach(tmp_path, TABLE, clock, clock)
    learn(tmp_path, clock, one=1000, two=2000, via=500)
    out, inner = Recipient(OUT), Recipient(IN)
    assert reach.object_to_all([out, inner], "hq", 1500) is None
    assert reach.object_to_all([out, inner], "hq", 2500) is not None


def test_what_was_heard_long_ago_or_is_gone_is_not_believed(tmp_path: Path) -> None:
    clock = Clock()
    reach = Reach(tmp_path, TABLE, clock, clock)
    learn(tmp_path, clock, one=1000, two=1000)
    assert reach.object_to(OUT, "hq", 1001) is not None
    clock.time += BELIEVED + 1
    assert Reach(tmp_path, TABLE, clock, clock).object_to(OUT, "hq", 1001) is None
    (tmp_path / "next-hops.json").unlink()
    assert reach.object_to(OUT, "hq", 1001) is None
