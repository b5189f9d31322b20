"""Whom a client's certificate speaks for: the addresses in it, or whoever the configuration says (RFC 4422 EXTERNAL).

That one of the listener's authorities has signed it was settled by the handshake (shared/tls/server.py).
"""

from __future__ import annotations

from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from shared.config.logins import CertificateLogin
from shared.mail.address import AddressError, parse_address
from shared.mail.record import dataclass


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """`fingerprint`: SHA-256 in hexadecimal; `addresses`: those of its subjectAltName, as they stand there."""

    fingerprint: str
    addresses: tuple[str, ...]


def describe(certificate: x509.Certificate) -> ClientCertificate:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        addresses = tuple(extension.value.get_values_for_type(x509.RFC822Name))
    except (x509.ExtensionNotFound, ValueError):
        addresses = ()
    return ClientCertificate(certificate.fingerprint(hashes.SHA256()).hex(), addresses)


class CertificateOwners:
    def __init__(self, named: Iterable[CertificateLogin] = ()) -> None:
        self._named = {login.fingerprint: str(login.account) for login in named}

    def owners(self, certificate: ClientCertificate, wanted: str) -> tuple[str, ...]:
        """The logins that it speaks for, only `wanted` if that is given. What the configuration says comes first and
        alone: it may be there because what the certificate says is wrong."""
        named = self._named.get(certificate.fingerprint)
        logins = (named,) if named else certificate.addresses
        return tuple(login for login in logins if not wanted or _key(login) == _key(wanted))


def _key(login: str) -> str:
    try:
        return parse_address(login).key
    except AddressError:
        return login
