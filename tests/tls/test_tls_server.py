"""What a listener shows to its clients; the handshakes run in memory, between two real OpenSSL ends."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface.verify import verifyObject

from shared.tls.certificate import read_certificate
from shared.tls.server import CertificateTrouble, ServerCertificates
from tests.fakes.certificates import Authority, make_authority, make_certificate

Pair = tuple[Path, Path]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return make_authority(tmp_path)


@pytest.fixture
def pair(tmp_path: Path, authority: Authority) -> Pair:
    return make_certificate(tmp_path, ["mail.hq.example"], authority)


def client_context(authority: Authority | None = None) -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    if authority is not None:
        context.load_verify_locations(str(authority.certificate))
        context.set_verify(SSL.VERIFY_PEER, lambda *answer: bool(answer[-1]))
    return context


def shake_hands(
    server: ServerCertificates, context: SSL.Context, name: str = "", session: SSL.Session | None = None
) -> SSL.Connection:
    """The client's end after a handshake. Raises SSL.Error when either end refuses."""
    client = SSL.Connection(context, None)
    client.set_connect_state()
    if name:
        client.set_tlsext_host_name(name.encode())
    if session is not None:
        client.set_session(session)
    other: Any = server.serverConnectionForTLS(None)  # type: ignore[arg-type] # it does not ask who
    other.set_accept_state()
    for _ in range(6):
        for end, peer in ((client, other), (other, client)):
            try:
                end.do_handshake()
            except SSL.WantReadError:
                pass
            _carry(end, peer)
    other.send(b"220 ready\r\n")
    _carry(other, client)
    assert client.recv(100) == b"220 ready\r\n"
    return client


def _carry(end: SSL.Connection, peer: SSL.Connection) -> None:
    try:
        peer.bio_write(end.bio_read(1 << 16))
    except SSL.WantReadError:
        pass


def name_shown(client: SSL.Connection) -> str:
    certificate = client.get_peer_certificate(as_cryptography=True)
    assert certificate is not None
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_a_client_that_trusts_the_authority_gets_through(tmp_path: Path, authority: Authority, kind: str) -> None:
    server = ServerCertificates.load([make_certificate(tmp_path, ["mail.hq.example"], authority, kind=kind)])
    client = shake_hands(server, client_context(authority), "mail.hq.example")
    assert client.get_protocol_version_name() == "TLSv1.3"
    assert name_shown(client) == "mail.hq.example"


def test_a_client_that_trusts_another_does_not(tmp_path: Path, pair: Pair) -> None:
    with pytest.raises(SSL.Error):
        shake_hands(ServerCertificates.load([pair]), client_context(make_authority(tmp_path, "Other")))


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("", "one.example"), ("one.example", "one.example"), ("two.example", "two.example"),
        ("TWO.example", "two.example"), ("a.three.example", "*.three.example"), ("three.example", "one.example"),
        ("b.a.three.example", "one.example"), ("unknown.example", "one.example"),
    ],
)  # fmt: skip
def test_the_certificate_follows_the_name_that_is_asked_for(tmp_path: Path, asked: str, shown: str) -> None:
    names = ("one.example", "two.example", "*.three.example")
    server = ServerCertificates.load([make_certificate(tmp_path, [name]) for name in names])
    assert server.names == set(names)
    assert name_shown(shake_hands(server, client_context(), asked)) == shown


def test_two_kinds_of_key_for_one_name_serve_both_kinds_of_client(tmp_path: Path) -> None:
    pairs = [make_certificate(tmp_path, ["m.example"], kind=kind) for kind in ("ecdsa", "rsa")]
    server = ServerCertificates.load(pairs)
    for ciphers, kind in (
        (b"ECDHE-ECDSA-AES128-GCM-SHA256", ec.EllipticCurvePublicKey),
        (b"ECDHE-RSA-AES128-GCM-SHA256", rsa.RSAPublicKey),
    ):
        context = client_context()
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        context.set_cipher_list(ciphers)
        certificate = shake_hands(server, context).get_peer_certificate(as_cryptography=True)
        assert certificate is not None
        assert isinstance(certificate.public_key(), kind)


@pytest.mark.parametrize("version", [SSL.TLS1_VERSION, SSL.TLS1_1_VERSION])
def test_old_tls_is_refused(pair: Pair, version: int) -> None:
    context = client_context()
    context.set_min_proto_version(version)
    context.set_max_proto_version(version)
    context.set_cipher_list(b"ALL:@SECLEVEL=0")
    with pytest.raises(SSL.Error):
        shake_hands(ServerCertificates.load([pair]), context)


@pytest.mark.parametrize("ciphers", [b"AES128-GCM-SHA256", b"DHE-RSA-AES128-GCM-SHA256", b"aNULL:@SECLEVEL=0"])
def test_ciphers_without_forward_secrecy_or_a_certificate_are_refused(tmp_path: Path, ciphers: bytes) -> None:
    context = client_context()
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(ciphers)
    with pytest.raises(SSL.Error):
        shake_hands(ServerCertificates.load([make_certificate(tmp_path, ["m.example"], kind="rsa")]), context)


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_a_client_can_resume_its_session(pair: Pair, version: int) -> None:
    server, context = ServerCertificates.load([pair]), client_context()
    context.set_max_proto_version(version)
    first = shake_hands(server, context)  # kept: OpenSSL forgets the session of a connection that just vanishes
    session = first.get_session()
    assert session is not None
    again = shake_hands(server, context, session=session)
    assert SSL._lib.SSL_session_reused(again._ssl) == 1  # type: ignore[attr-defined] # pyOpenSSL has no name for it


def test_twisted_takes_it_as_it_is(pair: Pair, authority: Authority) -> None:
    server = ServerCertificates.load([pair])
    assert verifyObject(IOpenSSLServerConnectionCreator, server)
    said: list[bytes] = []

    class Greeting(Protocol):
        def connectionMade(self) -> None:
            assert self.transport is not None
            self.transport.write(b"220 ready\r\n")

        def dataReceived(self, data: bytes) -> None:
            said.append(data)

    clock = Clock()
    wrapped = TLSMemoryBIOFactory(server, False, Factory.forProtocol(Greeting), clock).buildProtocol(None)  # type: ignore[arg-type]
    assert isinstance(wrapped, TLSMemoryBIOProtocol)
    transport = StringTransport()
    wrapped.makeConnection(transport)
    client = SSL.Connection(client_context(authority), None)
    client.set_connect_state()
    heard = b""
    for _ in range(6):
        try:
            client.do_handshake()
            client.send(b"NOOP\r\n") if not heard else None
            heard += client.recv(100)
        except SSL.WantReadError:
            pass
        try:
            wrapped.dataReceived(client.bio_read(1 << 16))
        except SSL.WantReadError:
            pass
        clock.advance(0)
        if transport.value():
            client.bio_write(transport.value())
            transport.clear()
    assert heard == b"220 ready\r\n"
    assert b"".join(said).startswith(b"NOOP\r\n")


def test_a_renewed_certificate_is_shown_after_reload(tmp_path: Path, pair: Pair) -> None:
    server = ServerCertificates.load([pair])
    assert server.reload() is False
    for old, new in zip(pair, make_certificate(tmp_path, ["new.example"]), strict=True):
        os.replace(new, old)
    assert name_shown(shake_hands(server, client_context())) == "mail.hq.example"
    assert server.reload() is True
    assert name_shown(shake_hands(server, client_context())) == "new.example"
    assert server.reload() is False


def test_a_reload_can_name_other_files(tmp_path: Path, pair: Pair) -> None:
    server = ServerCertificates.load([pair])
    other = make_certificate(tmp_path, ["other.example"])
    assert server.reload([pair, other]) is True
    assert name_shown(shake_hands(server, client_context(), "other.example")) == "other.example"


def test_a_bad_reload_keeps_what_was(pair: Pair) -> None:
    server = ServerCertificates.load([pair])
    key = pair[1].read_bytes()
    pair[1].write_text("nonsense, and of another length")
    for _ in range(2):
        with pytest.raises(CertificateTrouble):
            server.reload()
    assert name_shown(shake_hands(server, client_context())) == "mail.hq.example"
    pair[1].write_bytes(key)
    server.reload()


def trouble_of(certificate: Path, key: Path) -> str:
    with pytest.raises(CertificateTrouble) as trouble:
        ServerCertificates.load([(certificate, key)])
    text = str(trouble.value)
    assert "\n" not in text
    assert ": " in text, "what is wrong, and what to do"
    return text


def test_each_trouble_says_what_and_what_to_do(tmp_path: Path, pair: Pair) -> None:
    certificate, key = pair
    none, junk = tmp_path / "none.pem", tmp_path / "junk.pem"
    junk.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert f"certificate {none} does not exist" in trouble_of(none, key)
    assert f"key {none} does not exist" in trouble_of(certificate, none)
    assert f"certificate {tmp_path} cannot be read (Is a directory)" in trouble_of(tmp_path, key)
    assert f"certificate {junk} holds no certificate" in trouble_of(junk, key)
    assert f"certificate {key} holds no certificate" in trouble_of(key, key)
    assert f"key {certificate} holds no private key" in trouble_of(certificate, certificate)
    assert f"key {key} does not belong" in trouble_of(make_certificate(tmp_path, ["x.example"])[0], key)


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked_for_it(pair: Pair) -> None:
    key = serialization.load_pem_private_key(pair[1].read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"sesame"),
    )
    pair[1].write_bytes(locked)
    assert "locked with a passphrase" in trouble_of(*pair)


def test_nothing_to_load_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError):
        ServerCertificates.load([])


def test_warnings_for_what_others_will_mind(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    good, old, soon = (make_certificate(tmp_path, ["m.example"], lasts=timedelta(days=days)) for days in (30, -1, 5))
    by_address = make_certificate(tmp_path, ["192.0.2.1"])
    assert ServerCertificates.load([good]).warnings(now) == []
    assert "expired on" in ServerCertificates.load([old]).warnings(now)[0]
    assert "expires on" in ServerCertificates.load([soon]).warnings(now)[0]
    assert "names no DNS name" in ServerCertificates.load([by_address]).warnings(now)[0]
    good[1].chmod(0o644)
    assert "can be used by everybody" in ServerCertificates.load([good]).warnings(now)[0]


def test_the_key_is_in_no_repr(pair: Pair) -> None:
    shown = repr(read_certificate(*pair))
    assert "mail.hq.example" in shown
    assert "PrivateKey" not in shown
