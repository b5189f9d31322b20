"""Fixtures of the end-to-end tests: a site that is torn down with its daemons ended as they should end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mailsite import Site
from peers import FarEnd, NameServer, SmtpSink
from process import free_port

HERE = Path(__file__).parent
FAR_ADDRESSES = ("127.0.0.21", "127.0.0.22")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.endtoend)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A failure shows the daemons' logs of the sites it used."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.when == "call" and report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, Site):
                report.sections.append(("daemons", value.logs()))


class Stage:
    """What a test has started; `clear` ends it, sites before the peers they talk to."""

    def __init__(self) -> None:
        self._sites: list[Site] = []
        self._peers: list[FarEnd | SmtpSink | NameServer] = []

    def site(self, root: Path) -> Site:
        site = Site(root)
        self._sites.append(site)
        return site

    def peer(self, peer: FarEnd | SmtpSink | NameServer) -> None:
        self._peers.append(peer)
        peer.start()

    def clear(self) -> None:
        try:
            for site in self._sites:
                site.stop()
                assert "Traceback (most recent call last)" not in site.logs(), site.logs()
        finally:
            for site in self._sites:
                site.kill("".join(site.daemons))
            for peer in self._peers:
                peer.stop()


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
