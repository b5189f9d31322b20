"""The mailroom: local delivery as the configuration has it, and connections that outlive a reload."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from twisted.internet.testing import MemoryReactorClock

import shared
from mercury_s.accounts import People
from mercury_s.auth.failures import Failures
from mercury_s.mailroom import Mailroom
from shared.config.load import parse
from shared.config.model import Config
from shared.config.routing import routing_table
from shared.mail.envelope import Envelope
from shared.service.trouble import StartTrouble


def config(root: Path, local: str = "") -> Config:
    text = f"state: {root}/state\nlocal: {{domains: [hq.example], {local}}}\nsites: {{hq: {{networks: [192.0.2.0/24], delivery: hold}}}}"
    return parse(text, root / "mercury.yaml", lambda: "mail.hq.example")


def people(of: Config) -> People:
    with ThreadPoolExecutor(1) as executor:
        return People(of, executor, Failures(lambda: 0.0))


def mailroom(of: Config) -> Mailroom:
    office = SimpleNamespace(
        committer=None, executor=None, depositor=None, judge=SimpleNamespace(table=routing_table(of), letters=None)
    )
    return Mailroom(office, MemoryReactorClock())  # type: ignore[arg-type]


def test_connections_outlive_a_reload_that_is_about_something_else(tmp_path: Path) -> None:
    async def run() -> None:
        room = mailroom(config(tmp_path))
        made = [
            room.carrier(one, people(one))._lmtp
            for one in (
                config(tmp_path),
                config(tmp_path, "lmtp: 'unix:/a'"),
                config(tmp_path, "lmtp: 'unix:/a', srs: true"),
                config(tmp_path, "lmtp: 'unix:/b'"),
                config(tmp_path),
            )
        ]
        assert made[0] is None and made[4] is None
        servers = [one._carrier for one in made[1:4] if one is not None]
        assert servers[0] is servers[1] and servers[1] is not servers[2]
        assert len(room._retired) == 2
        await room.close()

    asyncio.run(run())


def test_a_daemon_from_before_an_upgrade_does_not_begin_with_lmtp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had not loaded yet would be of another program than what runs."""
    room = mailroom(config(tmp_path))
    with_lmtp = config(tmp_path, "lmtp: 'unix:/a'")
    room.prepare(with_lmtp)
    (tmp_path / "__init__.py").write_text("the next version\n")
    monkeypatch.setattr(shared, "__file__", str(tmp_path / "__init__.py"))
    room.prepare(config(tmp_path))
    with pytest.raises(StartTrouble, match=r"'local.lmtp': Mercury was upgraded .* restart it"):
        room.prepare(with_lmtp)


@pytest.mark.parametrize(
    ("client", "login", "expected"),
    [("192.0.2.7 pc", "", True), ("198.51.100.1 x", "", False), ("198.51.100.1 x", "anna", True), ("", "", True)],
)
def test_who_is_of_the_house(tmp_path: Path, client: str, login: str, expected: bool) -> None:
    room = mailroom(config(tmp_path))
    assert room._is_inside(Envelope("X", None, (), 0.0, site="hq", client=client, login=login)) is expected


def test_people_have_what_the_configuration_says(tmp_path: Path) -> None:
    plain = people(config(tmp_path))
    assert plain.srs is None and plain.quotas is not None
    lmtp = people(config(tmp_path, "lmtp: 'unix:/a'"))
    assert lmtp.quotas is None and lmtp.reception is None
    quiet = people(config(tmp_path, "quota: {at_rcpt: false}"))
    assert quiet.quotas is not None and quiet.reception is None
    with_srs = people(config(tmp_path, "srs: true"))
    assert with_srs.srs is not None and with_srs.srs.domain == "hq.example"
    assert (tmp_path / "state/srs.key").exists()


def test_a_key_that_others_can_read_stops_the_start(tmp_path: Path) -> None:
    people(config(tmp_path, "srs: true"))
    (tmp_path / "state/srs.key").chmod(0o644)
    with pytest.raises(StartTrouble, match="0600"):
        people(config(tmp_path, "srs: true"))
