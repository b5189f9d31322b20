"""When `mercury site set --for` ends: every daemon looks at that moment, and no later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.config.load import parse
from shared.routing.site import Delivery, SiteWord
from shared.routing.word import Order
from shared.service.site_words import LOOK_EVERY, SiteWords
from shared.state.site_words import change_orders

CONFIG = "hostname: mail.hq.example\nsite: hq\nlocal: {domains: [hq.example]}\nsites: {hq: {delivery: direct}}\n"


class Loop:
    """Timers that run when the test says so; `pauses` are those that were asked for."""

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self.due: Callable[[], object] = lambda: None

    def call_later(self, pause: float, look: Callable[[], object]) -> None:
        self.pauses.append(pause)
        self.due = look


@pytest.mark.parametrize(("left", "pauses"), [(0.25, [0.25, LOOK_EVERY]), (90.0, [LOOK_EVERY, LOOK_EVERY])])
def test_the_end_of_an_order_is_met_by_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: float, pauses: list[float]
) -> None:
    now, loop = [1_000.0], Loop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
    config = parse(CONFIG + f"spool: {tmp_path}\n", tmp_path / "mercury.yaml")
    order = Order(SiteWord.HOLD, 0.0, now[0] + left)
    change_orders(tmp_path, lambda orders: orders.update(hq=order), now[0])
    words = SiteWords(tmp_path, lambda: now[0])
    tables = [words.table(config)]
    words.follow(lambda: tables.append(words.table(config)))
    now[0] += loop.pauses[0]
    loop.due()
    assert loop.pauses == pauses
    found = [table.sites["hq"].delivery for table in tables]
    assert found == ([Delivery.HOLD, Delivery.DIRECT] if left < LOOK_EVERY else [Delivery.HOLD])
