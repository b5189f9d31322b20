"""TLS as a server: which certificate a listener shows, and how (RFC 8446, 6066 §3 for the name, 8996 for the limit).

Here: contexts for listeners. Not here: reading files (certificate.py), our side as a client (client.py), what a
session does before and after the handshake (mercury_s).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from shared.mail.record import dataclass
from shared.tls.certificate import CertificateTrouble, ServerCertificate, check_authorities, read_certificate

__all__ = ["CertificateTrouble", "Demand", "Pairs", "ServerCertificates"]

Pairs = Sequence[tuple[Path, Path]]
"""Certificate and key, each a path."""

#  Forward secrecy for everybody (TLS 1.3 has nothing else); CBC last, for the TLS 1.2 of old office machines, since
#  the alternative to it on port 25 is plain text.
CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!aNULL:!eNULL:!MD5:!DSS:!PSK:!SRP"

#  For devices from before TLS 1.2, which have nothing better: signatures by SHA-1, and keys sent by RSA.
OLD_CIPHERS = CIPHERS + b":AES128-SHA:AES256-SHA:@SECLEVEL=0"

NO_RENEGOTIATION: int = getattr(SSL, "OP_NO_RENEGOTIATION", 0)  # absent where OpenSSL is older than 1.1.0h

Stamp = tuple[int, int, int]
_VERSIONS = {
    "1.0": SSL.TLS1_VERSION,
    "1.1": SSL.TLS1_1_VERSION,
    "1.2": SSL.TLS1_2_VERSION,
    "1.3": SSL.TLS1_3_VERSION,
}


@dataclass(frozen=True, slots=True)
class Demand:
    """What a listener asks of a handshake: the lowest version, and a certificate that one of `authorities` (a PEM
    file) has signed. A client may show none; one that is not good ends the handshake."""

    floor: str = "1.2"
    authorities: Path | None = None


USUAL = Demand()


@implementer(IOpenSSLServerConnectionCreator)
class ServerCertificates:
    """All certificates of the listeners; give it to `transport.startTLS` or TLSMemoryBIOFactory as it is.

    A client that names a server gets that server's certificate, any other client the first one. After `reload` new
    connections see the new certificates; those that are open keep theirs.
    """

    def __init__(self, pairs: Pairs, demands: frozenset[Demand]) -> None:
        self._pairs = tuple(pairs)
        self._demands = demands
        self._stamps = _stamps(pairs, demands)
        self._contexts = _make_contexts(pairs, demands)

    @classmethod
    def load(cls, pairs: Pairs, demands: Iterable[Demand] = ()) -> ServerCertificates:
        """For listeners with these demands, besides the usual one. Raises CertificateTrouble when one of the files is
        missing, unreadable or does not fit."""
        if not pairs:
            raise ValueError("no certificate to load")
        return cls(pairs, frozenset({USUAL, *demands}))

    def reload(self, pairs: Pairs | None = None) -> bool:
        """Read the files again if they have changed (or are others now). True when there are new certificates.

        Raises CertificateTrouble; the old certificates then stay in use, and the next call looks again.
        """
        wanted = self._pairs if pairs is None else tuple(pairs)
        stamps = _stamps(wanted, self._demands)
        if wanted == self._pairs and stamps == self._stamps:
            return False
        self._contexts = _make_contexts(wanted, self._demands)
        self._pairs, self._stamps = wanted, stamps
        return True

    def warnings(self, now: datetime) -> list[str]:
        """What the operator should know about these certificates, one line each."""
        return [line for certificate in self._contexts[USUAL].certificates for line in certificate.warnings(now)]

    @property
    def names(self) -> frozenset[str]:
        """Every DNS name that we have a certificate for."""
        return frozenset().union(*(certificate.names for certificate in self._contexts[USUAL].certificates))

    def asking(self, demand: Demand) -> ListenerCertificates:
        """The same certificates for a listener with one of the demands that they were loaded for."""
        return ListenerCertificates(self, demand)

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        return self.connection(USUAL)

    def connection(self, demand: Demand) -> SSL.Connection:
        return SSL.Connection(self._contexts[demand].default, None)


@implementer(IOpenSSLServerConnectionCreator)
class ListenerCertificates:
    """What one listener shows and asks for; follows every reload."""

    def __init__(self, certificates: ServerCertificates, demand: Demand) -> None:
        self._certificates = certificates
        self._demand = demand

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        return self._certificates.connection(self._demand)


def _make_contexts(pairs: Pairs, demands: Iterable[Demand]) -> dict[Demand, _Contexts]:
    certificates = [read_certificate(*pair) for pair in pairs]
    return {demand: _Contexts(certificates, demand) for demand in demands}


class _Contexts:
    """One context for each set of names. An ECDSA and an RSA certificate for the same names share theirs, and OpenSSL
    shows the one that the client can use."""

    def __init__(self, certificates: list[ServerCertificate], demand: Demand) -> None:
        self.certificates = certificates
        self._by_name: dict[str, SSL.Context] = {}
        contexts: dict[frozenset[str], SSL.Context] = {}
        for certificate in certificates:
            context = contexts.get(certificate.names)
            if context is None:
                context = contexts[certificate.names] = _new_context(demand)
            _use(context, certificate)
            for name in certificate.names:
                self._by_name.setdefault(name, context)
        self.default = contexts[certificates[0].names]
        if len(contexts) > 1:
            #  Only where there is a choice: a callback from C needs writable and executable memory, which a service
            #  with one certificate can do without.
            self.default.set_tlsext_servername_callback(self._choose)

    def _choose(self, connection: SSL.Connection) -> None:
        asked = connection.get_servername()
        if asked is None:
            return
        name = asked.decode("ascii", "replace").lower().rstrip(".")
        context = self._by_name.get(name) or self._by_name.get("*." + name.partition(".")[2])
        if context is not None and context is not self.default:
            connection.set_context(context)


def _new_context(demand: Demand) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(_VERSIONS[demand.floor])
    context.set_options(SSL.OP_NO_COMPRESSION | NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE)
    context.set_cipher_list(OLD_CIPHERS if demand.floor in ("1.0", "1.1") else CIPHERS)
    #  Sessions live in tickets at the client; a cache here would grow and be of no use to the other workers.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(b"mercury")
    #  An idle session gives its 34 KiB of buffers back.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    if demand.authorities is not None:
        _ask_for_certificate(context, demand.authorities)
    return context


def _ask_for_certificate(context: SSL.Context, authorities: Path) -> None:
    check_authorities(authorities)
    try:
        context.load_verify_locations(str(authorities))
        context.load_client_ca(os.fsencode(authorities))  # the names, so that a client knows which one to show
    except SSL.Error:
        raise CertificateTrouble(f"authorities {authorities} cannot be used: name a PEM file with their certificates")
    context.set_verify(SSL.VERIFY_PEER, None)


def _use(context: SSL.Context, certificate: ServerCertificate) -> None:
    key: Any = certificate.key  # typed as what only older releases take in the stubs that some have installed
    try:
        context.use_certificate_chain_file(str(certificate.path))
        context.use_privatekey(key)
        context.check_privatekey()
    except SSL.Error as error:
        reasons = "; ".join(words[-1] for words in error.args[0]) if error.args else "no reason given"
        raise CertificateTrouble(
            f"certificate {certificate.path} cannot be used ({reasons}): have a new one made, with an ECDSA key or"
            " an RSA key of 2048 bits or more"
        )


def _stamps(pairs: Pairs, demands: Iterable[Demand]) -> dict[Path, Stamp]:
    """What changes when a file does; a file that is gone is reported when it is read."""
    stamps = {}
    authorities = {demand.authorities for demand in demands if demand.authorities is not None}
    for path in authorities.union(*pairs):
        try:
            status = os.stat(path)
        except OSError:
            continue
        stamps[path] = (status.st_ino, status.st_mtime_ns, status.st_size)
    return stamps
