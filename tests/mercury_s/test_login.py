"""AUTH as a session speaks it: the lines of every mechanism, what it offers to which connection, and what refuses."""

from __future__ import annotations

import asyncio
import base64

import pytest
from fakes.doors import DOMAIN, Visit, open_session

from mercury_s.auth.client_certificate import ClientCertificate
from mercury_s.door import ListenerTerms
from shared.config.logins import Mechanism
from shared.smtp.client_login import Login
from shared.smtp.client_scram import ScramProof

ALICE = f"alice@{DOMAIN}"
HELLO = b"EHLO pc.example\r\n"
EVERYTHING = ListenerTerms(is_submission=True, starttls=True, auth=tuple(map(str, Mechanism)))
HER_CERTIFICATE = ClientCertificate("ab" * 32, (ALICE,))


def b64(text: str | bytes) -> bytes:
    return base64.b64encode(text.encode() if isinstance(text, str) else text)


class Talk:
    """A session under TLS; `say` gives the reply to a line once it is there."""

    def __init__(self, binding: bytes | None = None, certificate: ClientCertificate | None = None) -> None:
        self.visit: Visit = open_session(terms=EVERYTHING)
        self.visit.wire.binding, self.visit.wire.certificate = binding, certificate
        self.visit.say(HELLO + b"STARTTLS\r\n")
        self.offered = self.visit.say(HELLO).decode().partition("AUTH ")[2].split("\r\n")[0].split()

    async def say(self, line: bytes) -> str:
        before = len(self.visit.wire.sent)
        self.visit.say(line + b"\r\n")
        for _ in range(6):
            await asyncio.sleep(0)
        return self.visit.wire.sent[before:].decode().rstrip()

    def says(self, *lines: bytes) -> list[str]:
        async def run() -> list[str]:
            return [await self.say(line) for line in lines]

        return asyncio.run(run())


def codes(replies: list[str]) -> list[str]:
    return [reply[:3] for reply in replies]


def test_what_is_offered_follows_the_connection() -> None:
    usual = ["PLAIN", "LOGIN", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2"]
    assert Talk().offered == usual
    assert Talk(binding=b"E" * 32).offered == [*usual[:3], "SCRAM-SHA-256-PLUS", *usual[3:]]
    assert Talk(certificate=HER_CERTIFICATE).offered == [*usual, "EXTERNAL"]
    assert codes(Talk().says(b"AUTH EXTERNAL =", b"AUTH SCRAM-SHA-256-PLUS")) == ["504", "504"]


def scram(talk: Talk, proof: ScramProof, mechanism: bytes = b"SCRAM-SHA-256") -> list[str]:
    async def run() -> list[str]:
        assert proof.initial is not None
        first = await talk.say(b"AUTH " + mechanism + b" " + b64(proof.initial))
        if not first.startswith("334"):
            return [first]
        second = await talk.say(b64(proof.answer(base64.b64decode(first[4:]))))
        if not second.startswith("334"):
            return [first, second]
        return [first, second, await talk.say(b64(proof.answer(base64.b64decode(second[4:]))))]

    return asyncio.run(run())


def test_scram_shows_both_sides_and_waits_for_the_empty_line() -> None:
    proof = ScramProof(Login(ALICE, "secret", "fyko+d2lbbFgONRv9qkxdawL"))
    assert codes(scram(Talk(), proof)) == ["334", "334", "235"]
    assert proof.is_convinced


def test_scram_with_another_password_or_name_is_refused_at_the_same_line() -> None:
    for name, password in ((ALICE, "guess"), (f"nobody@{DOMAIN}", "secret")):
        proof = ScramProof(Login(name, password, "fyko+d2lbbFgONRv9qkxdawL"))
        replies = scram(Talk(), proof)
        assert replies[1] == "535 5.7.8 The login or the password is wrong"


def test_a_client_told_that_there_is_no_plus_is_refused_when_there_is() -> None:
    first = b64("y,,n=alice,r=fyko+d2lbbFgONRv9qkxdawL")
    assert codes(Talk().says(b"AUTH SCRAM-SHA-256 " + first)) == ["334"]
    assert codes(Talk(binding=b"E" * 32).says(b"AUTH SCRAM-SHA-256 " + first)) == ["501"]


def test_each_exchange_has_a_nonce_of_its_own() -> None:
    first = b"AUTH SCRAM-SHA-256 " + b64("n,,n=alice,r=fyko+d2lbbFgONRv9qkxdawL")
    assert Talk().says(first) != Talk().says(first)


def test_scram_can_be_cancelled_at_every_line_and_forgets() -> None:
    first = b64("n,,n=alice,r=fyko+d2lbbFgONRv9qkxdawL")
    replies = Talk().says(b"AUTH SCRAM-SHA-256", b"*", b"AUTH SCRAM-SHA-256 " + first, b"*", first, b"NOOP")
    assert codes(replies) == ["334", "501", "334", "501", "500", "250"]


def test_a_token_lets_in() -> None:
    bearer = b64(f"n,a={ALICE},\x01auth=Bearer sesame\x01\x01")
    assert codes(Talk().says(b"AUTH OAUTHBEARER " + bearer)) == ["235"]
    assert codes(Talk().says(b"AUTH OAUTHBEARER", bearer)) == ["334", "235"]
    assert codes(Talk().says(b"AUTH XOAUTH2 " + b64(f"user={ALICE}\x01auth=Bearer sesame\x01\x01"))) == ["235"]


@pytest.mark.parametrize("answer", [b"AQ==", b"", b"=", b"*", b"anything"])
def test_a_wrong_token_is_told_why_and_then_refused_whatever_is_answered(answer: bytes) -> None:
    talk = Talk()
    replies = talk.says(b"AUTH OAUTHBEARER " + b64("n,,\x01auth=Bearer guess\x01\x01"), answer, b"NOOP")
    assert base64.b64decode(replies[0][4:]) == b'{"status":"invalid_token","schemes":"bearer"}'
    assert codes(replies) == ["334", "535", "250"]


def test_an_initial_response_may_be_longer_than_a_command() -> None:
    bearer = b64("n,,\x01host=" + "x" * 6000 + "\x01auth=Bearer sesame\x01\x01")
    assert codes(Talk().says(b"AUTH OAUTHBEARER " + bearer)) == ["235"]
    assert codes(Talk().says(b"NOOP " + bearer)) == ["500"]
    assert codes(Talk().says(b"AUTH PLAIN " + b"A" * 20000)) == ["500"]


def test_a_certificate_lets_in_as_whom_it_is_for() -> None:
    def talk() -> Talk:
        return Talk(certificate=HER_CERTIFICATE)

    assert codes(talk().says(b"AUTH EXTERNAL =")) == ["235"]
    assert codes(talk().says(b"AUTH EXTERNAL", b"")) == ["334", "235"]
    assert codes(talk().says(b"AUTH EXTERNAL " + b64(ALICE))) == ["235"]
    assert codes(talk().says(b"AUTH EXTERNAL " + b64(f"bob@{DOMAIN}"))) == ["535"]
    assert codes(talk().says(b"AUTH EXTERNAL " + b64("a\0b"), b"AUTH EXTERNAL " + b64(b"\xff"))) == ["501", "501"]
