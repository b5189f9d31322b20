"""Behind a real HAProxy and a front end that speaks XCLIENT: the client is who it is, and nobody else may say so."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificate import self_signed
from clients import Raw, send_by_swaks
from deadline import eventually
from mailsite import Site
from peers import program
from process import Process, answers, free_port

CLIENT = "127.0.0.5"  #  at no site; the proxy itself is 127.0.0.1, which is

HAPROXY = """
global
    maxconn 200
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    default-server check inter 200ms fall 2 rise 1 observe layer4
{listeners}
frontend stats
    mode http
    bind 127.0.0.1:{stats}
    stats enable
    stats uri /
"""

LISTEN = """
listen {name}
    bind 127.0.0.1:{front}
    {check}
    server mercury 127.0.0.1:{back} {words}
"""


class Proxy:
    """HAProxy before a MercuryS that listens once for each way."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.fronts = {name: free_port("127.0.0.1") for name in ("one", "two", "tls")}
        self.backs = {"one": site.port, "two": site.port, "tls": free_port("127.0.0.1")}
        self.stats = free_port("127.0.0.1")
        certificate, key = self_signed(site.root, "localhost", "IP:127.0.0.1")
        self.certificate = certificate
        site.config["tls"] = {"certificate": str(certificate), "key": str(key)}
        common = {"address": "127.0.0.1", "kind": "mx", "proxy": ["127.0.0.1/32"]}
        site.config["receive"]["listeners"] = [
            {"port": site.port, **common},
            {"port": self.backs["tls"], "tls": "implicit", **common},
        ]
        site.write_config()
        site.start("s")
        words = {
            "one": "send-proxy check",
            "two": "send-proxy-v2 proxy-v2-options crc32c,unique-id check",
            "tls": "send-proxy-v2",
        }
        listeners = "".join(
            LISTEN.format(
                name=name, front=front, back=self.backs[name], words=words[name],
                check="" if name == "tls" else "option smtpchk EHLO proxy.example",
            )
            for name, front in self.fronts.items()
        )  # fmt: skip
        path = site.root / "haproxy.cfg"
        path.write_text(HAPROXY.format(listeners=listeners, stats=self.stats))
        self.process = Process("haproxy", [program("haproxy"), "-db", "-f", str(path)], site.root / "log/haproxy.log")
        self.process.start(lambda: answers("127.0.0.1", self.stats))

    def states(self) -> dict[str, str]:
        with contextlib.closing(socket.create_connection(("127.0.0.1", self.stats), 5)) as sock:
            sock.sendall(b"GET /;csv HTTP/1.0\r\n\r\n")
            text = b"".join(iter(lambda: sock.recv(65536), b"")).decode()
        rows = [line.split(",") for line in text.splitlines()]
        return {row[0]: row[17] for row in rows if len(row) > 17 and row[1] == "mercury"}


@pytest.fixture
def proxy(site: Site) -> Iterator[Proxy]:
    made = Proxy(site)
    yield made
    made.process.kill()


def relay_attempt(port: int) -> str:
    with Raw(port, source=CLIENT) as raw:
        raw.say("EHLO client.example")
        raw.say("MAIL FROM:<x@elsewhere.example>")
        return raw.say("RCPT TO:<y@far.example>")


def test_haproxy_by_both_versions_by_tls_and_by_its_checks(proxy: Proxy, tmp_path: Path) -> None:
    site = proxy.site
    eventually(lambda: {proxy.states().get(name) for name in ("one", "two")} == {"UP"}, what="HAProxy finds us well")
    for name in ("one", "two"):
        with smtplib.SMTP("127.0.0.1", proxy.fronts[name], source_address=(CLIENT, 0), timeout=20) as client:
            client.sendmail("x@elsewhere.example", ["anna@hq.example"], f"Subject: by {name}\r\n\r\n")
        assert relay_attempt(proxy.fronts[name]).startswith("550"), "the right of the proxy is not the client's"
    trust = ssl.create_default_context(cafile=str(proxy.certificate))
    with smtplib.SMTP_SSL(
        "127.0.0.1", proxy.fronts["tls"], context=trust, source_address=(CLIENT, 0), timeout=20
    ) as client:
        client.sendmail("x@elsewhere.example", ["anna@hq.example"], "Subject: by tls\r\n\r\n")
    eventually(lambda: len(site.mailbox("anna")) == 3, what="three deliveries")
    assert all(f"([{CLIENT}])".encode() in message for message in site.mailbox("anna"))
    assert any(b"with ESMTPS" in message for message in site.mailbox("anna"))
    assert not site.events("proxy-refused")


def test_limits_count_the_clients_and_not_their_proxy(site: Site) -> None:
    site.config["receive"]["limits"] = {"sessions_per_client": 1}
    proxy = Proxy(site)
    try:
        with Raw(proxy.fronts["one"], source=CLIENT), Raw(proxy.fronts["two"], source="127.0.0.6"):
            assert Raw(proxy.fronts["one"], source=CLIENT).greeting.startswith("421")
    finally:
        proxy.process.kill()


def test_swaks_speaks_the_header_and_who_speaks_none_hears_nothing(site: Site, tmp_path: Path) -> None:
    site.config["receive"]["listeners"][0]["proxy"] = ["127.0.0.1/32"]
    site.write_config()
    site.start("s")
    message = tmp_path / "m.eml"
    message.write_text("Subject: by swaks\n\n")
    for version in ("1", "2"):
        options = ["--proxy-version", version, "--proxy-family", "TCP4", "--proxy-source", "192.0.2.7"]
        options += ["--proxy-source-port", "999", "--proxy-dest", "192.0.2.1", "--proxy-dest-port", "25"]
        if version == "2":
            options[2:4] = ["--proxy-family", "AF_INET", "--proxy-protocol", "STREAM", "--proxy-command", "PROXY"]
        send_by_swaks(site.port, "x@elsewhere.example", "anna@hq.example", message, *options)
    eventually(lambda: len(site.mailbox("anna")) == 2, what="two deliveries")
    assert all(b"([192.0.2.7])" in kept for kept in site.mailbox("anna"))
    with contextlib.closing(socket.create_connection(("127.0.0.1", site.port), 5)) as sock:
        sock.sendall(b"EHLO x\r\n")
        sock.settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(100) == b""
    eventually(lambda: len(site.events("proxy-refused")) == 1, what="the event")
    #  Who is no proxy gets a greeting, and its header is no command.
    with Raw(site.port, source=CLIENT) as raw:
        assert raw.greeting.startswith("220")
        assert raw.say("PROXY TCP4 127.0.0.1 127.0.0.1 1 25").startswith("500")
        raw.say("EHLO client.example")
        raw.say("MAIL FROM:<x@elsewhere.example>")
        assert raw.say("RCPT TO:<y@far.example>").startswith("550")


def test_xclient_is_for_named_peers_and_makes_a_new_client(site: Site) -> None:
    site.config["receive"]["listeners"][0]["xclient"] = [f"{CLIENT}/32"]
    site.config["receive"]["rules"] = [{"networks": ["198.51.100.0/24"], "action": "refuse"}]
    site.write_config()
    site.start("s")
    with Raw(site.port) as raw:
        assert "XCLIENT" not in raw.say("EHLO x")
        assert raw.say("XCLIENT ADDR=192.0.2.7").startswith("500")
    with Raw(site.port, source=CLIENT) as raw:
        assert "XCLIENT NAME ADDR" in raw.say("EHLO front.example")
        assert raw.say("XCLIENT ADDR=192.0.2.7 NAME=pc.example").startswith("220 ")
        assert raw.say("MAIL FROM:<x@elsewhere.example>").startswith("503")
        raw.say("EHLO pc.example")
        raw.say("MAIL FROM:<x@elsewhere.example>")
        assert raw.say("RCPT TO:<y@far.example>").startswith("550")
        raw.say("RCPT TO:<anna@hq.example>")
        raw.say("DATA")
        assert raw.say("Subject: by xclient\r\n\r\n.").startswith("250")
        #  The front end keeps its right for the next client; what this one may not is not the front end's.
        assert raw.say("XCLIENT ADDR=127.0.0.1").startswith("220 ")
        raw.say("EHLO own.example")
        raw.say("MAIL FROM:<x@elsewhere.example>")
        assert raw.say("RCPT TO:<y@far.example>").startswith("250")
        raw.say("RSET")
        assert raw.say("XCLIENT ADDR=198.51.100.9").startswith("554")
        with pytest.raises(ConnectionError):
            raw.say("NOOP")
    eventually(lambda: site.mailbox("anna"), what="delivery")
    assert b"from pc.example ([192.0.2.7])" in site.mailbox("anna")[0]
    eventually(lambda: len(site.events("client-introduced")) == 3, what="the events")
