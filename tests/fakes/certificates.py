"""Certificates for tests, real enough for OpenSSL: an authority of our own and what it signs, in a folder."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Authority:
    """`certificate` is the PEM file to trust."""

    certificate: Path
    signer: x509.Certificate
    key: PrivateKey


def make_authority(folder: Path, name: str = "Test Authority") -> Authority:
    """An authority that everything with `issuer=` is signed by."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, name, key, timedelta(days=30))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    signer = builder.sign(key, hashes.SHA256())
    path = folder / f"authority-{next(_numbers)}.pem"
    path.write_bytes(signer.public_bytes(serialization.Encoding.PEM))
    return Authority(path, signer, key)


def make_certificate(
    folder: Path,
    names: Sequence[str],
    issuer: Authority | None = None,
    *,
    kind: str = "ecdsa",
    lasts: timedelta = timedelta(days=30),
) -> tuple[Path, Path]:
    """Certificate (with its issuer behind it) and key for `names`, which may be IP addresses; self-signed without
    `issuer`. `lasts` below zero makes one that has expired."""
    key: PrivateKey = (
        ec.generate_private_key(ec.SECP256R1()) if kind == "ecdsa" else rsa.generate_private_key(65537, 2048)
    )
    subject = names[0]
    builder = _builder(subject, issuer.signer.subject if issuer else subject, key, lasts)
    builder = builder.add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    certificate = builder.sign(issuer.key if issuer else key, hashes.SHA256())
    number = next(_numbers)
    certificate_path, key_path = folder / f"certificate-{number}.pem", folder / f"key-{number}.pem"
    chain = [certificate, issuer.signer] if issuer else [certificate]
    certificate_path.write_bytes(b"".join(link.public_bytes(serialization.Encoding.PEM) for link in chain))
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    key_path.chmod(0o600)
    return certificate_path, key_path


def _builder(subject: str, issuer: str | x509.Name, key: PrivateKey, lasts: timedelta) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(issuer if isinstance(issuer, x509.Name) else _name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + lasts)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
