"""Real clients, three routes, independent far ends: all arrives byte for byte, but for our trace fields."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from clients import Raw, send, send_by_curl, send_by_swaks
from deadline import eventually
from mailsite import Site
from peers import FarEnd, Kept, NameServer, SmtpSink, smtp_source
from process import free_port
from samples import SMALL, Sample, attachment, without_trace
from setting import FAR_ADDRESSES, Stage

DOMAINS = {"local": "hq.example", "relay": "elsewhere.example", "direct": "partner.example"}
ZONE = """@ MX 10 mx1
@ MX 20 mx2
mx1 A 127.0.0.21
mx2 A 127.0.0.22
only A 127.0.0.22
both MX 10 mx2.{zone}.
"""


@dataclass(frozen=True)
class House:
    """The site with everything around it, for the tests of this module."""

    site: Site
    smarthost: FarEnd
    mx: FarEnd
    sink: SmtpSink


@pytest.fixture(scope="module")
def house(module_stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    root = tmp_path_factory.mktemp("house")
    site = module_stage.site(root)
    smarthost = FarEnd(root, free_port("127.0.0.1"))
    mx = FarEnd(root, free_port(*FAR_ADDRESSES), FAR_ADDRESSES)
    sink = SmtpSink(root, free_port("127.0.0.1"))
    zones = {name: ZONE.format(zone=name) for name in ("partner.example",)}
    names = NameServer(root, free_port("127.0.0.1"), zones)
    for peer in (smarthost, mx, sink, names):
        module_stage.peer(peer)
    site.relay_to(smarthost.hop)
    site.config["dns"] = {"servers": [f"127.0.0.1:{names.port}"]}
    site.config["direct"] = {"port": mx.port, "allow_addresses": ["127.0.0.0/8"]}
    site.config["routes"] = [
        {"to": ["partner.example", "*.partner.example"], "deliver": "direct"},
        {"to": ["sunk.example"], "via": {"host": sink.hop[0], "port": sink.hop[1], "tls": "off"}},
    ]
    site.write_config()
    site.add_users("anna", "jürgen")
    site.start()
    yield House(site, smarthost, mx, sink)


def sent(house: House, sample: Sample, route: str) -> bytes:
    message = sample.message(route)
    send(house.site.port, sample.sender, [f"{sample.local_part}@{DOMAINS[route]}"], message, sample.options)
    return message


def one(found: list[Kept]) -> Kept:
    assert len(found) == 1, f"{len(found)} copies"
    return found[0]


@pytest.mark.parametrize("sample", SMALL, ids=lambda sample: sample.name)
def test_local_mail_arrives_as_it_was_sent(house: House, sample: Sample) -> None:
    message = sent(house, sample, "local")
    token = sample.token("local").encode()
    copy = eventually(
        lambda: next((m for m in house.site.mailbox(sample.local_part) if token in m), None), what="delivery"
    )
    assert copy.startswith(f"Return-Path: <{sample.sender}>\nDelivered-To: {sample.local_part}@hq.example\n".encode())
    body = without_trace(copy, b"Return-Path", b"Delivered-To", b"Received", end=b"\n")
    assert body == message.replace(b"\r\n", b"\n")


@pytest.mark.parametrize("sample", SMALL, ids=lambda sample: sample.name)
def test_relayed_mail_arrives_as_it_was_sent(house: House, sample: Sample) -> None:
    message = sent(house, sample, "relay")
    eventually(lambda: house.smarthost.find(sample.token("relay")), what="arrival at the smarthost")
    kept = one(house.smarthost.find(sample.token("relay")))
    assert without_trace(kept.content, b"Received") == message
    assert kept.facts["sender"] == sample.sender
    assert kept.facts["recipients"] == [f"{sample.local_part}@elsewhere.example"]
    assert "SMTPUTF8" not in sample.options or "SMTPUTF8" in kept.facts["options"]


@pytest.mark.parametrize("sample", SMALL, ids=lambda sample: sample.name)
def test_mail_goes_end_to_end_as_it_was_sent(house: House, sample: Sample) -> None:
    message = sent(house, sample, "direct")
    eventually(lambda: house.mx.find(sample.token("direct")), what="arrival at the MX")
    kept = one(house.mx.find(sample.token("direct")))
    assert without_trace(kept.content, b"Received") == message
    assert kept.facts["address"] == "127.0.0.21", "the better preference comes first"
    assert kept.facts["helo"] == "mail.hq.example"


@pytest.mark.parametrize("route", ["local", "relay", "direct"])
def test_thirty_megabytes_arrive_whole(house: House, route: str) -> None:
    sample = attachment(30 << 20)
    message = sent(house, sample, route)
    assert len(message) > 29 << 20
    if route == "local":
        token = sample.token(route).encode()
        copy = eventually(
            lambda: next((m for m in house.site.mailbox("anna") if token in m[:4096]), None), 40, "local delivery"
        )
        body = without_trace(copy, b"Return-Path", b"Delivered-To", b"Received", end=b"\n")
        assert body == message.replace(b"\r\n", b"\n")
        return
    far = house.smarthost if route == "relay" else house.mx
    eventually(lambda: far.find(sample.token(route)), 40, "arrival")
    assert without_trace(one(far.find(sample.token(route))).content, b"Received") == message


@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 20])
def test_chunks_are_put_together_as_they_came(house: House, size: int) -> None:
    """BDAT takes what DATA cannot: here a body without a line end, and dots that nobody has stuffed."""
    token = f"token-bdat-{size}-."
    message = f"Subject: {token}\r\n\r\n.\r\n.dot\r\n".encode() + b"z" * 990
    with Raw(house.site.port) as raw:
        assert raw.say("EHLO client.example").startswith("250")
        assert raw.say("MAIL FROM:<bert@hq.example> BODY=8BITMIME").startswith("250")
        assert raw.say("RCPT TO:<anna@elsewhere.example>").startswith("250")
        assert raw.chunks(message + b"\r\n", size).startswith("250")
    eventually(lambda: house.smarthost.find(token), what="arrival")
    assert without_trace(one(house.smarthost.find(token)).content, b"Received") == message + b"\r\n"


def test_one_message_takes_three_ways(house: House) -> None:
    token = "token-three-ways-."
    refused = send(
        house.site.port, "bert@hq.example", [f"anna@{domain}" for domain in DOMAINS.values()],
        f"Subject: {token}\r\n\r\nfor all\r\n".encode(),
    )  # fmt: skip
    assert refused == {}
    eventually(lambda: house.smarthost.find(token) and house.mx.find(token), what="both far ends")
    eventually(lambda: [m for m in house.site.mailbox("anna") if token.encode() in m], what="the mailbox")
    assert one(house.smarthost.find(token)).facts["recipients"] == ["anna@elsewhere.example"]
    assert one(house.mx.find(token)).facts["recipients"] == ["anna@partner.example"]


def test_a_domain_without_mx_is_reached_by_its_address(house: House) -> None:
    send(house.site.port, "bert@hq.example", ["x@only.partner.example"], b"Subject: token-implicit-.\r\n\r\n")
    kept = eventually(lambda: house.mx.find("token-implicit-."), what="arrival")[0]
    assert kept.facts["address"] == "127.0.0.22"


def test_a_route_leads_to_smtp_sink(house: House) -> None:
    send(house.site.port, "bert@hq.example", ["x@sunk.example"], b"Subject: token-sunk-.\r\n\r\n.dot\r\n.\r\nend\r\n")
    copy = eventually(lambda: house.sink.find("token-sunk-."), what="arrival at smtp-sink")[0]
    assert copy.rstrip(b"\n").endswith(b"Subject: token-sunk-.\n\n.dot\n.\nend")


def test_mail_by_swaks(house: House, tmp_path: Path) -> None:
    text = tmp_path / "message"
    text.write_text("Subject: token-swaks-.\n\nfrom swaks\n.\n..two\n")
    send_by_swaks(house.site.port, "bert@hq.example", "anna@elsewhere.example", text, "--pipeline")
    kept = eventually(lambda: house.smarthost.find("token-swaks-."), what="arrival")[0]
    assert b"\r\n\r\nfrom swaks\r\n.\r\n..two\r\n" in kept.content


def test_mail_by_curl(house: House, tmp_path: Path) -> None:
    text = tmp_path / "message"
    text.write_bytes(b"Subject: token-curl-.\r\n\r\nfrom curl\r\n.\r\n..two\r\n")
    send_by_curl(house.site.port, "bert@hq.example", "anna@hq.example", text)
    copy = eventually(lambda: [m for m in house.site.mailbox("anna") if b"token-curl-." in m], what="delivery")[0]
    assert copy.endswith(b"\n\nfrom curl\n.\n..two\n")


def test_mail_by_smtp_source(house: House) -> None:
    before = house.smarthost.count()
    smtp_source(
        house.site.port, "-s", "10", "-m", "100", "-l", "2000", "-f", "bert@hq.example", "-t", "x@elsewhere.example"
    )
    eventually(lambda: house.smarthost.count() == before + 100, what="100 messages at the smarthost")


def test_the_queue_is_empty_in_the_end(house: House) -> None:
    eventually(house.site.is_empty, what="an empty queue")
