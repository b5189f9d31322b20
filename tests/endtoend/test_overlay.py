"""Two offices with one file: their mail for each other goes straight there, by pinned keys, with the relay down."""

from __future__ import annotations

from pathlib import Path

import pytest
from certificate import self_signed
from clients import send
from deadline import eventually, stays
from mailsite import NOBODY, Site
from setting import Stage

DOMAINS = {"hq": "hq.example", "branch": "branch.example"}
WRONG = "pAJ4Cn0xPDGzBTsQZ9P3ajUZPSmaLt8IclVQSbcVHbs="


@pytest.fixture
def offices(stage: Stage, tmp_path: Path) -> dict[str, Site]:
    """Nothing is started; each has the mailbox anna, a certificate, and a smarthost that is down."""
    offices = {}
    for name, domain in DOMAINS.items():
        (tmp_path / name).mkdir()
        office = offices[name] = stage.site(tmp_path / name)
        certificate, key = self_signed(office.root, f"mail.{domain}")
        office.config.update(
            {"hostname": f"mail.{domain}", "site": name, "tls": {"certificate": str(certificate), "key": str(key)}}
        )
        office.config["local"]["domains"] = [domain]
    share(offices, dict.fromkeys(DOMAINS, WRONG))
    for name, office in offices.items():
        office.add_users(f"anna@{DOMAINS[name]}")
    share(offices, {name: office.mercury("site", "pin").stdout.split()[0] for name, office in offices.items()})
    return offices


def share(offices: dict[str, Site], pins: dict[str, str]) -> None:
    """The same `sites` in the files of both."""
    sites = {
        name: {
            "networks": [f"127.0.0.{number}/32"],
            "delivery": "relay",
            "smarthosts": [{"host": NOBODY[0], "port": NOBODY[1], "tls": "off"}],
            "overlay": {"domains": [DOMAINS[name]], "host": "127.0.0.1", "port": office.port, "pins": [pins[name]]},
        }
        for number, (name, office) in enumerate(offices.items(), start=1)
    }
    for office in offices.values():
        office.config["sites"] = sites
        office.write_config()


def test_offices_reach_each_other_while_the_relay_is_down(offices: dict[str, Site]) -> None:
    hq, branch = offices["hq"], offices["branch"]
    hq.start("sc")
    branch.start("sc")
    for office, here, there in ((hq, "hq", "branch"), (branch, "branch", "hq")):
        to = [f"anna@{DOMAINS[there]}", "x@elsewhere.example"]
        send(office.port, f"anna@{DOMAINS[here]}", to, f"Subject: token-{there}-.\r\n\r\n".encode())
    for office, name in ((hq, "hq"), (branch, "branch")):
        [letter] = eventually(lambda: office.mailbox("anna", DOMAINS[name]), what=f"the letter at {name}")  # noqa: B023
        assert f"token-{name}-.".encode() in letter and b"with ESMTPS" in letter
        assert len(office.entries("relay")) == 1
        said = office.mercury("route", f"anna@{DOMAINS['branch' if name == 'hq' else 'hq']}").stdout
        assert "is a domain of site" in said and "TLS pin" in said


def test_another_key_gets_nothing_and_the_letter_waits(offices: dict[str, Site]) -> None:
    hq, branch = offices["hq"], offices["branch"]
    share(offices, {"hq": WRONG, "branch": WRONG})
    hq.start("sc")
    branch.start("s")
    send(hq.port, "anna@hq.example", ["anna@branch.example"], b"Subject: token-wrong-.\r\n\r\n")
    eventually(lambda: "its key is none of those it is known by" in hq.logs(), what="the reason in the log")
    stays(lambda: not branch.mailbox("anna", "branch.example") and len(hq.entries("relay")) == 1, 0.5)
    assert "message-accepted" not in branch.logs()
