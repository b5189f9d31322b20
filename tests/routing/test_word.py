"""What a site's words come to: the operator's before the configuration's, and `auto` by what is known of port 25."""

from __future__ import annotations

import pytest

from shared.routing.site import Delivery, SiteWord
from shared.routing.word import Detour, Order, WordInForce, word_in_force

DETOUR = Detour(100.0, "port 25 is blocked here")


@pytest.mark.parametrize("word", [SiteWord.RELAY, SiteWord.DIRECT, SiteWord.HOLD])
def test_a_plain_word_is_itself_whatever_port_25_does(word: SiteWord) -> None:
    assert word_in_force(word, None, DETOUR) == WordInForce(Delivery(word.value))


def test_auto_is_direct_until_the_port_is_blocked() -> None:
    assert word_in_force(SiteWord.AUTO, None, None) == WordInForce(Delivery.DIRECT, "auto")
    assert word_in_force(SiteWord.AUTO, None, DETOUR) == WordInForce(Delivery.RELAY, "auto: port 25 is blocked here")


@pytest.mark.parametrize("configured", list(SiteWord))
@pytest.mark.parametrize("ordered", [SiteWord.RELAY, SiteWord.DIRECT, SiteWord.HOLD])
def test_the_operator_comes_first(configured: SiteWord, ordered: SiteWord) -> None:
    order = Order(ordered, 50.0, 150.0, "repair", "root")
    assert word_in_force(configured, order, DETOUR) == WordInForce(Delivery(ordered.value), "set by hand: repair")


def test_the_operator_may_say_auto_of_a_site_that_is_not() -> None:
    order = Order(SiteWord.AUTO, 50.0)
    assert word_in_force(SiteWord.RELAY, order, None).delivery is Delivery.DIRECT
    assert word_in_force(SiteWord.DIRECT, order, DETOUR).delivery is Delivery.RELAY


def test_an_order_is_over_at_its_end_and_not_before() -> None:
    assert not Order(SiteWord.HOLD, 0.0, 100.0).is_over(99.9)
    assert Order(SiteWord.HOLD, 0.0, 100.0).is_over(100.0)
    assert not Order(SiteWord.HOLD, 0.0).is_over(1e12)
