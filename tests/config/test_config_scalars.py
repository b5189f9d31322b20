"""Sizes, durations, networks, hosts: what is taken, and what is said about the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shared.config.scalars import (
    parse_count,
    parse_duration,
    parse_factor,
    parse_flag,
    parse_host,
    parse_hostname,
    parse_ip,
    parse_name,
    parse_network,
    parse_port,
    parse_route_pattern,
    parse_server,
    parse_size,
    parse_text,
    parse_word,
)
from shared.routing.site import Delivery


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (parse_size, "50M", 50 * 2**20), (parse_size, "512k", 2**19), (parse_size, "2 GiB", 2**31),
        (parse_size, 1000, 1000), (parse_size, "1000", 1000), (parse_size, "10MB", 10 * 2**20),
        (parse_duration, "5m", 300.0), (parse_duration, "1h30m", 5400.0), (parse_duration, "5d", 432000.0),
        (parse_duration, "250ms", 0.25), (parse_duration, "1.5h", 5400.0), (parse_duration, 90, 90.0),
        (parse_duration, 0.5, 0.5), (parse_duration, "2w", 1209600.0),
        (parse_name, "HQ.Example", "hq.example"), (parse_name, "münchen.example", "xn--mnchen-3ya.example"),
        (parse_name, "[192.0.2.1]", "[192.0.2.1]"), (parse_hostname, "Mail", "mail"),
        (parse_host, "smtp.isp.example", "smtp.isp.example"), (parse_host, "10.0.0.5", "10.0.0.5"),
        (parse_host, "[::1]", "::1"), (parse_host, "2001:DB8::1", "2001:db8::1"),
        (parse_ip, "::", "::"), (parse_ip, "127.0.0.1", "127.0.0.1"),
        (parse_server, "127.0.0.1", "127.0.0.1:53"), (parse_server, "127.0.0.1:5353", "127.0.0.1:5353"),
        (parse_server, "::1", "[::1]:53"), (parse_server, "[::1]", "[::1]:53"), (parse_server, "[::1]:54", "[::1]:54"),
        (parse_route_pattern, "*.HQ.example", "*.hq.example"), (parse_port, 65535, 65535), (parse_count, 1, 1),
        (parse_factor, 1.5, 1.5), (parse_factor, 2, 2.0), (parse_flag, False, False), (parse_text, "office", "office"),
        (parse_word(Delivery), "hold", Delivery.HOLD),
    ],
)  # fmt: skip
def test_what_is_taken(parse: Callable[[object], Any], text: object, value: object) -> None:
    found = parse(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("parse", "text", "words"),
    [
        (parse_size, "50 megs", "no size"), (parse_size, 0, "no size"), (parse_size, "0", "no size"),
        (parse_size, True, "no size"), (parse_size, 1.5, "no size"), (parse_size, "9" * 99, "no size"),
        (parse_duration, "5 minutes", "no duration"), (parse_duration, "m", "no duration"),
        (parse_duration, True, "no duration"), (parse_duration, 0, "not between"), (parse_duration, "0s", "not between"),
        (parse_duration, "999w", "not between"), (parse_duration, -1, "not between"),
        (parse_network, "192.168.1.5/24", "host bits set; did you mean 192.168.1.0/24?"),
        (parse_network, "192.168.1/24", "no IP network"), (parse_network, 10, "put it in quotes: '10'"),
        (parse_name, "a_b.example", "not a valid name"), (parse_name, "", "is empty"), (parse_name, "a b", "not a valid"),
        (parse_hostname, "192.0.2.1", "is an address"), (parse_hostname, "[192.0.2.1]", "is an address"),
        (parse_host, "smtp.isp.example:25", "write the port as 'port:'"), (parse_host, "10.0.0", "no IP address"),
        (parse_host, "300.1.1.1", "no IP address"), (parse_host, "-x", "not a valid name"),
        (parse_ip, "localhost", "no IP address"), (parse_ip, "fe80::1%eth0", "no IP address"),
        (parse_server, "ns.example", "no IP address"), (parse_server, "127.0.0.1:0", "no IP address"),
        (parse_server, "127.0.0.1:99999", "no IP address"), (parse_route_pattern, "a.*.b", "write a domain"),
        (parse_port, 0, "no port"), (parse_port, 65536, "no port"), (parse_port, "25", "no port"), (parse_port, True, "no"),
        (parse_count, 0, "no number"), (parse_factor, 0.5, "no number"), (parse_flag, "yes", "say true or false"),
        (parse_flag, 1, "say true or false"), (parse_text, 0x10, "put it in quotes: '16'"), (parse_text, "a\nb", "printed"),
        (parse_text, None, "expects text"), (parse_text, (), "expects text"),
        (parse_word(Delivery), "Relay", "did you mean 'relay'?"), (parse_word(Delivery), "rely", "did you mean 'relay'?"),
        (parse_word(Delivery), None, "say relay, direct or hold"), (parse_word(Delivery), ["x"], "say relay"),
    ],
)  # fmt: skip
def test_what_is_refused_and_the_words_for_it(parse: Callable[[object], Any], text: object, words: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse(text)
    assert words in str(refused.value)


def test_what_was_written_is_shown_escaped_and_short() -> None:
    with pytest.raises(ValueError) as refused:
        parse_port("\x1b[31m" + "x" * 1000)
    assert "\x1b" not in str(refused.value)
    assert len(str(refused.value)) < 150
