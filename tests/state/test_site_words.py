"""Orders and findings on disk: what was said is read again, two operators do not undo each other, damage is said."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.routing.site import SiteWord
from shared.routing.word import Order
from shared.state.site_words import ORDERS, UnreadableWords, change_orders, read_detours, read_orders, write_port_25


def test_an_order_is_read_as_it_was_given_until_it_is_over(tmp_path: Path) -> None:
    order = Order(SiteWord.HOLD, 100.0, 200.0, "repair \x1b é", "root")
    change_orders(tmp_path, lambda orders: orders.update(hq=order), 100.0)
    assert read_orders(tmp_path, 199.9) == {"hq": order}
    assert read_orders(tmp_path, 200.0) == {}


def test_nothing_said_is_nothing(tmp_path: Path) -> None:
    assert read_orders(tmp_path, 0.0) == {} and read_detours(tmp_path) == {}


def test_operators_at_the_same_time_all_count(tmp_path: Path) -> None:
    def say(number: int) -> None:
        change_orders(tmp_path, lambda orders: orders.update({f"s{number}": Order(SiteWord.RELAY, 1.0)}), 1.0)

    with ThreadPoolExecutor(8) as together:
        list(together.map(say, range(40)))
    assert len(read_orders(tmp_path, 1.0)) == 40
    assert [path.name for path in tmp_path.iterdir()] == [ORDERS]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"sites": 1}', '{"sites": {"hq": {"word": "fax"}}}', '{"sites": {"hq": 1}}']
)
def test_a_damaged_file_says_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / ORDERS).write_text(text)
    with pytest.raises(UnreadableWords, match="remove it"):
        read_orders(tmp_path, 0.0)


@pytest.mark.parametrize(("spool", "file"), [(0o2770, 0o660), (0o700, 0o600)])
def test_all_accounts_that_share_the_spool_can_read_it_and_nobody_else(tmp_path: Path, spool: int, file: int) -> None:
    tmp_path.chmod(spool)
    change_orders(tmp_path, lambda orders: orders.update(hq=Order(SiteWord.HOLD, 1.0)), 1.0)
    assert (tmp_path / ORDERS).stat().st_mode & 0o777 == file


def test_only_sites_that_relay_are_on_a_detour(tmp_path: Path) -> None:
    sites = {
        "hq": {"is_relaying": True, "since": 5.0, "reason": "r"},
        "lab": {"is_relaying": False, "since": 0, "reason": "r"},
    }
    write_port_25(tmp_path, {"sites": sites})
    assert list(read_detours(tmp_path)) == ["hq"]
