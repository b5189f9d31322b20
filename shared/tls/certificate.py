"""A certificate file and its key file, read and found to belong together.

Here: reading, and saying in one line what is wrong and what to do. Not here: the contexts they are used in
(server.py).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
SOON = timedelta(days=14)


class CertificateTrouble(Exception):
    """A certificate or key that cannot be used; the text is one line: what is wrong and what to do."""


@dataclass(frozen=True)
class ServerCertificate:
    """`names` are the DNS names it is for, in lower case; the key is not shown."""

    path: Path
    key_path: Path
    names: frozenset[str]
    not_after: datetime
    key: PrivateKey

    def __repr__(self) -> str:
        return f"ServerCertificate({str(self.path)!r}, for {', '.join(sorted(self.names)) or 'no name'})"

    def warnings(self, now: datetime) -> list[str]:
        """What will be in the way of others soon, one line each; nothing of it keeps us from serving."""
        found = []
        if self.not_after <= now:
            found.append(f"certificate {self.path} expired on {self.not_after:%Y-%m-%d}: renew it and reload")
        elif self.not_after - now < SOON:
            found.append(f"certificate {self.path} expires on {self.not_after:%Y-%m-%d}: renew it and reload")
        if not self.names:
            found.append(f"certificate {self.path} names no DNS name (subjectAltName): clients will not believe it")
        if os.path.exists(self.key_path) and os.stat(self.key_path).st_mode & 0o007:
            found.append(f"key {self.key_path} can be used by everybody on this host: set mode 0640 or 0600")
        return found


def read_certificate(path: Path, key_path: Path) -> ServerCertificate:
    """The certificate at `path` with its key. Raises CertificateTrouble."""
    first = _parse_certificate(path, _read(path, "certificate"))
    key = _parse_key(key_path, _read(key_path, "key"))
    if key.public_key() != first.public_key():
        raise CertificateTrouble(
            f"key {key_path} does not belong to certificate {path}: name the key it was requested with, and put the"
            " server's own certificate first in its file"
        )
    return ServerCertificate(path, key_path, _names(first), first.not_valid_after_utc, key)


def check_authorities(path: Path) -> None:
    """Raises CertificateTrouble when there are no certificates of authorities at `path`."""
    _parse_certificate(path, _read(path, "file of authorities"))


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CertificateTrouble(f"{what} {path} does not exist: create it, or correct its path below 'tls'")
    except OSError as error:
        raise CertificateTrouble(
            f"{what} {path} cannot be read ({error.strerror}): let the user of this daemon read it"
        )


def _parse_certificate(path: Path, data: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(data)[0]
    except ValueError:
        raise CertificateTrouble(
            f"certificate {path} holds no certificate in PEM form: it must say BEGIN CERTIFICATE"
        )


def _parse_key(path: Path, data: bytes) -> PrivateKey:
    try:
        key = serialization.load_pem_private_key(data, None)
    except TypeError:
        raise CertificateTrouble(f"key {path} is locked with a passphrase: store it without one, with mode 0600")
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateTrouble(f"key {path} holds no private key in PEM form: it must say BEGIN PRIVATE KEY")
    if not isinstance(key, PrivateKey):
        raise CertificateTrouble(
            f"key {path} is neither RSA nor ECDSA: most mail servers could not use it; make another"
        )
    return key


def _names(certificate: x509.Certificate) -> frozenset[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return frozenset()
    return frozenset(name.lower() for name in extension.value.get_values_for_type(x509.DNSName))
