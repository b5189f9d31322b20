"""What a listener of its own kind asks of a handshake: an older version, a certificate of the client."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from zope.interface.verify import verifyObject

from shared.tls.server import CertificateTrouble, Demand, ServerCertificates
from tests.fakes.certificates import make_authority, make_certificate

Pair = tuple[Path, Path]
OLD = Demand("1.0")


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return make_certificate(tmp_path, ["mail.hq.example"])


def client_context(version: int | None = None, shown: Pair | None = None) -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_cipher_list(b"ALL:@SECLEVEL=0")
    if version is not None:
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
    if shown is not None:
        context.use_certificate_file(str(shown[0]))
        context.use_privatekey_file(str(shown[1]))
    return context


def shake_hands(server: Any, context: SSL.Context) -> tuple[SSL.Connection, SSL.Connection]:
    """Both ends after the handshake. Raises SSL.Error when either refuses."""
    client = SSL.Connection(context, None)
    client.set_connect_state()
    other: SSL.Connection = server.serverConnectionForTLS(None)
    other.set_accept_state()
    for _ in range(6):
        for end, peer in ((client, other), (other, client)):
            try:
                end.do_handshake()
            except SSL.WantReadError:
                pass
            try:
                peer.bio_write(end.bio_read(1 << 16))
            except SSL.WantReadError:
                pass
    other.send(b"x")  #  raises when the client was not let in
    return client, other


@pytest.mark.parametrize("version", [SSL.TLS1_VERSION, SSL.TLS1_1_VERSION])
@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_an_old_device_is_served_where_that_is_said_and_nowhere_else(tmp_path: Path, version: int, kind: str) -> None:
    server = ServerCertificates.load([make_certificate(tmp_path, ["m.example"], kind=kind)], [OLD])
    client, _ = shake_hands(server.asking(OLD), client_context(version))
    assert client.get_protocol_version() == version
    with pytest.raises(SSL.Error):
        shake_hands(server, client_context(version))


def test_a_new_client_gets_the_newest_version_there_too(pair: Pair) -> None:
    client, _ = shake_hands(ServerCertificates.load([pair], [OLD]).asking(OLD), client_context())
    assert client.get_protocol_version_name() == "TLSv1.3"


def test_a_higher_floor_refuses_what_is_usual(pair: Pair) -> None:
    only = Demand("1.3")
    server = ServerCertificates.load([pair], [only])
    shake_hands(server, client_context(SSL.TLS1_2_VERSION))
    with pytest.raises(SSL.Error):
        shake_hands(server.asking(only), client_context(SSL.TLS1_2_VERSION))


def test_a_client_certificate_is_asked_for_believed_and_not_demanded(tmp_path: Path, pair: Pair) -> None:
    authority = make_authority(tmp_path, "Clients")
    asking = Demand(authorities=authority.certificate)
    server = ServerCertificates.load([pair], [asking])
    shown = make_certificate(tmp_path, ["scanner"], authority)
    _, other = shake_hands(server.asking(asking), client_context(shown=shown))
    assert other.get_peer_certificate(as_cryptography=True) is not None
    _, other = shake_hands(server.asking(asking), client_context())
    assert other.get_peer_certificate(as_cryptography=True) is None
    _, other = shake_hands(server, client_context(shown=shown))
    assert other.get_peer_certificate(as_cryptography=True) is None, "the usual listener does not ask"


def test_a_certificate_of_a_stranger_ends_the_handshake(tmp_path: Path, pair: Pair) -> None:
    asking = Demand(authorities=make_authority(tmp_path, "Clients").certificate)
    server = ServerCertificates.load([pair], [asking])
    for shown in (
        make_certificate(tmp_path, ["x"]),
        make_certificate(tmp_path, ["x"], make_authority(tmp_path, "Evil")),
    ):
        with pytest.raises(SSL.Error):
            shake_hands(server.asking(asking), client_context(shown=shown))


def test_other_authorities_are_believed_after_a_reload(tmp_path: Path, pair: Pair) -> None:
    first, second = make_authority(tmp_path, "First"), make_authority(tmp_path, "Second")
    asking = Demand(authorities=first.certificate)
    server = ServerCertificates.load([pair], [asking])
    listener = server.asking(asking)
    shown = make_certificate(tmp_path, ["x"], second)
    with pytest.raises(SSL.Error):
        shake_hands(listener, client_context(shown=shown))
    os.replace(second.certificate, first.certificate)
    assert server.reload()
    shake_hands(listener, client_context(shown=shown))


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_authorities_that_cannot_be_read_are_said(tmp_path: Path, pair: Pair, content: bytes | None) -> None:
    path = tmp_path / "clients.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CertificateTrouble, match=r"clients\.pem"):
        ServerCertificates.load([pair], [Demand(authorities=path)])


def test_a_listener_is_what_twisted_wants(pair: Pair) -> None:
    assert verifyObject(IOpenSSLServerConnectionCreator, ServerCertificates.load([pair], [OLD]).asking(OLD))
