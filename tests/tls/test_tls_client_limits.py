"""What a server cannot do to a client inside TLS: renegotiate, be told anything too early, end an answer by vanishing.

Real handshakes in memory, with OpenSSL at both ends.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fakes.certificates import Authority, make_authority, make_certificate
from OpenSSL import SSL
from test_tls_client import Meeting, ServerEnd
from twisted.internet import error
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from shared.mail.address import parse_address
from shared.mail.content import BytesContent
from shared.mail.envelope import Envelope, Recipient
from shared.mail.outcome import Deferred, Delivered, Outcome
from shared.smtp.client_events import Ended, Finished
from shared.smtp.judge import End
from shared.tls.client import ClientTls, RememberedServer

TLS_1_2 = (SSL.TLS1_2_VERSION, SSL.TLS1_2_VERSION)
_library: Any = SSL._lib  # type: ignore[attr-defined]
EARLY_DATA = 42  #  the extension of RFC 8446 §4.2.10


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return make_authority(tmp_path)


@pytest.fixture(params=["verified", "unverified"])
def creator(request: pytest.FixtureRequest, authority: Authority) -> RememberedServer:
    made: RememberedServer = getattr(ClientTls(authority.certificate), request.param)("relay.example", 25)
    return made


@pytest.fixture
def pair(tmp_path: Path, authority: Authority) -> tuple[Path, Path]:
    return make_certificate(tmp_path, ["relay.example"], authority)


def test_nobody_renegotiates_with_us(creator: RememberedServer, pair: tuple[Path, Path]) -> None:
    meeting = Meeting(creator, ServerEnd(pair, TLS_1_2))
    assert meeting.ended is None
    server = meeting.server._tlsConnection
    server.renegotiate()
    server.do_handshake()  #  says HelloRequest, and does not wait
    meeting.server._flushSendBIO()
    request = meeting.theirs.value()
    meeting.theirs.clear()
    meeting.client.dataReceived(request)
    answer = meeting.ours.value()
    #  One alert, sealed, and no ClientHello.
    assert answer[0] == 21 and len(answer) < 64
    assert not meeting.ours.disconnecting, "that it asked is no harm"


def extensions(hello: bytes) -> set[int]:
    """The numbers of the extensions in the record of a ClientHello (RFC 8446 §4.1.2)."""
    assert hello[0] == 22 and hello[5] == 1
    at = 9 + 2 + 32
    at += 1 + hello[at]
    at += 2 + int.from_bytes(hello[at : at + 2])
    at += 1 + hello[at]
    end = at + 2 + int.from_bytes(hello[at : at + 2])
    at += 2
    found = set()
    while at < end:
        found.add(int.from_bytes(hello[at : at + 2]))
        at += 4 + int.from_bytes(hello[at + 2 : at + 4])
    return found


def test_a_server_that_takes_early_data_gets_none(creator: RememberedServer, pair: tuple[Path, Path]) -> None:
    server = ServerEnd(pair)
    _library.SSL_CTX_set_max_early_data(server.context._context, 16384)  # type: ignore[attr-defined]
    first = Meeting(creator, server)
    first.connection.remember_session()
    session: Any = creator._session
    assert session is not None and _library.SSL_SESSION_get_max_early_data(session._session) == 16384
    again: Any = creator.clientConnectionForTLS(first.client)
    again.set_connect_state()
    with pytest.raises(SSL.WantReadError):
        again.do_handshake()
    hello = again.bio_read(65536)
    assert 41 in extensions(hello), "it offers to resume the session"
    assert EARLY_DATA not in extensions(hello)
    assert len(hello) == 5 + int.from_bytes(hello[3:5]), "and says nothing behind the hello"


class Taker(Protocol):
    """Takes a message up to its end, and leaves the last answer to the test."""

    def connectionMade(self) -> None:
        self.transport.write(b"220 relay.example\r\n")

    def dataReceived(self, data: bytes) -> None:
        if not data.endswith(b"\r\n.\r\n"):
            self.transport.write(b"354 go\r\n" if data == b"DATA\r\n" else b"250 2.0.0 ok\r\n")


def cut_off(meeting: Meeting, last_words: bytes, is_orderly: bool) -> tuple[Outcome, Ended]:
    """A message is answered with `last_words`, and then the connection is gone: after TLS's goodbye, or without."""
    finished: list[Finished] = []
    ended: list[Ended] = []
    meeting.connection.finished = lambda _, event: finished.append(event)
    meeting.connection.ended = lambda _, event: ended.append(event)
    who = (Recipient(parse_address("bob@x.example")),)
    envelope = Envelope("ID", parse_address("anna@hq.example"), who, 0.0)
    meeting.connection.send(envelope, who, BytesContent(b"Subject: x\r\n\r\nHello.\r\n"))
    meeting.pump()
    assert not finished
    meeting.server.write(last_words)
    if is_orderly:
        meeting.server.loseConnection()
    meeting.pump()
    meeting.client.connectionLost(Failure(error.ConnectionDone()))
    [outcome] = finished[0].outcomes.values()
    return outcome, ended[0]


@pytest.mark.parametrize("is_orderly", [True, False])
@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_an_answer_that_tls_cuts_off_is_none(
    creator: RememberedServer, pair: tuple[Path, Path], version: int, is_orderly: bool
) -> None:
    """RFC 5246 §7.2.1, RFC 8446 §6.1: what an end without close_notify may have cut is not taken for whole."""
    for half in (b"250-2.0.0 ok\r\n", b"250 2.0.0 ok", b""):
        meeting = Meeting(creator, ServerEnd(pair, (version, version)), Taker)
        outcome, ended = cut_off(meeting, half, is_orderly)
        assert isinstance(outcome, Deferred) and outcome.maybe_delivered, half
        assert ended.end is End.LOST


@pytest.mark.parametrize("is_orderly", [True, False])
def test_an_answer_that_was_whole_counts_whatever_became_of_tls(
    creator: RememberedServer, pair: tuple[Path, Path], is_orderly: bool
) -> None:
    """The end of a reply is its own; one that was taken is not sent a second time for a missing goodbye."""
    outcome, _ = cut_off(Meeting(creator, ServerEnd(pair), Taker), b"250 2.0.0 ok\r\n", is_orderly)
    assert isinstance(outcome, Delivered)
