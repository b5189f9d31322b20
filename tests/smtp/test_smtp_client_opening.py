"""From the first octet to the first message: EHLO, STARTTLS, AUTH, and what ends a conversation before it begins."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from client_words import HOST, Client, Cut, Opened, Opening, StartTls, TlsWanted, ehlo, singly, whole

from shared.smtp.client import PATIENCE
from shared.smtp.client_login import Login
from shared.smtp.judge import End, Step

LOGIN = Login("office", "s3cret", nonce="abcdefghijklmnop")
RELAY = Opening("me.example", StartTls.REQUIRED, login=LOGIN)
NUL = b"\0"
PLAIN_LINE = "AUTH PLAIN " + base64.b64encode(b"\0office\0s3cret").decode()


@pytest.fixture(params=[whole, singly])
def cut(request: pytest.FixtureRequest) -> Cut:
    return request.param  # type: ignore[no-any-return]


def test_ehlo_and_what_was_offered(cut: Cut) -> None:
    client = Client(cut=cut).hear("220-mx.example ESMTP", "220 be welcome")
    assert client.lines() == ["EHLO me.example"]
    client.hear(*ehlo("PIPELINING", "size 1000", "AUTH=LOGIN", "AUTH PLAIN LOGIN", "LIMITS RCPTMAX=50 MAILMAX=x", ""))
    [opened] = client.events
    assert isinstance(opened, Opened)
    offer = opened.extensions
    assert "PIPELINING" in offer and "8BITMIME" not in offer
    assert (offer.size, offer.auth, dict(offer.limits)) == (1000, ("LOGIN", "PLAIN"), {"RCPTMAX": 50})
    assert client.conversation.is_idle and client.conversation.timeout is None


@pytest.mark.parametrize("refusal", ["500 what?", "502 5.5.1 not here"])
def test_helo_is_for_servers_that_do_not_know_ehlo(refusal: str, cut: Cut) -> None:
    client = Client(cut=cut).hear("220 mx.example", refusal)
    assert client.lines() == ["EHLO me.example", "HELO me.example"]
    client.hear("250 mx.example")
    assert client.conversation.is_idle and not client.conversation.extensions.keywords


@pytest.mark.parametrize("refusal", ["550 5.7.1 no", "554 go away", "450 later", "504 no", "421 4.3.2 later"])
@pytest.mark.parametrize("greeting", [(), ("220 mx.example",), ("220 mx.example", "502 what?")])
def test_a_refusal_before_any_mail_is_about_the_connection(refusal: str, greeting: tuple[str, ...]) -> None:
    client = Client().hear(*greeting, refusal)
    assert client.ended().end is End.REFUSED
    assert client.ended().reply is not None and client.ended().reply.code == int(refusal[:3])
    assert client.lines()[-1] == "QUIT"
    assert client.conversation.is_over and client.conversation.timeout is None


@pytest.mark.parametrize("greeting", ["250 hello", "354 hello", "hello", "SSH-2.0-OpenSSH", "220-a\r\n250 b"])
def test_what_does_not_greet_is_left(greeting: str, cut: Cut) -> None:
    client = Client(cut=cut).hear(greeting)
    assert client.ended().end is End.BREACH and client.said == b""


def test_a_server_with_our_name_is_ourselves(cut: Cut) -> None:
    assert Client(cut=cut).hear("220 ME.example. ESMTP").ended().end is End.LOOP
    assert Client(cut=cut).hear("220 mx.example", "250-me.EXAMPLE", "250 SIZE").ended().end is End.LOOP
    assert not Client(Opening("localhost"), cut).hear("220 localhost", "250 localhost").conversation.is_over


# -- STARTTLS ----------------------------------------------------------------------------------------------------------


def test_tls_comes_first_and_only_what_is_offered_inside_counts(cut: Cut) -> None:
    client = Client(RELAY, cut).hear("220 mx.example", *ehlo("STARTTLS", "SIZE 5", "AUTH PLAIN CRAM-MD5", "DSN"))
    assert client.lines() == ["EHLO me.example", "STARTTLS"]
    client.hear("220 go")
    assert client.events == [TlsWanted()]
    assert client.conversation.timeout is not None
    client.conversation.secured()
    assert client.look().lines() == ["EHLO me.example"]
    client.hear(*ehlo("AUTH LOGIN", "SIZE 1000"))
    assert client.conversation.extensions.size == 1000 and "DSN" not in client.conversation.extensions
    assert client.lines() == ["AUTH LOGIN"]


@pytest.mark.parametrize("injected", ["250-mx.example\r\n250 AUTH PLAIN\r\n", "250-AUTH PL", "\r\n", " "])
def test_words_behind_the_answer_to_starttls_end_the_conversation(injected: str) -> None:
    client = Client(RELAY).hear("220 mx.example", *ehlo("STARTTLS"))
    client.hear_octets(b"220 go\r\n" + injected.encode())
    assert client.ended().end is End.BREACH
    assert not any(isinstance(event, TlsWanted) for event in client.events)


@pytest.mark.parametrize("octets", [b"250 mx.example\r\n", b"250-AUTH PL\r\n250 x\r\n"])
def test_plain_text_in_place_of_the_handshake_ends_it(octets: bytes, cut: Cut) -> None:
    client = Client(RELAY, cut).hear("220 mx.example", *ehlo("STARTTLS")).hear("220 go")
    client.hear_octets(octets)
    assert client.ended().end is End.BREACH


@pytest.mark.parametrize("answer", ["454 4.7.0 not now", "502 no", "554 5.7.3 no"])
def test_a_demanded_tls_is_demanded(answer: str) -> None:
    client = Client(RELAY).hear("220 mx.example", *ehlo("STARTTLS", "AUTH PLAIN"), answer)
    assert client.ended().end is End.NO_TLS
    client = Client(RELAY).hear("220 mx.example", *ehlo("AUTH PLAIN"))
    assert client.ended().end is End.NO_TLS
    assert b"AUTH" not in client.said and b"MAIL" not in client.said
    client = Client(RELAY).hear("220 mx.example", "502 what?", "250 mx.example")
    assert client.ended().end is End.NO_TLS


def test_tls_that_is_only_welcome_may_be_refused(cut: Cut) -> None:
    client = Client(Opening("me.example"), cut).hear("220 mx.example", *ehlo("STARTTLS"), "454 4.7.0 not now")
    assert client.conversation.is_idle and not client.conversation.is_secure
    client = Client(Opening("me.example", StartTls.NEVER), cut).hear("220 mx.example", *ehlo("STARTTLS"))
    assert client.conversation.is_idle
    assert client.lines() == ["EHLO me.example"]


def test_a_failing_handshake_is_a_failure_of_tls() -> None:
    client = Client(RELAY).hear("220 mx.example", *ehlo("STARTTLS"), "220 go")
    client.conversation.lost("certificate has expired")
    assert client.look().ended().end is End.TLS and client.ended().detail == "certificate has expired"
    client = Client(RELAY).hear("220 mx.example", *ehlo("STARTTLS"), "220 go")
    client.conversation.expired()
    assert client.look().ended().end is End.TLS


def test_tls_from_the_first_octet() -> None:
    client = Client(Opening("me.example", StartTls.REQUIRED, is_secure=True, login=LOGIN))
    client.conversation.secured()
    client.hear("220 mx.example", *ehlo("AUTH PLAIN", "STARTTLS"))
    assert client.lines() == ["EHLO me.example", PLAIN_LINE]


# -- AUTH --------------------------------------------------------------------------------------------------------------


def inside_tls(*offers: str, login: Login = LOGIN, cut: Cut = whole) -> Client:
    client = Client(Opening("me.example", StartTls.REQUIRED, is_secure=True, login=login), cut)
    client.conversation.secured()
    client.hear("220 mx.example", *ehlo(*offers))
    assert client.lines()[0] == "EHLO me.example" if client.conversation.is_over else True
    return client


@pytest.mark.parametrize("starttls", [StartTls.NEVER, StartTls.IF_OFFERED])
def test_a_password_is_not_sent_in_clear(starttls: StartTls) -> None:
    client = Client(Opening("me.example", starttls, login=LOGIN)).hear("220 mx.example", *ehlo("AUTH PLAIN LOGIN"))
    assert client.ended().end is End.NO_TLS
    assert client.lines() == ["EHLO me.example", "QUIT"]


def test_in_clear_a_login_must_be_allowed_and_even_then_the_password_stays_here() -> None:
    opening = Opening("me.example", StartTls.NEVER, login=LOGIN, login_in_clear=True)
    client = Client(opening).hear("220 mx.example", *ehlo("AUTH PLAIN LOGIN SCRAM-SHA-256"))
    assert client.lines()[-1].startswith("AUTH SCRAM-SHA-256 ")
    client = Client(opening).hear("220 mx.example", *ehlo("AUTH PLAIN LOGIN EXTERNAL"))
    assert (
        client.ended().end is End.LOGIN
        and "without TLS a password goes by SCRAM-SHA-256 only" in client.ended().detail
    )
    assert b"AUTH" not in client.said


def test_plain(cut: Cut) -> None:
    client = inside_tls("AUTH LOGIN PLAIN", cut=cut)
    assert client.lines()[-1] == PLAIN_LINE
    client.hear("235 2.7.0 welcome")
    assert client.conversation.is_idle


def test_a_long_answer_waits_for_the_question() -> None:
    login = Login("office", "x" * 500)
    client = inside_tls("AUTH PLAIN", login=login)
    assert client.lines()[-1] == "AUTH PLAIN"
    client.hear("334 ")
    assert base64.b64decode(client.lines()[0]) == b"\0office\0" + b"x" * 500


def test_login(cut: Cut) -> None:
    client = inside_tls("AUTH LOGIN CRAM-MD5", cut=cut)
    assert client.lines()[-1] == "AUTH LOGIN"
    client.hear("334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6")
    assert [base64.b64decode(line) for line in client.lines()] == [b"office", b"s3cret"]
    client.hear("235 ok")
    assert client.conversation.is_idle


def scram_server(first: str, iterations: int = 4096, password: bytes = b"s3cret") -> tuple[str, str, str]:
    """Server-first, the proof to expect, and server-final (RFC 5802 §3)."""
    bare = base64.b64decode(first).decode().removeprefix("n,,")
    nonce = bare.split("r=")[1] + "SERVER"
    server_first = f"r={nonce},s={base64.b64encode(b'salt').decode()},i={iterations}"
    salted = hashlib.pbkdf2_hmac("sha256", password, b"salt", iterations)
    text = f"{bare},{server_first},c=biws,r={nonce}".encode()
    key = hmac.digest(salted, b"Client Key", "sha256")
    sign = hmac.digest(hashlib.sha256(key).digest(), text, "sha256")
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, sign, strict=True))).decode()
    final = base64.b64encode(hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), text, "sha256")).decode()
    return server_first, f"c=biws,r={nonce},p={proof}", f"v={final}"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_scram_is_preferred_and_proves_both_sides(cut: Cut) -> None:
    client = inside_tls("AUTH PLAIN LOGIN SCRAM-SHA-256", cut=cut)
    words = client.lines()[-1].split()
    assert words[:2] == ["AUTH", "SCRAM-SHA-256"]
    first, proof, final = scram_server(words[2])
    client.hear("334 " + encoded(first))
    assert base64.b64decode(client.lines()[0]).decode() == proof
    client.hear("334 " + encoded(final))
    assert client.lines() == [""]
    client.hear("235 ok")
    assert client.conversation.is_idle
    assert b"s3cret" not in base64.b64decode(words[2])


def test_a_server_that_does_not_know_the_password_is_left() -> None:
    client = inside_tls("AUTH SCRAM-SHA-256")
    first, _, final = scram_server(client.lines()[-1].split()[2], password=b"other")
    client.hear("334 " + encoded(first), "334 " + encoded(final))
    assert client.ended().end is End.LOGIN
    client = inside_tls("AUTH SCRAM-SHA-256").hear("235 ok")
    assert client.ended().end is End.LOGIN


@pytest.mark.parametrize(
    "challenge",
    ["r=other,s=c2FsdA==,i=4096", "r=abcdefghijklmnop,s=c2FsdA==,i=4096", "x", "r=abcdefghijklmnopX,s=!,i=1",
     "r=abcdefghijklmnopX,s=c2FsdA==,i=2000000000", "r=abcdefghijklmnopX,s=c2FsdA==,i=0", "\0", "é"],
)  # fmt: skip
def test_a_bad_challenge_ends_the_login(challenge: str) -> None:
    client = inside_tls("AUTH SCRAM-SHA-256").hear("334 " + encoded(challenge))
    assert client.ended().end is End.LOGIN
    assert inside_tls("AUTH SCRAM-SHA-256").hear("334 not base64!").ended().end is End.LOGIN
    assert inside_tls("AUTH PLAIN").hear("334 " + encoded("more?")).ended().end is End.LOGIN


def test_a_mechanism_that_is_not_there_after_all_gives_way_to_the_next() -> None:
    client = inside_tls("AUTH SCRAM-SHA-256 PLAIN").hear("504 5.5.4 not here")
    assert client.lines()[-1] == PLAIN_LINE
    client.hear("504 not either")
    assert client.ended().end is End.LOGIN


@pytest.mark.parametrize("refusal", ["535 5.7.8 bad password", "454 4.7.0 not now", "550 no", "534 5.7.9 too weak"])
def test_a_refused_login_is_tried_once(refusal: str) -> None:
    client = inside_tls("AUTH SCRAM-SHA-256 PLAIN LOGIN").hear(refusal)
    assert client.ended().end is End.LOGIN
    assert len([line for line in client.lines() if line.startswith("AUTH")]) == 1


@pytest.mark.parametrize("offer", ["AUTH CRAM-MD5 NTLM", "AUTH", "SIZE"])
def test_nothing_weaker_is_used(offer: str) -> None:
    client = inside_tls(offer)
    assert client.ended().end is End.LOGIN
    assert not [line for line in client.lines() if line.startswith("AUTH")]


def test_no_secret_in_any_repr() -> None:
    assert "s3cret" not in repr(RELAY) and "s3cret" not in repr(LOGIN)
    client = inside_tls("AUTH PLAIN").hear("535 5.7.8 bad")
    assert "s3cret" not in repr(client.events)


# -- the rest ----------------------------------------------------------------------------------------------------------


def test_each_state_has_its_patience() -> None:
    client = Client(RELAY)
    assert client.conversation.timeout == PATIENCE[Step.GREETING] == 300
    client.hear("220 mx.example")
    assert client.conversation.timeout == PATIENCE[Step.EHLO]
    moves = client.conversation.moves
    client.hear_octets(b"250-mx.exam")
    assert client.conversation.moves == moves, "half a reply moves no deadline"
    client.conversation.expired()
    assert client.look().ended().end is End.SILENT
    assert client.ended().detail == "waited 300 s for the answer to EHLO"


@pytest.mark.parametrize("helo", ["", "a b", "a\r\nMAIL FROM:<>", "bücher.example", "a\0"])
def test_a_name_that_cannot_be_said_is_refused_at_once(helo: str) -> None:
    with pytest.raises(ValueError):
        Opening(helo)


def test_goodbye(cut: Cut) -> None:
    client = Client(cut=cut).opened()
    client.conversation.quit()
    assert client.look().lines() == ["QUIT"]
    assert client.conversation.timeout == PATIENCE[Step.QUIT]
    assert client.hear("221 2.0.0 bye").ended().end is End.GOODBYE
    client.hear("250 and another thing")
    assert len(client.events) == 1


@pytest.mark.parametrize("last", ["421 4.3.2 closing", "500 what?"])
def test_any_answer_to_goodbye_will_do(last: str) -> None:
    client = Client().opened()
    client.conversation.quit()
    assert client.look().hear(last).ended().end is End.GOODBYE


def test_a_connection_that_ends_at_rest_harms_nobody() -> None:
    client = Client().opened()
    client.conversation.lost("closed")
    assert [type(event).__name__ for event in client.look().events] == ["Ended"]
    assert Client().opened().hear("421 4.4.2 too long").ended().end is End.CLOSING
    assert Client().opened().hear("250 what").ended().end is End.BREACH
    assert HOST
