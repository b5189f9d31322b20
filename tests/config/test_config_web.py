"""The status page listens where only this host can reach it, and somebody may log in."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.config.load import ConfigErrors, parse
from shared.config.web import WebSettings


def web(text: str) -> WebSettings:
    return parse(f"web: {text}", Path("m.yaml"), lambda: "host.example").web


def test_it_is_off_until_it_is_told_where_to_listen() -> None:
    assert web("{}").listen == ""


@pytest.mark.parametrize(
    ("listen", "socket", "address"),
    [
        ("unix:/run/mercury/web.sock", "/run/mercury/web.sock", None),
        ("127.0.0.1:8025", "", ("127.0.0.1", 8025)),
        ("8025", "", ("127.0.0.1", 8025)),
        ("'[::1]:8025'", "", ("::1", 8025)),
    ],
)
def test_a_socket_or_a_loopback_address(listen: str, socket: str, address: tuple[str, int] | None) -> None:
    settings = web(f"{{listen: {listen}, viewers: [Anna@HQ.example]}}")
    assert settings.socket == socket and settings.viewers == ("anna@hq.example",)
    assert socket or settings.address == address


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{listen: '0.0.0.0:80', viewers: [a@b.example]}", "can be reached from other hosts"),
        ("{listen: 'unix:web.sock', viewers: [a@b.example]}", "is no path of a socket"),
        (f"{{listen: 'unix:/{'x' * 107}', viewers: [a@b.example]}}", "at most 107 octets"),
        ("{listen: 8025}", "nobody may log in"),
        ("{listen: 8025, operators: [anna]}", "'anna'"),
        ("{hosts: ['mail.example:80']}", "the host stands without its port"),
    ],
)
def test_what_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ConfigErrors, match=problem):
        web(text)
