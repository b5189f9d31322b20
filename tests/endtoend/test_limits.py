"""Under siege: slow clients, too many clients, too few descriptors, and clients that misbehave. Good mail comes through."""

from __future__ import annotations

import contextlib
import os
import resource
import selectors
import smtplib
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from clients import Raw, send
from deadline import eventually
from mailsite import Site
from process import free_port
from setting import Stage

GOOD = b"Subject: good\r\n\r\ntext\r\n"


@pytest.fixture
def site(stage: Stage, tmp_path: Path) -> Site:
    made = stage.site(tmp_path)
    made.config["sites"]["hq"]["delivery"] = "hold"
    made.write_config()
    made.add_users("anna")
    return made


def start(site: Site, **limits: object) -> None:
    site.config["receive"]["limits"] = limits
    site.write_config()
    site.start("s")


def deliver(site: Site) -> float:
    """By a client of the site; how many seconds it took."""
    begin = time.monotonic()
    assert send(site.port, "bert@outside.example", ["anna@hq.example"], GOOD) == {}
    return time.monotonic() - begin


def connect(site: Site, source: str) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", site.port), 10, (source, 0))
    sock.setblocking(False)
    return sock


def cpu_seconds(site: Site) -> float:
    fields = Path(f"/proc/{site.daemons['s'].pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Slow:
    """Clients that send an octet now and then, and keep account of when each was let go."""

    def __init__(self, site: Site, opening: bytes, number: int) -> None:
        self._opening = opening
        self._selector = selectors.DefaultSelector()
        self._sockets = [connect(site, f"127.0.1.{index % 5 + 1}") for index in range(number)]
        self.heard = dict.fromkeys(self._sockets, b"")
        self.ended: dict[socket.socket, float] = {}
        for sock in self._sockets:
            self._selector.register(sock, selectors.EVENT_READ)
            sock.sendall(opening)
        self._begin = time.monotonic()

    def trickle(self, seconds: float, octet: bytes = b"x") -> None:
        until = time.monotonic() + seconds
        while len(self.ended) < len(self._sockets) and (left := until - time.monotonic()) > 0:
            for key, _ in self._selector.select(min(left, 0.2)):
                self._read(key.fileobj)  # type: ignore[arg-type]
            for sock in self._sockets:
                if sock not in self.ended:
                    with contextlib.suppress(OSError):
                        sock.send(octet)

    def _read(self, sock: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            try:
                data = sock.recv(4096)
            except ConnectionError:
                data = b""
            self.heard[sock] += data
            if not data:
                self.ended[sock] = time.monotonic() - self._begin
                self._selector.unregister(sock)

    def close(self) -> None:
        self._selector.close()
        for sock in self._sockets:
            sock.close()


@pytest.mark.parametrize(
    ("opening", "last_word"),
    [
        (b"", b"421 4.4.2 "),
        (b"EHLO slow.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<anna@hq.example>\r\nDATA\r\n", b"421 4.4.2 "),
        (
            b"EHLO slow.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<anna@hq.example>\r\nDATA\r\nSubject: x\r\n\r\n",
            b"421 4.4.2 ",
        ),
    ],
    ids=["command", "header", "body"],
)
def test_an_octet_now_and_then_holds_nobody(site: Site, opening: bytes, last_word: bytes) -> None:
    start(site, idle="2s", data="2s", sessions=200, sessions_per_client=100)
    slow = Slow(site, opening, 100)
    assert deliver(site) < 1.0
    slow.trickle(6)
    times = list(slow.ended.values())
    slow.close()
    assert len(times) == 100, "every one of them is let go"
    assert min(times) > 1.5 and max(times) < 5.0
    assert all(last_word in heard for heard in slow.heard.values())
    assert deliver(site) < 1.0


def test_when_it_gets_crowded_strangers_get_little_time_and_the_site_comes_through(site: Site) -> None:
    start(site, idle="5m", stress_idle="2s", sessions=50, sessions_per_client=50, sessions_per_network=100)
    slow = Slow(site, b"", 60)
    assert deliver(site) < 1.0
    slow.trickle(6)
    slow.close()
    refused = [heard for heard in slow.heard.values() if heard.startswith(b"421 4.3.2 ")]
    assert len(slow.ended) >= 50, "who came last may find the crowd gone, and has the usual time again"
    assert 0 < len(refused) <= 20, "the first had their time, and the rest were told to come again"
    eventually(lambda: site.events("sessions-at-ease"), what="the end of the crowd")
    assert site.events("sessions-crowded")


def few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def test_with_64_descriptors_and_200_clients_it_refuses_politely_and_does_not_spin(site: Site) -> None:
    site.write_config()
    site.start("s", limit=few_descriptors)
    first = Raw(site.port)
    clients = [connect(site, f"127.0.1.{index % 200 + 1}") for index in range(200)]
    spent, begin = cpu_seconds(site), time.monotonic()
    assert first.say("EHLO client.example").startswith("250"), "a session that was there goes on"
    assert first.say("MAIL FROM:<bert@outside.example>").startswith("250")
    assert first.say("RCPT TO:<anna@hq.example>").startswith("250")
    first.send(b"DATA\r\n" + GOOD + b".\r\n")
    assert first.reply().startswith("354")
    assert first.reply().startswith("250"), "there are descriptors left for its message"
    time.sleep(1.0)
    answers = [_answer(sock) for sock in clients]
    spent = (cpu_seconds(site) - spent) / (time.monotonic() - begin)
    assert answers.count(b"220") > 0
    assert answers.count(b"421") > 100
    assert answers.count(b"220") + answers.count(b"421") == 200, "nobody is dropped without a word"
    assert spent < 0.5
    for sock in clients:
        sock.close()
    begin = time.monotonic()
    eventually(lambda: _is_served(site), what="service as before")
    assert time.monotonic() - begin < 2.0
    assert not [event for event in site.events() if event["event"] == "fault"]


def _answer(sock: socket.socket) -> bytes:
    sock.settimeout(5)
    with contextlib.suppress(OSError):
        return sock.recv(4096)[:3]
    return b""


def _is_served(site: Site) -> bool:
    with contextlib.suppress(smtplib.SMTPException, OSError):
        return deliver(site) < 1.0
    return False


@pytest.fixture
def guarded(site: Site) -> Iterator[Site]:
    site.config["receive"]["blacklist"] = {"time": "30m", "unknown_recipients": "3/10m"}
    site.write_config()
    site.start("s")
    yield site


def test_the_blacklist_outlives_a_restart_and_is_opened_by_hand(guarded: Site) -> None:
    site, stranger = guarded, "127.0.0.66"
    with Raw(site.port, stranger) as raw:
        raw.say("EHLO guess.example")
        raw.say("MAIL FROM:<a@b.example>")
        for name in ("aa", "bb", "cc"):
            assert raw.say(f"RCPT TO:<{name}@hq.example>").startswith("550 5.1.1 ")
        raw.send(b"RCPT TO:<dd@hq.example>\r\n")
        assert raw.reply().startswith("550 5.1.1 ")
        assert raw.reply().startswith("421 4.7.0 Too many recipients that are not here")
    assert _greeting(site, stranger).startswith("421 4.7.1 Your address is blocked here for 30 min")
    assert _greeting(site, "127.0.0.67").startswith("220 ")
    site.stop("s")
    site.start("s")
    assert _greeting(site, stranger).startswith("421 4.7.1 ")
    listed = site.mercury("blacklist", "list", "--json").stdout
    assert '"client": "127.0.0.66/32"' in listed and "too many unknown recipients" in listed
    assert site.mercury("blacklist", "remove", stranger).returncode == 0
    eventually(lambda: _greeting(site, stranger).startswith("220 "), what="a greeting")
    assert site.mercury("blacklist", "add", "127.0.0.64/29", "--for", "1h").returncode == 0
    eventually(lambda: _greeting(site, stranger).startswith("421 "), what="a refusal")
    assert deliver(site) < 1.0


def test_a_client_of_the_site_is_never_blacklisted(guarded: Site) -> None:
    site = guarded
    with Raw(site.port) as raw:
        raw.say("EHLO pc.hq.example")
        raw.say("MAIL FROM:<a@b.example>")
        for _ in range(10):
            assert raw.say("RCPT TO:<nobody@hq.example>").startswith("550 5.1.1 ")
    assert deliver(site) < 1.0
    assert not site.events("client-blacklisted")


def _greeting(site: Site, source: str) -> str:
    with Raw(site.port, source) as raw:
        return raw.greeting


def test_rates_hold_over_sessions(site: Site) -> None:
    site.config["receive"]["rates"] = {"client": {"connections": "3/1h"}}
    site.write_config()
    site.start("s")
    greetings = [_greeting(site, "127.0.0.66")[:3] for _ in range(5)]
    assert greetings == ["220", "220", "220", "421", "421"]
    assert deliver(site) < 1.0


def test_binary_mail_arrives_as_it_was_and_our_own_address_is_ours(site: Site) -> None:
    site.write_config()
    site.start("s")
    body = bytes(range(256)) + b"\r\n\n\r.\r\n"
    with Raw(site.port, "127.0.0.66") as raw:
        assert "BINARYMIME" in raw.say("EHLO client.example")
        raw.say("MAIL FROM:<bert@outside.example> BODY=BINARYMIME")
        assert raw.say("RCPT TO:<anna@[127.0.0.1]>").startswith("250 ")
        assert raw.say("DATA").startswith("503 ")
        raw.chunks(b"Subject: binary\r\n\r\n" + body, 100)
    [copy] = eventually(lambda: site.mailbox("anna"), what="delivery")
    assert copy.endswith(b"Subject: binary\n\n" + body)


def test_a_handshake_has_its_time_and_ends_it_when_it_is_done(site: Site) -> None:
    port = free_port("127.0.0.1")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
         "30", "-subj", "/CN=mail.hq.example", "-keyout", str(site.root / "key.pem"),
         "-out", str(site.root / "cert.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    (site.root / "key.pem").chmod(0o600)
    site.config["tls"] = {"certificate": "cert.pem", "key": "key.pem"}
    site.config["receive"]["listeners"].append(
        {"port": port, "address": "127.0.0.1", "tls": "implicit", "kind": "mx"}
    )
    start(site, handshake="1s", idle="20s")
    context = ssl._create_unverified_context()
    sources = ("127.0.0.66", 0)
    silent = socket.create_connection(("127.0.0.1", port), 10, sources)
    asking = Raw(site.port, "127.0.0.66")
    asking.say("EHLO slow.example")
    assert asking.say("STARTTLS").startswith("220 ")
    done = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10, sources))
    begin = time.monotonic()
    assert _answer(silent) == b"", "cut without a word, as there is no line to say it on"
    with pytest.raises(ConnectionError):
        asking.reply()
    assert time.monotonic() - begin < 5
    assert done.recv(100).startswith(b"220 ")
    time.sleep(1.5)
    done.sendall(b"EHLO good.example\r\n")
    assert b"REQUIRETLS" in done.recv(4096)
    for sock in (silent, done):
        sock.close()
    asking.close()
