"""Fixtures of the end-to-end tests: a site that is torn down with its daemons ended as they should end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mailsite import Site
from peers import FarEnd, NameServer
from process import free_port
from setting import FAR_ADDRESSES, Stage

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A dozen processes on a machine that does other things, too, can miss a deadline: one that fails has a second
    try, and both are told (`R` in the summary). What fails twice is a fault, and so is what often needs two."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.endtoend)
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A failure shows the daemons' logs of the sites it used."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.when == "call" and report.failed:
        for value in getattr(item, "funcargs", {}).values():
            site = value if isinstance(value, Site) else getattr(value, "site", None)
            if isinstance(site, Site):
                report.sections.append(("daemons", site.recent_logs()))


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.clear()


@pytest.fixture(scope="module")
def module_stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.clear()


@pytest.fixture
def site(stage: Stage, tmp_path: Path) -> Site:
    """A site with nothing started and the mailboxes anna and bert."""
    site = stage.site(tmp_path)
    site.write_config()
    site.add_users("anna", "bert")
    return site


@pytest.fixture
def far_end(stage: Stage, tmp_path: Path) -> FarEnd:
    """An aiosmtpd that runs."""
    far_end = FarEnd(tmp_path, free_port(*FAR_ADDRESSES), FAR_ADDRESSES)
    stage.peer(far_end)
    return far_end


@pytest.fixture
def name_server(stage: Stage, tmp_path: Path) -> Callable[[dict[str, str]], NameServer]:
    def start(zones: dict[str, str]) -> NameServer:
        server = NameServer(tmp_path, free_port("127.0.0.1"), zones)
        stage.peer(server)
        return server

    return start
