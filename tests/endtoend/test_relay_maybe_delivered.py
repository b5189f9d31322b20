"""A smarthost that takes a message and is gone before it says so (RFC 1047)."""

from __future__ import annotations

from pathlib import Path

from clients import send
from deadline import eventually
from mailsite import Site
from peers import FarEnd
from process import free_port
from setting import Stage

SENDER = "bert@hq.example"


def test_the_same_host_is_asked_first_and_the_trail_says_so(site: Site, stage: Stage, tmp_path: Path) -> None:
    other = FarEnd(tmp_path, free_port("127.0.0.21"), ("127.0.0.21",))
    vanishing = FarEnd(tmp_path, free_port("127.0.0.22"), ("127.0.0.22",), "--vanish", "1")
    stage.peer(vanishing)
    hops = [(peer, priority) for priority, peer in enumerate((other, vanishing), start=1)]
    site.here["smarthosts"] = [
        {"host": peer.hop[0], "port": peer.port, "tls": "off", "priority": priority} for peer, priority in hops
    ]
    site.config["retry"] |= {"first": "1h", "longest": "1h"}
    site.write_config()
    site.start("sc")
    send(site.port, SENDER, ["x@elsewhere.example"], b"Subject: token-maybe-.\r\n\r\nhello\r\n")
    [deferred] = eventually(lambda: site.events("recipient-deferred"), what="a deferral")
    assert deferred["host"] == f"127.0.0.22[127.0.0.22]:{vanishing.port}"
    #  By now the first choice is well, and yet the second may have the message.
    stage.peer(other)
    trail = site.mercury("queue", "trail", deferred["id"], "--json").stdout
    assert "may have been delivered" in trail and f"127.0.0.22[127.0.0.22]:{vanishing.port}" in trail
    eventually(lambda: site.events("hop-recovered"), what="the first choice is well")
    assert site.mercury("queue", "retry", deferred["id"], "--yes").returncode == 0
    eventually(lambda: site.is_empty(), what="an empty spool")
    assert len(vanishing.find("token-maybe-.")) == 2
    assert other.count() == 0
