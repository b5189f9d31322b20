"""Spools that earlier versions have left behind (tests/spools): each entry is claimed, understood, and delivered to whom it
was still to go."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deadline import eventually
from mailsite import Site
from peers import FarEnd, NameServer
from process import free_port
from setting import Stage

from shared.routing.lane import Lane
from shared.spool.lane import LaneFolder
from shared.spool.owner import Owner
from shared.spool.spool import Spool

KEPT = Path(__file__).resolve().parents[1] / "spools"
VERSIONS = sorted(path.name for path in KEPT.iterdir() if (path / "expected.json").is_file())


def take_out(version: str, spool: Path) -> list[dict[str, Any]]:
    """The spool as it was, all of it due now; what is expected of its entries."""
    shutil.copytree(KEPT / version / "spool", spool)
    spool.chmod(0o700)
    for lane in spool.glob(".[a-z]*"):
        for part in ("tmp", "new", "cur", "trail"):
            (lane / part).mkdir(exist_ok=True)  #  git keeps no empty folder
    for path in spool.glob(".*/*/*"):
        os.utime(path)
    expected: list[dict[str, Any]] = json.loads((KEPT / version / "expected.json").read_text())
    return expected


def test_there_is_one_of_this_version() -> None:
    from shared import __version__

    assert __version__ in VERSIONS, "write it: tests/spools/write.py"


@pytest.mark.parametrize("version", VERSIONS)
def test_every_entry_is_claimed_and_understood(version: str, tmp_path: Path) -> None:
    expected = take_out(version, tmp_path / "spool")
    said: list[tuple[str, object]] = []
    spool = Spool(tmp_path / "spool", "mail.hq.example", lambda event, **fields: said.append((event, fields)))
    spool.prepare()
    owner = Owner(spool, "mercury-t", lambda: 0.0)
    owner.begin()
    found: dict[str, set[str]] = {}
    for lane in Lane:
        folder = LaneFolder(spool, lane, owner)
        folder.adopt()
        for name, _ in list(folder.scan()):
            claim = folder.claim(name)
            assert claim is not None, f"{name}: {said}"
            [line] = [line for line in claim.content.head().splitlines() if line.startswith(b"Subject: ")]
            found[line[9:].decode()] = {str(recipient.address) for recipient in claim.unfinished}
    assert found == {entry["token"]: set(entry["to"]) for entry in expected}
    assert not list((tmp_path / "spool/corrupt").iterdir())


@pytest.mark.parametrize("version", VERSIONS)
def test_every_entry_is_delivered(
    version: str,
    tmp_path: Path,
    stage: Stage,
    far_end: FarEnd,
    name_server: Callable[[dict[str, str]], NameServer],
) -> None:
    site: Site = stage.site(tmp_path)
    smarthost = FarEnd(tmp_path / "smarthost", free_port("127.0.0.1"))
    stage.peer(smarthost)
    names = name_server({"partner.example": "@ MX 10 mx1\nmx1 A 127.0.0.21\n"})
    site.relay_to(smarthost.hop)
    site.config["dns"] = {"servers": [f"127.0.0.1:{names.port}"]}
    site.config["direct"] = {"port": far_end.port, "allow_addresses": ["127.0.0.0/8"]}
    site.config["routes"] = [{"to": ["partner.example"], "deliver": "direct"}]
    site.write_config()
    site.add_users("anna", "bert", "jürgen")
    expected = take_out(version, tmp_path / "spool")
    for heartbeat in (tmp_path / "spool/owners").iterdir():
        heartbeat.unlink()  #  of another host, by its name: else its claims are respected for a minute
    for verb in ("release", "undelete"):
        done = site.mercury("queue", verb, "--all", "--yes", "--reason", "of an earlier version")
        assert done.returncode == 0, done.stdout + done.stderr
    site.start()
    eventually(site.is_empty, 60, "everything is delivered")
    for entry in expected:
        arrived = []
        for recipient in entry["to"]:
            user, _, domain = recipient.partition("@")
            if domain == "hq.example":
                arrived += [recipient for message in site.mailbox(user) if _is_of(entry["token"], message)]
        for far in (smarthost, far_end):
            arrived += [
                to for kept in far.kept() if _is_of(entry["token"], kept.content) for to in kept.facts["recipients"]
            ]
        assert sorted(arrived) == sorted(entry["to"]), entry["token"]
    assert not site.events("message-bounced") and not list((tmp_path / "spool/corrupt").iterdir())


def _is_of(token: str, message: bytes) -> bool:
    return f"Subject: {token}".encode() in message.splitlines()
