"""Whom a client believes: real handshakes in memory, between the pump of a next hop and a real TLS server."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fakes.certificates import Authority, make_authority, make_certificate
from OpenSSL import SSL
from twisted.internet import error
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from shared.routing.next_hop import Trust
from shared.smtp.client import Conversation
from shared.smtp.client_events import Ended, Opening, StartTls
from shared.smtp.judge import End
from shared.tls.client import ClientTls, RememberedServer, TrustUnusable
from shared.transport.connection import SmtpConnection

Pair = tuple[Path, Path]


@implementer(IOpenSSLServerConnectionCreator)
class ServerEnd:
    def __init__(self, pair: Pair, versions: tuple[int, int] | None = None) -> None:
        self.context = SSL.Context(SSL.TLS_SERVER_METHOD)
        self.context.use_certificate_chain_file(str(pair[0]))
        self.context.use_privatekey_file(str(pair[1]))
        self.context.set_session_id(b"test")
        if versions:
            self.context.set_min_proto_version(versions[0])
            self.context.set_max_proto_version(versions[1])
            self.context.set_cipher_list(b"ALL:@SECLEVEL=0")
        self.names: list[bytes | None] = []
        self.context.set_tlsext_servername_callback(lambda connection: self.names.append(connection.get_servername()))

    def serverConnectionForTLS(self, protocol: object) -> SSL.Connection:
        return SSL.Connection(self.context, None)


class Greeter(Protocol):
    def connectionMade(self) -> None:
        self.transport.write(b"220 relay.example\r\n")

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(b"250 relay.example\r\n")


class Pipe(StringTransport):
    def setTcpNoDelay(self, enabled: bool) -> None:
        pass

    def abortConnection(self) -> None:
        self.disconnecting = True


class Meeting:
    """One connection to a server with this certificate. `ended` is None when it was believed."""

    def __init__(
        self, creator: RememberedServer, server: ServerEnd, greeter: Callable[[], Protocol] = Greeter
    ) -> None:
        self.results: list[Ended | None] = []
        opening = Opening("me.example", StartTls.REQUIRED, is_secure=True)
        self.connection = SmtpConnection(
            Clock(), Conversation(opening), creator, False, "relay", lambda _, ended: self.results.append(ended)
        )
        self.ours, self.theirs = Pipe(), Pipe()
        self.clock: Any = Clock()
        inner = Factory.forProtocol(lambda: self.connection)
        self.client: Any = TLSMemoryBIOFactory(creator, True, inner, self.clock).buildProtocol(None)
        there = Factory.forProtocol(greeter)
        self.server: Any = TLSMemoryBIOFactory(server, False, there, self.clock).buildProtocol(None)
        assert isinstance(self.client, TLSMemoryBIOProtocol)
        self.server.makeConnection(self.theirs)
        self.client.makeConnection(self.ours)
        self.pump()

    def pump(self) -> None:
        while self.clock.advance(0) or self.ours.value() or self.theirs.value():
            out, back = self.ours.value(), self.theirs.value()
            self.ours.clear()
            self.theirs.clear()
            if out:
                self.server.dataReceived(out)
            if back and not self.ours.disconnecting:
                self.client.dataReceived(back)
        if self.ours.disconnecting and not self.results:
            self.client.connectionLost(Failure(error.ConnectionDone()))

    @property
    def ended(self) -> Ended | None:
        [ended] = self.results
        return ended


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return make_authority(tmp_path)


def verified(authority: Authority, host: str, pair: Pair, **more: Any) -> Meeting:
    return Meeting(ClientTls(authority.certificate).verified(host, 465), ServerEnd(pair, **more))


@pytest.mark.parametrize(
    ("names", "host"),
    [
        (["relay.example"], "relay.example"),
        (["other.example", "relay.example"], "RELAY.example"),
        (["*.hq.example"], "relay.hq.example"),
        (["192.0.2.1"], "192.0.2.1"),
        (["2001:db8::1"], "2001:db8::1"),
        (["xn--bcher-kva.example"], "bücher.example"),
    ],
)
def test_a_certificate_that_names_the_host_is_believed(
    tmp_path: Path, authority: Authority, names: list[str], host: str
) -> None:
    assert verified(authority, host, make_certificate(tmp_path, names, authority)).ended is None


@pytest.mark.parametrize(
    ("names", "host", "words"),
    [
        (["other.example"], "relay.example", "does not name relay.example"),
        (["*.com"], "relay.com", "does not name"),
        (["relay.example.evil.example"], "relay.example", "does not name"),
        (["192.0.2.1"], "192.0.2.2", "does not name 192.0.2.2"),
        (["relay.example"], "192.0.2.1", "does not name"),
    ],
)
def test_a_certificate_for_somebody_else_is_not(
    tmp_path: Path, authority: Authority, names: list[str], host: str, words: str
) -> None:
    ended = verified(authority, host, make_certificate(tmp_path, names, authority)).ended
    assert ended is not None and ended.end is End.TLS
    assert words in ended.detail


def test_why_a_chain_is_not_believed_is_said(tmp_path: Path, authority: Authority) -> None:
    own = make_certificate(tmp_path, ["relay.example"])
    old = make_certificate(tmp_path, ["relay.example"], authority, lasts=timedelta(days=-1))
    stranger = make_certificate(tmp_path, ["relay.example"], make_authority(tmp_path, "Somebody"))
    for pair, words in ((own, "self"), (old, "expired"), (stranger, "self")):
        ended = verified(authority, "relay.example", pair).ended
        assert ended is not None and ended.end is End.TLS
        assert "certificate verify failed" in ended.detail and words in ended.detail


def test_a_common_name_names_nobody(tmp_path: Path, authority: Authority) -> None:
    _, key_path = make_certificate(tmp_path, ["unused.example"], authority)
    key = serialization.load_pem_private_key(key_path.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "relay.example")]))
        .issuer_name(authority.signer.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(authority.key, hashes.SHA256())
    )
    path = tmp_path / "common-name.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    ended = verified(authority, "relay.example", (path, key_path)).ended
    assert ended is not None and ended.end is End.TLS and "does not name relay.example" in ended.detail


@pytest.mark.parametrize("host", ["my relay", "b\u00fc cher.example", ""])
def test_a_name_that_no_certificate_can_hold_is_refused_before_a_connection(host: str) -> None:
    with pytest.raises(ValueError):
        ClientTls().verified(host, 465)


def test_unverified_believes_anybody_and_names_whom_it_wants(tmp_path: Path) -> None:
    server = ServerEnd(make_certificate(tmp_path, ["other.example"], lasts=timedelta(days=-1)))
    tls = ClientTls()
    for host, name in (("relay.example", b"relay.example"), ("bücher.example", b"xn--bcher-kva.example")):
        assert Meeting(tls.unverified(host, 25), server).ended is None
        assert server.names[-1] == name
    assert Meeting(tls.unverified("192.0.2.1", 25), server).ended is None
    assert server.names[-1] is None


@pytest.mark.parametrize("is_verified", [True, False])
def test_nothing_below_tls_1_2(tmp_path: Path, authority: Authority, is_verified: bool) -> None:
    pair = make_certificate(tmp_path, ["relay.example"], authority)
    tls = ClientTls(authority.certificate)
    creator = (tls.verified if is_verified else tls.unverified)("relay.example", 25)
    ended = Meeting(creator, ServerEnd(pair, (SSL.TLS1_VERSION, SSL.TLS1_1_VERSION))).ended
    assert ended is not None and ended.end is End.TLS
    assert Meeting(creator, ServerEnd(pair, (SSL.TLS1_2_VERSION, SSL.TLS1_2_VERSION))).ended is None


def test_a_server_is_remembered_under_its_own_demand_only(tmp_path: Path, authority: Authority) -> None:
    tls = ClientTls(authority.certificate)
    assert tls.verified("relay.example", 465) is tls.verified("RELAY.example", 465)
    assert tls.verified("relay.example", 465) is not tls.unverified("relay.example", 465)
    assert tls.verified("relay.example", 465) is not tls.verified("relay.example", 587)


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_a_session_is_resumed(tmp_path: Path, authority: Authority, version: int) -> None:
    server = ServerEnd(make_certificate(tmp_path, ["relay.example"], authority), (version, version))
    creator = ClientTls(authority.certificate).verified("relay.example", 465)
    first = Meeting(creator, server)
    first.connection.remember_session()
    second = Meeting(creator, server)
    assert second.ended is None
    library = SSL._lib  # type: ignore[attr-defined]
    reused = [library.SSL_session_reused(it.client._tlsConnection._ssl) for it in (first, second)]
    assert reused == [0, 1]


@pytest.mark.parametrize("content", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_trust_file_that_cannot_be_used_is_said_at_once(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "trust.pem"
    path.write_bytes(content)
    with pytest.raises(TrustUnusable, match=str(path)):
        ClientTls(path)
    with pytest.raises(TrustUnusable):
        ClientTls(tmp_path / "absent.pem")


# -- pins, authorities of its own, certificates of ours ----------------------------------------------------------------


def pin_of_file(certificate: Path) -> str:
    """As OpenSSL's own tools compute it."""
    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    key = loaded.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(hashlib.sha256(key).digest()).decode()


def test_a_pinned_key_is_enough_and_another_is_none(tmp_path: Path) -> None:
    pair = make_certificate(tmp_path, ["somebody.example"], lasts=timedelta(days=-1))
    other = make_certificate(tmp_path, ["somebody.example"])
    trust = Trust((pin_of_file(other[0]), pin_of_file(pair[0])))
    tls = ClientTls()
    assert Meeting(tls.unverified("relay.example", 465, trust), ServerEnd(pair)).ended is None
    wrong = Trust((pin_of_file(other[0]),))
    ended = Meeting(tls.unverified("relay.example", 465, wrong), ServerEnd(pair)).ended
    assert ended is not None and ended.end is End.TLS
    assert f"its pin is {pin_of_file(pair[0])}" in ended.detail


def test_with_verification_a_pin_is_demanded_as_well(tmp_path: Path, authority: Authority) -> None:
    pair = make_certificate(tmp_path, ["relay.example"], authority)
    right, wrong = Trust((pin_of_file(pair[0]),)), Trust(("A" * 43 + "=",))
    tls = ClientTls(authority.certificate)
    assert Meeting(tls.verified("relay.example", 465, right), ServerEnd(pair)).ended is None
    assert Meeting(tls.verified("relay.example", 465, wrong), ServerEnd(pair)).ended is not None
    assert Meeting(tls.verified("other.example", 465, right), ServerEnd(pair)).ended is not None


def test_a_resumed_session_is_held_to_the_pin_too(tmp_path: Path) -> None:
    pair = make_certificate(tmp_path, ["relay.example"])
    server = ServerEnd(pair)
    creator = ClientTls().unverified("relay.example", 465, Trust((pin_of_file(pair[0]),)))
    first = Meeting(creator, server)
    first.connection.remember_session()
    assert first.ended is None and Meeting(creator, server).ended is None


def test_an_authority_of_its_own_is_believed_and_no_other(tmp_path: Path, authority: Authority) -> None:
    own = make_authority(tmp_path, "Another Authority")
    tls = ClientTls(authority.certificate)
    trust = Trust(authorities=str(own.certificate))
    for issuer, is_believed in ((own, True), (authority, False)):
        pair = make_certificate(tmp_path, ["relay.example"], issuer)
        assert (Meeting(tls.verified("relay.example", 465, trust), ServerEnd(pair)).ended is None) is is_believed


@pytest.mark.parametrize("is_verified", [True, False])
def test_a_certificate_of_ours_is_shown_when_it_is_asked_for(
    tmp_path: Path, authority: Authority, is_verified: bool
) -> None:
    pair = make_certificate(tmp_path, ["relay.example"], authority)
    own = make_certificate(tmp_path, ["hq.example"], authority)
    tls = ClientTls(authority.certificate)
    make = tls.verified if is_verified else tls.unverified
    trust = Trust(certificate=str(own[0]), key=str(own[1]))
    server = ServerEnd(pair)
    server.context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
    meeting = Meeting(make("relay.example", 465, trust), server)
    assert meeting.ended is None
    shown = meeting.server._tlsConnection.get_peer_certificate()
    assert shown is not None and "hq.example" in shown.to_cryptography().subject.rfc4514_string()


def test_files_that_cannot_be_used_are_said_and_changed_ones_are_read_again(
    tmp_path: Path, authority: Authority
) -> None:
    own, other = make_certificate(tmp_path, ["hq.example"]), make_certificate(tmp_path, ["hq.example"])
    tls = ClientTls(authority.certificate)
    for trust in (
        Trust(certificate=str(own[0]), key=str(other[1])),
        Trust(certificate=str(own[0]), key=str(own[0])),
        Trust(certificate=str(own[1]), key=str(own[1])),
        Trust(certificate=str(tmp_path / "absent"), key=str(own[1])),
        Trust(authorities=str(own[1])),
    ):
        with pytest.raises(TrustUnusable):
            tls.verified("relay.example", 465, trust)
    trust = Trust(certificate=str(own[0]), key=str(own[1]))
    first = tls.verified("relay.example", 465, trust)
    assert tls.verified("relay.example", 465, trust) is first
    os.utime(own[0], (1, 1))
    assert tls.verified("relay.example", 465, trust) is not first
