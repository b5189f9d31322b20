"""A failure shows what the machine's journal says last."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from booted.machine import Machine


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.when == "call" and report.failed:
        for machine in {id(one): one for one in getattr(item, "funcargs", {}).values()}.values():
            if isinstance(machine, Machine):
                report.sections.append(
                    ("journal", machine.say("journalctl", "--no-pager", "-n", "60", "-o", "short"))
                )
