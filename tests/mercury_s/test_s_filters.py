"""Which filter acts on what a client says, and what it refuses with."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

import pytest

from mercury_s.policy.client import IpNetwork
from mercury_s.policy.filters import Action, Filters, Finding, Phase, decide_filters
from mercury_s.policy.identity import Binding, IdentityFacts, IdentityRules, Rewrite, decide_identity, is_granted
from mercury_s.policy.verdict import Accept, Manner, Refuse
from shared.config import filters as configured
from shared.config.submission import Binding as ConfiguredBinding
from shared.mail.address import parse_address
from shared.mail.reply import Reply

LAN = (ipaddress.ip_network("192.168.0.0/16"),)
SHORT = Reply(450, "4.7.1", "later")


@dataclass
class Written:
    """A filter as the configuration has it."""

    on: str
    expression: str
    action: str
    networks: tuple[IpNetwork, ...] = ()
    reply: Reply | None = None
    source: str = "/m.yaml:5"

    @property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(self.expression)


def judge(rules: list[Written], *texts: str, phase: Phase = Phase.MAIL, client: str = "192.0.2.9") -> Finding:
    return decide_filters(Filters(rules).for_client(client).get(phase, ()), texts)


def test_the_words_are_those_of_the_configuration() -> None:
    assert {str(word) for word in Phase} == {str(word) for word in configured.FilterPhase}
    assert {str(word) for word in Action} == {str(word) for word in configured.FilterAction}
    assert {str(word) for word in Binding} == {str(word) for word in ConfiguredBinding}


def test_the_first_that_matches_decides_and_logs_before_it_are_told() -> None:
    rules = [
        Written("mail", "x", "log"),
        Written("mail", "nothing", "drop"),
        Written("mail", "x", "fail"),
        Written("mail", "x", "refuse"),
        Written("mail", "x", "log"),
    ]
    finding = judge(rules, "a@x.example")
    assert finding.deciding is not None
    assert finding.deciding.action is Action.FAIL
    assert [rule.action for rule in finding.logged] == [Action.LOG]


def test_a_log_alone_decides_nothing() -> None:
    finding = judge([Written("mail", "x", "log")], "x")
    assert (finding.deciding, len(finding.logged)) == (None, 1)


@pytest.mark.parametrize(
    ("action", "manner"),
    [
        ("refuse", Manner.REPLY),
        ("fail", Manner.REPLY),
        ("drop", Manner.SILENCE),
        ("reply_drop", Manner.CLOSE),
        ("blacklist", Manner.CLOSE),
        ("log", None),
        ("skip_phase", None),
        ("skip_all", None),
    ],
)
def test_each_verb_has_its_manner(action: str, manner: Manner | None) -> None:
    [rule] = Filters([Written("rcpt", "x", action)]).for_client("192.0.2.9")[Phase.RCPT]
    assert (rule.refusal.manner if rule.refusal else None) == manner


def test_a_refusal_has_the_reply_that_was_written_and_names_its_rule() -> None:
    finding = judge([Written("mail", "x", "fail", reply=SHORT)], "x")
    assert finding.deciding is not None
    assert finding.deciding.refusal == Refuse(SHORT, "filter /m.yaml:5 says fail")


@pytest.mark.parametrize("phase", list(Phase))
def test_without_a_reply_there_is_one_for_every_phase(phase: Phase) -> None:
    finding = judge([Written(phase, "x", "fail")], "x", phase=phase)
    assert finding.deciding is not None
    assert finding.deciding.refusal is not None
    assert finding.deciding.refusal.reply.code == 550


def test_filters_of_a_network_are_for_its_clients() -> None:
    rules = [Written("mail", "x", "fail", LAN), Written("helo", "x", "fail")]
    assert Phase.MAIL in Filters(rules).for_client("192.168.1.1")
    assert Phase.MAIL in Filters(rules).for_client("::ffff:192.168.1.1")
    assert list(Filters(rules).for_client("192.0.2.9")) == [Phase.HELO]
    assert not Filters(rules[:1]).for_client("fe80::1%eth0")


def test_only_the_beginning_of_a_long_text_is_compared() -> None:
    assert judge([Written("mail", "x", "fail")], "a" * 4095 + "x").deciding
    assert not judge([Written("mail", "x", "fail")], "a" * 4096 + "x").deciding


LOGIN = parse_address("anna@hq.example")
FOREIGN = parse_address("boss@hq.example")


@pytest.mark.parametrize(
    ("leads", "granted", "binding", "expected"),
    [
        (True, False, Binding.REFUSE, Accept),
        (False, True, Binding.REFUSE, Accept),
        (False, False, Binding.ANY, Accept),
        (False, False, Binding.REWRITE, Rewrite),
        (False, False, Binding.REFUSE, Refuse),
        (True, False, Binding.REWRITE, Accept),
        (False, True, Binding.REWRITE, Accept),
    ],
)
def test_identities(leads: bool, granted: bool, binding: Binding, expected: type) -> None:
    verdict = decide_identity(IdentityFacts(LOGIN, FOREIGN, leads, granted, binding, "MAIL FROM"))
    assert type(verdict) is expected
    if isinstance(verdict, Refuse):
        assert (verdict.reply.code, verdict.reply.enhanced) == (550, "5.7.1")
        assert "anna@hq.example" in verdict.reply.text


@pytest.mark.parametrize(
    ("pattern", "address", "expected"),
    [
        ("boss@hq.example", "BOSS@hq.example", True),
        ("boss@hq.example", "boss@sub.hq.example", False),
        ("hq.example", "boss@hq.example", True),
        ("hq.example", "boss@evil-hq.example", False),
        ("*.hq.example", "boss@sub.hq.example", True),
        ("*.hq.example", "boss@hq.example", False),
        ("*", "who@far.example", True),
    ],
)
def test_grants(pattern: str, address: str, expected: bool) -> None:
    rules = IdentityRules(granted={"anna@hq.example": frozenset({pattern})})
    assert is_granted(rules, LOGIN, parse_address(address)) is expected
    assert not is_granted(rules, parse_address("bert@hq.example"), parse_address(address))
