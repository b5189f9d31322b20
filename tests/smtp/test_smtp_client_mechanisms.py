"""How a client logs in: the strongest way that both sides can, never a secret in clear, tokens and their refusals."""

from __future__ import annotations

import base64
from itertools import combinations

import pytest
from client_words import Client, Opening, StartTls, ehlo
from scramp import ScramMechanism

from shared.smtp.client_login import Login
from shared.smtp.client_mechanisms import MECHANISMS, choose_mechanisms
from shared.smtp.judge import End
from shared.smtp.sasl_scram import Opening as ServerOpening
from shared.smtp.sasl_scram import Proof as ServerProof
from shared.smtp.sasl_scram import ScramExchange, derive_keys

BINDING = b"\x07" * 32
PASSWORD = Login("office", "s3cret", "abcdefghijklmnop")
TOKEN = Login("office@hq.example", token="ya29.t0ken", host="smtp.example", port=587)
CERTIFICATE = Login("office", has_certificate=True)
EVERYTHING = "AUTH " + " ".join(reversed(MECHANISMS))


def talk(login: Login, offer: str = EVERYTHING, binding: bytes | None = BINDING) -> Client:
    client = Client(Opening("me.example", StartTls.REQUIRED, is_secure=True, login=login))
    client.conversation.secured(binding=binding)
    return client.hear("220 mx.example", *ehlo(offer))


def last(client: Client) -> str:
    return client.lines()[-1]


@pytest.mark.parametrize(
    ("login", "order"),
    [
        (PASSWORD, ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"]),
        (TOKEN, ["OAUTHBEARER", "XOAUTH2"]),
        (CERTIFICATE, ["EXTERNAL"]),
        (
            Login("u", "p", "n" * 16, has_certificate=True),
            ["EXTERNAL", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"],
        ),
        (Login("u", "p", "n" * 16, denied=frozenset({"PLAIN", "SCRAM-SHA-256-PLUS"})), ["SCRAM-SHA-256", "LOGIN"]),
        (Login("u"), []),
    ],
)
def test_the_strongest_that_is_offered_and_not_denied(login: Login, order: list[str]) -> None:
    assert choose_mechanisms(MECHANISMS, login, BINDING) == order
    for offered in combinations(MECHANISMS, 3):
        assert choose_mechanisms(offered, login, BINDING) == [name for name in order if name in offered]


def test_in_clear_nothing_that_shows_a_secret() -> None:
    assert choose_mechanisms(MECHANISMS, PASSWORD, None, is_secure=False) == ["SCRAM-SHA-256"]
    for login in (TOKEN, CERTIFICATE, Login("u", "p")):
        assert choose_mechanisms(MECHANISMS, login, None, is_secure=False) == []


def test_a_login_that_everything_is_denied_to_is_never_begun() -> None:
    client = talk(Login("office", "s3cret", "n" * 16, denied=frozenset(MECHANISMS)))
    assert client.ended().end is End.LOGIN and b"AUTH" not in client.said


# -- SCRAM, with channel binding -----------------------------------------------------------------------------------


def encoded(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def test_scram_convinces_a_server_that_is_not_ours_and_says_that_it_could_bind() -> None:
    scram = ScramMechanism("SCRAM-SHA-256")
    salt, stored, server_key, count = scram.make_auth_info("s3cret", iteration_count=4096)
    server = scram.make_server(lambda user: (salt, stored, server_key, count))
    client = talk(PASSWORD, "AUTH PLAIN SCRAM-SHA-256")
    first = base64.b64decode(last(client).split()[2]).decode()
    assert first.startswith("y,,n=office,")
    server.set_client_first(first)
    client.hear("334 " + encoded(server.get_server_first()))
    server.set_client_final(base64.b64decode(last(client)).decode())
    client.hear("334 " + encoded(server.get_server_final()), "235 ok")
    assert client.conversation.is_idle


@pytest.mark.parametrize("seen", [BINDING, b"\x08" * 32])
def test_scram_bound_to_the_connection_is_good_for_this_connection_alone(seen: bytes) -> None:
    client = talk(PASSWORD)
    words = last(client).split()
    assert words[:2] == ["AUTH", "SCRAM-SHA-256-PLUS"]
    server = ScramExchange("server" * 4, seen, is_plus_offered=True)
    assert isinstance(server.open(base64.b64decode(words[2])), ServerOpening)
    client.hear("334 " + encoded(server.challenge(derive_keys("s3cret", b"salt", 4096))))
    proof = server.prove(base64.b64decode(last(client)))
    assert isinstance(proof, ServerProof) and proof.is_right is (seen == BINDING)
    if proof.is_right:
        assert client.hear("334 " + encoded(proof.signature), "235 ok").conversation.is_idle


@pytest.mark.parametrize(
    ("login", "offer", "binding"),
    [
        (PASSWORD, "AUTH SCRAM-SHA-256 SCRAM-SHA-256-PLUS", None),
        (Login("office", "s3cret", "n" * 16, denied=frozenset({"SCRAM-SHA-256-PLUS"})), EVERYTHING, BINDING),
    ],
)
def test_who_does_not_bind_does_not_say_that_he_could(login: Login, offer: str, binding: bytes | None) -> None:
    words = last(talk(login, offer, binding)).split()
    assert words[1] == "SCRAM-SHA-256" and base64.b64decode(words[2]).startswith(b"n,,")


# -- EXTERNAL ------------------------------------------------------------------------------------------------------


def test_external_says_whose_account_is_meant() -> None:
    client = talk(CERTIFICATE)
    assert last(client) == "AUTH EXTERNAL " + base64.b64encode(b"office").decode()
    assert client.hear("235 ok").conversation.is_idle
    assert last(talk(Login("", has_certificate=True))) == "AUTH EXTERNAL ="


def test_a_certificate_that_is_nobodys_there_gives_way_to_the_password() -> None:
    client = talk(Login("office", "s3cret", has_certificate=True), "AUTH EXTERNAL PLAIN")
    client.hear("535 5.7.8 who?")
    assert last(client).startswith("AUTH PLAIN ")
    client.hear("535 5.7.8 wrong")
    assert client.ended().end is End.LOGIN
    assert talk(CERTIFICATE).hear("535 5.7.8 who?").ended().reply is not None


# -- tokens --------------------------------------------------------------------------------------------------------


def test_a_token_as_oauthbearer_and_as_xoauth2() -> None:
    words = last(talk(TOKEN)).split()
    assert words[1] == "OAUTHBEARER"
    assert base64.b64decode(words[2]) == (
        b"n,a=office@hq.example,\x01host=smtp.example\x01port=587\x01auth=Bearer ya29.t0ken\x01\x01"
    )
    words = last(talk(TOKEN, "AUTH PLAIN LOGIN XOAUTH2")).split()
    assert words[1] == "XOAUTH2"
    assert base64.b64decode(words[2]) == b"user=office@hq.example\x01auth=Bearer ya29.t0ken\x01\x01"


def test_a_name_with_the_signs_of_the_grammar() -> None:
    message = base64.b64decode(last(talk(Login("a,b=c", token="t"))).split()[2])
    assert message.startswith(b"n,a=a=2Cb=3Dc,\x01")


@pytest.mark.parametrize(("offer", "answer"), [("OAUTHBEARER", "AQ=="), ("XOAUTH2", "")])
def test_a_refused_token_is_told_why_and_answered_as_the_rfc_says(offer: str, answer: str) -> None:
    client = talk(TOKEN, f"AUTH {offer}")
    reason = base64.b64encode(b'{"status":"invalid_token","scope":"smtp\r\n"}').decode()
    client.hear("334 " + reason)
    assert last(client) == answer
    client.hear("535 5.7.8 no")
    ended = client.ended()
    assert ended.end is End.LOGIN and ended.reply is not None and ended.reply.code == 535
    assert "invalid_token" in ended.detail and ended.detail.isprintable()
    assert "t0ken" not in repr(ended) + repr(TOKEN)


def test_a_server_that_never_stops_asking_is_left() -> None:
    client = talk(TOKEN, "AUTH XOAUTH2").hear("334 e30=", "334 e30=")
    assert client.ended().end is End.LOGIN and "asks again" in client.ended().detail


def test_a_long_token_waits_for_the_question() -> None:
    login = Login("office@hq.example", token="t" * 2000)
    client = talk(login, "AUTH XOAUTH2")
    assert last(client) == "AUTH XOAUTH2"
    client.hear("334 ")
    assert base64.b64decode(last(client)).endswith(b"t" * 2000 + b"\x01\x01")
    client.hear("334 e30=")
    assert last(client) == ""


def test_a_token_is_not_shown_to_whoever_offers_only_passwords() -> None:
    client = talk(TOKEN, "AUTH PLAIN LOGIN SCRAM-SHA-256")
    assert client.ended().end is End.LOGIN and b"AUTH" not in client.said
