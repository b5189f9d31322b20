"""shared/tls/dane.py over real handshakes: which server is the one that TLSA records speak of, and what is recorded."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fakes.certificates import Authority, make_authority, make_certificate
from test_tls_client import Meeting, ServerEnd

from shared.routing.next_hop import Trust
from shared.tls.client import ClientTls

HOST = "mx.example"


def record(certificate: x509.Certificate, usage: int, selector: int = 1, matching: int = 1) -> tuple[int, ...]:
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    content = certificate.public_bytes(Encoding.DER) if selector == 0 else key
    digest = [content, hashlib.sha256(content).digest(), hashlib.sha512(content).digest()][matching]
    return usage, selector, matching, digest


def first(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificates(path.read_bytes())[0]


def meet(pair: tuple[Path, Path], *records: tuple[int, ...], names: tuple[str, ...] = ()) -> str:
    """Empty when the server was believed, else why not."""
    trust = Trust(associations=records, names=names)  # type: ignore[arg-type]
    ended = Meeting(ClientTls().unverified(HOST, 25, trust), ServerEnd(pair)).ended
    return ended.detail if ended else ""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return make_authority(tmp_path)


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
def test_usage_3_is_the_certificate_itself_whatever_its_names_and_dates(
    tmp_path: Path, selector: int, matching: int
) -> None:
    pair = make_certificate(tmp_path, ["somebody.else"], lasts=timedelta(days=-1))
    other = first(make_certificate(tmp_path, [HOST])[0])
    assert meet(pair, record(first(pair[0]), 3, selector, matching)) == ""
    assert "TLSA" in meet(pair, record(other, 3, selector, matching))
    assert meet(pair, record(other, 3), record(first(pair[0]), 3, selector, matching)) == ""


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
def test_usage_2_is_an_authority_that_the_certificate_leads_to(
    tmp_path: Path, authority: Authority, selector: int, matching: int
) -> None:
    right = record(authority.signer, 2, selector, matching)
    assert meet(make_certificate(tmp_path, [HOST], authority), right) == ""
    assert "TLSA" in meet(make_certificate(tmp_path, [HOST]), right)


def test_usage_2_asks_for_a_name_and_for_dates(tmp_path: Path, authority: Authority) -> None:
    right = record(authority.signer, 2)
    elsewhere = make_certificate(tmp_path, ["other.example"], authority)
    assert "does not name it" in meet(elsewhere, right)
    assert meet(elsewhere, right, names=("third.example", "other.example")) == ""
    assert "lead" in meet(make_certificate(tmp_path, [HOST], authority, lasts=timedelta(days=-1)), right)


def test_a_chain_that_only_pretends_is_none(tmp_path: Path, authority: Authority) -> None:
    """The authority's certificate is sent along with a certificate that it has not signed."""
    stranger, key = make_certificate(tmp_path, [HOST])
    forged = tmp_path / "forged.pem"
    forged.write_bytes(stranger.read_bytes() + authority.certificate.read_bytes())
    assert "lead" in meet((forged, key), record(authority.signer, 2))


def test_an_authority_in_the_record_itself_need_not_be_sent(tmp_path: Path, authority: Authority) -> None:
    whole, key = make_certificate(tmp_path, [HOST], authority)
    alone = tmp_path / "alone.pem"
    alone.write_bytes(first(whole).public_bytes(Encoding.PEM))
    assert meet((alone, key), record(authority.signer, 2, 0, 0)) == ""
    assert "TLSA" in meet((alone, key), record(authority.signer, 2, 0, 1))


def test_usage_2_means_no_certificate_of_the_server_itself(tmp_path: Path) -> None:
    pair = make_certificate(tmp_path, [HOST])
    assert "TLSA" in meet(pair, record(first(pair[0]), 2))


@pytest.mark.parametrize("usage", [2, 3])
def test_a_resumed_session_is_held_to_the_records_too(tmp_path: Path, authority: Authority, usage: int) -> None:
    pair = make_certificate(tmp_path, [HOST], authority)
    subject = first(pair[0]) if usage == 3 else authority.signer
    creator = ClientTls().unverified(HOST, 25, Trust(associations=(record(subject, usage),)))  # type: ignore[arg-type]
    server = ServerEnd(pair)
    for _ in range(3):
        meeting = Meeting(creator, server)
        assert meeting.ended is None
        meeting.connection.remember_session()


def test_what_a_handshake_came_to_is_known_in_every_case(tmp_path: Path, authority: Authority) -> None:
    tls = ClientTls(authority.certificate)
    good = make_certificate(tmp_path, [HOST], authority)
    cases = {
        "verified by its certificate": (good, Trust()),
        "not verified: self-signed certificate": (make_certificate(tmp_path, [HOST]), Trust()),
        "not verified: certificate has expired": (
            make_certificate(tmp_path, [HOST], authority, lasts=timedelta(days=-1)),
            Trust(),
        ),
        "not verified: the certificate does not name mx.example": (
            make_certificate(tmp_path, ["other.example"], authority),
            Trust(),
        ),
        "verified by DANE": (good, Trust(associations=(record(first(good[0]), 3),))),  # type: ignore[arg-type]
    }
    for words, (pair, trust) in cases.items():
        creator, server = tls.unverified(HOST, 25, trust), ServerEnd(pair)
        for _ in range(2):  #  the second resumes the session, and knows what the first found out
            meeting = Meeting(creator, server)
            said = str(meeting.connection._conversation.security)
            assert said.startswith("TLSv1.3 TLS_") and words in said, said
            meeting.connection.remember_session()
        tls = ClientTls(authority.certificate)
