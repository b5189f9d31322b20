"""A server that takes connections and never says a word delays its own mail and no other."""

from __future__ import annotations

import smtplib
import socket

from deadline import eventually
from mailsite import Site
from peers import FarEnd

LETTERS = 150


def test_a_black_hole_delays_no_letter_to_somebody_else(site: Site, far_end: FarEnd) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=512) as hole:
        via = {"host": "127.0.0.1", "port": hole.getsockname()[1], "tls": "off", "in_clear": True}
        site.config["routes"] = [{"to": ["black.hole"], "via": via}]
        site.relay_to(far_end.hop)
        site.write_config()
        site.start("sc")
        with smtplib.SMTP("127.0.0.1", site.port, local_hostname="client.example", timeout=60) as client:
            for number in range(LETTERS):
                client.sendmail("anna@hq.example", [f"x{number}@black.hole"], b"Subject: token-hole-.\r\n\r\n")
            client.sendmail("anna@hq.example", ["x@elsewhere.example"], b"Subject: token-letter-.\r\n\r\n")
        eventually(lambda: far_end.find("token-letter-."), 5, what="the letter behind them")
        site.kill("c")
        site.start("c")
        with smtplib.SMTP("127.0.0.1", site.port, local_hostname="client.example", timeout=60) as client:
            client.sendmail("anna@hq.example", ["x@elsewhere.example"], b"Subject: token-second-.\r\n\r\n")
        eventually(lambda: far_end.find("token-second-."), 5, what="a letter after a start with all of them due")
        eventually(lambda: len(site.entries("relay")) == LETTERS, what="the others wait")
        site.kill("c")
