"""R-19, R-20: the name server is dead, slow, refusing, failing, truncating, lying, in turn, while mail for other domains waits;
then it is well. Nothing is bounced, nothing goes astray, everything arrives."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from clients import send
from deadline import eventually
from mailsite import Site
from peers import FarEnd
from process import free_port

MODES = ("silent", "servfail", "refused", "slow", "truncated", "garbage", "wrong id", "other question", "good")
LETTERS = 500
DOMAINS = 25


class MoodyServer:
    """Answers every MX and A question in the mood it is in: by UDP, and by TCP where the mood is truncated or good."""

    def __init__(self, port: int) -> None:
        self.mood, self.asked = "silent", 0
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", port))
        self._tcp = socket.create_server(("127.0.0.1", port))
        for work in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=work, daemon=True).start()

    def close(self) -> None:
        self._udp.close()
        self._tcp.close()

    def _serve_udp(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                question, peer = self._udp.recvfrom(4096)
                self.asked += 1
                for answer in self._answers(question):
                    self._udp.sendto(answer, peer)

    def _serve_tcp(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                channel, _ = self._tcp.accept()
                #  Truncated answers lead here; in that mood the connection ends without a word.
                with channel, contextlib.suppress(OSError):
                    if self.mood == "good" and (question := channel.recv(4096)[2:]):
                        answer = _well(question).to_wire()
                        channel.sendall(len(answer).to_bytes(2, "big") + answer)

    def _answers(self, question: bytes) -> list[bytes]:
        mood = self.mood
        if mood == "silent":
            return []
        if mood == "garbage":
            return [random.Random(1).randbytes(80), question[:2] + b"\xff" * 60]
        query = dns.message.from_wire(question)
        answer = dns.message.make_response(query)
        if mood in ("servfail", "refused"):
            answer.set_rcode(dns.rcode.SERVFAIL if mood == "servfail" else dns.rcode.REFUSED)
        elif mood == "truncated":
            answer.flags |= dns.flags.TC
        elif mood == "slow":
            time.sleep(0.5)
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif mood == "wrong id":
            lie = _well(question, "127.0.0.66")
            lie.id = query.id ^ 1
            return [lie.to_wire()]
        elif mood == "other question":
            other = dns.message.make_query("somewhere.else", query.question[0].rdtype, id=query.id)
            return [_well(other.to_wire(), "127.0.0.66").to_wire()]
        else:
            answer = _well(question)
        return [answer.to_wire()]


def _well(question: bytes, address: str = "127.0.0.21") -> dns.message.Message:
    query = dns.message.from_wire(question)
    answer = dns.message.make_response(query)
    asked = query.question[0]
    kind = dns.rdatatype.to_text(asked.rdtype)
    words = {"MX": f"10 mx.{asked.name}", "A": address}.get(kind)
    if words and not (kind == "A" and not str(asked.name).startswith("mx.")):
        answer.answer.append(dns.rrset.from_text(asked.name, 1, "IN", kind, words))
    return answer


@pytest.mark.timeout(300)
def test_mail_waits_for_a_dns_that_is_dead_slow_or_lying(
    site: Site, far_end: FarEnd, tell: Callable[..., None]
) -> None:
    server = MoodyServer(port := free_port("127.0.0.1"))
    site.here["delivery"] = "direct"
    site.config["dns"] = {"servers": [f"127.0.0.1:{port}"], "timeout": "1s"}
    site.config["direct"] = {"port": far_end.port, "allow_addresses": ["127.0.0.0/8"]}
    site.write_config()
    site.start("se")
    slowest = 0.0
    sent = 0
    for mood in MODES[:-1]:
        server.mood = mood
        for _ in range(LETTERS // (len(MODES) - 1) + 1):
            begun = time.monotonic()
            token = f"tok-dns-{sent}-."
            send(
                site.port,
                "bert@hq.example",
                [f"x@d{sent % DOMAINS}.example"],
                f"Subject: {token}\r\n\r\nend {token}\r\n".encode(),
            )
            slowest = max(slowest, time.monotonic() - begun)
            sent += 1
        time.sleep(2)
        assert far_end.count() == 0, mood
    assert len(site.entries("direct")) == sent
    server.mood, begun = "good", time.monotonic()
    eventually(site.is_empty, 90, "all of it goes when the name server is well")
    drained = time.monotonic() - begun
    tokens = {kept.content.split(b"Subject: ")[1].split(b"\r\n")[0] for kept in far_end.kept()}
    tell(
        moods=len(MODES) - 1, letters=sent, delivered=len(tokens), bounced=len(site.events("message-bounced")),
        slowest_acceptance_s=round(slowest, 2), drained_in_s=round(drained, 1), questions=server.asked,
    )  # fmt: skip
    assert len(tokens) == sent == far_end.count()
    assert not site.events("message-bounced") and not site.mailbox("bert")
    assert slowest < 10
    site.stop("se")
    server.close()
