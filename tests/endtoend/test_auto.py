"""The word of a site as live state: by hand for a while, and by itself when port 25 is blocked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import network
import pytest
from clients import send
from deadline import eventually, stays
from mailsite import Site
from peers import FarEnd, NameServer
from process import free_port
from setting import FAR_ADDRESSES, Stage

SENDER = "bert@hq.example"
ZONES = {"partner.example": "@ MX 10 mx\nmx A 127.0.0.21\n"}


@pytest.fixture
def lonely_network() -> Iterator[None]:
    """Before the stage, so that its daemons and peers live in it."""
    if reason := network.why_not():
        pytest.skip(reason)
    with network.own_network():
        yield


def shown(site: Site) -> dict[str, Any]:
    done = site.mercury("site", "show", "hq", "--json")
    assert done.returncode == 0, done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def words(site: Site) -> dict[str, str]:
    """The word that each daemon told of last; from their events, as a log may be long and the command takes its time."""
    told = sorted(site.events("site-word-changed"), key=lambda event: float(event["at"]))
    return {"mercury-s": "", "mercury-c": "", "mercury-e": ""} | {event["daemon"]: event["word"] for event in told}


def follow(site: Site, word: str, daemons: str = "sce") -> None:
    """Wait until these daemons have told of that word."""
    names = [f"mercury-{letter}" for letter in daemons]
    eventually(lambda: all(words(site)[name] == word for name in names), what=f"{word}: {', '.join(names)} follow")


def say(site: Site, *words: str) -> None:
    done = site.mercury("site", "set", "hq", *words)
    assert done.returncode == 0, done.stdout + done.stderr


def letter(site: Site, token: str) -> None:
    send(site.port, SENDER, ["x@partner.example"], f"Subject: {token}\r\n\r\n".encode())


def on_auto(site: Site, smarthost: FarEnd, port: int, name_server: int, hosts: list[str]) -> None:
    site.relay_to(smarthost.hop)
    site.here["delivery"] = "auto"
    site.config["dns"] = {"servers": [f"127.0.0.1:{name_server}"]}
    site.config["direct"] = {"port": port, "allow_addresses": ["127.0.0.0/8"]}
    site.config["auto"] = {
        "hosts": hosts, "every": "500ms", "again": "200ms", "timeout": "300ms", "bad_rounds": 3, "good_rounds": 2, "stay": "1s",
    }  # fmt: skip
    site.write_config()


def test_a_word_by_hand_moves_queued_mail_and_ends_by_itself(site: Site, far_end: FarEnd) -> None:
    site.relay_to(far_end.hop)
    site.write_config()
    site.start("sc")
    say(site, "hold", "--reason", "the line is being repaired")
    follow(site, "hold", "s")
    letter(site, "token-held-.")
    eventually(lambda: len(site.entries("hold")) == 1, what="the letter is held")
    assert shown(site)["delivery"] == "hold"
    assert "the line is being repaired" in site.mercury("route", "x@partner.example").stdout
    site.stop("sc")
    site.start("sc")
    stays(lambda: len(site.entries("hold")) == 1 and far_end.count() == 0, 1, "it holds over a restart")
    say(site, "hold", "--for", "1s")
    #  Who looks at the word a moment later may send it back once; the next look at what is held puts that right.
    eventually(lambda: far_end.find("token-held-."), 60, "arrival when the time is over")
    facts = shown(site)
    assert facts["order"] is None and facts["delivery"] == "relay"


def test_what_cannot_be_said_is_refused_with_a_reason(site: Site) -> None:
    del site.here["smarthosts"]
    site.here["delivery"] = "direct"
    site.write_config()
    for words, why in (
        (("hq", "relay"), "nobody to relay to"),
        (("hq", "fax"), "fax"),
        (("lab", "hold"), "there is no site 'lab'"),
        (("hq", "hold", "--for", "soon"), "is no duration"),
        (("hq", "configured", "--for", "1h"), "--for goes with"),
    ):
        done = site.mercury("site", "set", *words)
        assert done.returncode == 2 and why in done.stderr, done.stderr


def test_a_site_on_auto_takes_the_relay_while_nobody_can_be_reached(
    site: Site, stage: Stage, tmp_path: Path, name_server: Callable[[dict[str, str]], NameServer]
) -> None:
    """Refusals are as good a sign as silence; all of the way, with the queue and one notice."""
    smarthost = FarEnd(tmp_path, free_port("127.0.0.1"))
    stage.peer(smarthost)
    port = free_port(*FAR_ADDRESSES)
    on_auto(site, smarthost, port, name_server(ZONES).port, [f"{address}:{port}" for address in FAR_ADDRESSES])
    site.start("se")
    letter(site, "token-blocked-.")
    eventually(lambda: site.entries("relay"), what="the queued letter in the relay lane")
    site.start("c")
    eventually(lambda: smarthost.find("token-blocked-."), what="arrival by the smarthost")
    facts = shown(site)
    assert facts["delivery"] == "relay" and "port 25 is blocked here" in facts["why"]
    assert [knock["finding"] for knock in facts["port_25"]["knocks"]] == ["refused", "refused"]
    far_end = FarEnd(tmp_path, port, FAR_ADDRESSES)
    stage.peer(far_end)
    follow(site, "direct")
    assert shown(site)["delivery"] == "direct"
    letter(site, "token-open-.")
    eventually(lambda: far_end.find("token-open-."), what="arrival at the destination itself")
    [notice] = eventually(lambda: site.mailbox("anna"), what="the notice to the postmaster")
    assert b"Subject: Port 25 is blocked: site hq relays" in notice and b"127.0.0.21" in notice


def test_what_waits_for_the_relay_goes_directly_when_the_port_opens(
    site: Site, stage: Stage, tmp_path: Path, name_server: Callable[[dict[str, str]], NameServer]
) -> None:
    """The smarthost takes connections and no mail, for an hour; two workers receive, and both follow."""
    smarthost = FarEnd(tmp_path, free_port("127.0.0.1"), ("127.0.0.1",), "--greylist", "451 4.3.2 busy")
    stage.peer(smarthost)
    port = free_port(*FAR_ADDRESSES)
    on_auto(site, smarthost, port, name_server(ZONES).port, [f"{address}:{port}" for address in FAR_ADDRESSES])
    #  Closed ports refuse at once; open ones may take their time on a busy machine without being taken for blocked.
    site.config["auto"]["timeout"] = "5s"
    site.config["retry"] = {"first": "1h", "longest": "1h"}
    site.config["receive"]["workers"] = 2
    site.write_config()
    site.start("sce")
    #  A worker that begins after the block was found has no change to tell of; who follows too late is put right.
    eventually(lambda: site.events("port-25-blocked"), what="the block is found")
    letter(site, "token-waits-.")
    eventually(
        lambda: [event for event in site.events("recipient-deferred") if event["lane"] == "relay"],
        what="the smarthost puts it off",
    )
    eventually(lambda: len(site.entries("relay")) == 1, what="it waits for the relay")
    far_end = FarEnd(tmp_path, port, FAR_ADDRESSES)
    stage.peer(far_end)
    eventually(lambda: far_end.find("token-waits-."), what="arrival at the destination itself")
    eventually(site.is_empty, what="nothing is left")
    for number in range(6):
        letter(site, f"token-{number}-open-.")
    eventually(lambda: far_end.count() == 7, what="whichever worker took it, it goes directly")
    assert smarthost.count() == 0


def test_one_host_that_is_down_changes_nothing(
    site: Site, stage: Stage, tmp_path: Path, name_server: Callable[[dict[str, str]], NameServer]
) -> None:
    smarthost = FarEnd(tmp_path, free_port("127.0.0.1"))
    stage.peer(smarthost)
    port = free_port(*FAR_ADDRESSES)
    stage.peer(FarEnd(tmp_path, port, FAR_ADDRESSES[1:]))
    on_auto(site, smarthost, port, name_server(ZONES).port, [f"{address}:{port}" for address in FAR_ADDRESSES])
    site.start("sce")
    letter(site, "token-down-.")
    eventually(lambda: len(site.events("port-25-knocked")) >= 5, what="five rounds")
    assert set(words(site).values()) == {""} and shown(site)["delivery"] == "direct" and smarthost.count() == 0
    assert len(site.entries("direct")) == 1


def test_a_real_packet_filter_on_port_25(lonely_network: None, stage: Stage, tmp_path: Path) -> None:
    """Port 25 itself, whose packets vanish; the same hosts answer before and after."""
    stage.peer(FarEnd(tmp_path, 25, FAR_ADDRESSES))
    smarthost = FarEnd(tmp_path, 2525)
    stage.peer(smarthost)
    server = NameServer(tmp_path, 5300, ZONES)
    stage.peer(server)
    site = stage.site(tmp_path)
    on_auto(site, smarthost, 25, 5300, list(FAR_ADDRESSES))
    site.add_users("anna", "bert")
    site.start("sce")
    direct = FarEnd(tmp_path, 25, FAR_ADDRESSES)
    letter(site, "token-before-.")
    eventually(lambda: direct.find("token-before-."), what="arrival at the destination itself")
    network.block(25)
    follow(site, "relay")
    letter(site, "token-while-.")
    eventually(lambda: smarthost.find("token-while-."), what="arrival by the smarthost")
    assert {knock["finding"] for knock in shown(site)["port_25"]["knocks"]} == {"silent"}
    network.unblock()
    follow(site, "direct")
    assert shown(site)["delivery"] == "direct"
    letter(site, "token-after-.")
    eventually(lambda: direct.find("token-after-."), what="arrival at the destination itself")
    assert len(eventually(lambda: site.mailbox("anna"), what="the notice")) == 1
