"""The decisions of the door, as tables: facts in, verdict out."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace

import pytest

from mercury_s.policy.client import ClientFacts, Welcome, decide_client
from mercury_s.policy.transaction import RecipientFacts, SenderFacts, decide_message, decide_recipient, decide_sender
from mercury_s.policy.verdict import Accept, Refuse, Verdict

FACTS = ClientFacts("192.0.2.7", "", (), True, 0, 0, 10, 2)


@dataclass
class Rule:
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
    action: str
    exempt: bool = False
    source: str = "/etc/mercury/mercury.yaml:7"


def rule(network: str, action: str, exempt: bool = False) -> Rule:
    return Rule((ipaddress.ip_network(network),), action, exempt)


def code(verdict: Verdict | Welcome) -> int:
    return verdict.reply.code if isinstance(verdict, Refuse) else 0


@pytest.mark.parametrize(
    ("changes", "rules", "expected"),
    [
        ({}, [], (0, False, False)),
        ({"site": "hq"}, [], (0, True, False)),
        ({"site": "hq", "relay_listener": False}, [], (0, False, False)),
        ({}, [rule("192.0.2.0/24", "relay")], (0, True, False)),
        ({"relay_listener": False}, [rule("192.0.2.0/24", "relay")], (0, False, False)),
        ({}, [rule("192.0.2.0/24", "refuse")], (554,)),
        ({"site": "hq"}, [rule("192.0.2.0/24", "refuse")], (554,)),
        ({}, [rule("192.0.2.7/32", "allow"), rule("0.0.0.0/0", "refuse")], (0, False, False)),
        ({"sessions": 10}, [], (421,)),
        ({"sessions_of_client": 2}, [], (421,)),
        ({"sessions_of_client": 2}, [rule("192.0.2.7/32", "allow", exempt=True)], (0, False, True)),
        ({"listener_networks": (ipaddress.ip_network("10.0.0.0/8"),)}, [rule("0.0.0.0/0", "allow")], (554,)),
        ({"address": "::ffff:192.0.2.7"}, [rule("192.0.2.0/24", "relay")], (0, True, False)),
        ({"address": "fe80::1%eth0"}, [rule("fe80::/10", "refuse")], (554,)),
    ],
)
def test_clients(changes: dict[str, object], rules: list[Rule], expected: tuple[object, ...]) -> None:
    verdict = decide_client(replace(FACTS, **changes), rules)  # type: ignore[arg-type]
    if isinstance(verdict, Welcome):
        assert (0, verdict.may_relay, verdict.exempt) == expected
    else:
        assert (verdict.reply.code,) == expected
        assert verdict.reason


def test_the_reason_names_the_rule_and_where_it_stands() -> None:
    rules = [rule("198.51.100.0/24", "allow"), rule("192.0.2.0/24", "refuse")]
    refused = decide_client(FACTS, rules)
    assert refused.reason == "connection rule 2 (/etc/mercury/mercury.yaml:7) refuses the client"
    relayed = decide_client(FACTS, [rule("192.0.2.0/24", "relay")])
    assert relayed.reason == "connection rule 1 (/etc/mercury/mercury.yaml:7) lets the client relay"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (SenderFacts(False, None, 100, 1000), 0),
        (SenderFacts(False, 100, 100, 1000), 0),
        (SenderFacts(False, 101, 100, 1000), 552),
        (SenderFacts(True, None, 100, 1000), 530),
        (SenderFacts(False, None, 100, 149), 452),
    ],
)
def test_senders(facts: SenderFacts, expected: int) -> None:
    assert code(decide_sender(facts)) == expected


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (RecipientFacts(True, True, False, 0, 5), 0),
        (RecipientFacts(True, False, False, 0, 5), 550),
        (RecipientFacts(True, False, True, 0, 5), 550),
        (RecipientFacts(False, False, False, 0, 5), 550),
        (RecipientFacts(False, False, True, 0, 5), 0),
        (RecipientFacts(True, True, True, 5, 5), 452),
    ],
)
def test_recipients(facts: RecipientFacts, expected: int) -> None:
    assert code(decide_recipient(facts)) == expected


def test_loops() -> None:
    assert decide_message(100) == Accept()
    assert code(decide_message(101)) == 554
