"""TLS as a client: whom we believe, and what we remember of a server (RFC 8446, 9525; RFC 8996 for the lower limit).

`verified` checks chain and name (service-identity: SAN only, no common name); `unverified` encrypts against whoever
only listens. TLS 1.2 is the least in both. A session is resumed with the same server under the same demand and never
under another one, so that a session made without verification cannot pass for a verified one. Nobody is renegotiated
with, and nothing is said before a handshake is whole: no early data (RFC 8446 §2.3). Beside that a server may be held
to the keys it is known to have (pins), to what the DNS says of it (dane.py), to authorities of its own, and be shown
a certificate of ours; the files are read again when they have changed. What a certificate is worth is found out in
every case, for the record.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import os
from collections import OrderedDict
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from OpenSSL import SSL, crypto
from service_identity import CertificateError, VerificationError
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.internet.error import VerifyError
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    KeyPair,
    PrivateCertificate,
    TLSVersion,
    optionsForClientTLS,
    platformTrust,
    trustRootFromCertificates,
)
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from shared.mail.address import AddressError, to_ascii
from shared.routing.next_hop import NO_MORE_TRUST, Trust
from shared.smtp.client_events import Security
from shared.tls.dane import DANE_EE, dane_problem

MOST_REMEMBERED = 1000  #  servers; MercuryE meets many
_OPTIONS: dict[str, Any] = {
    "raiseMinimumTo": TLSVersion.TLSv1_2,
    "enableSessions": True,
    "enableSessionTickets": True,
}
_NO_RENEGOTIATION: int = getattr(SSL, "OP_NO_RENEGOTIATION", 0)  # absent where OpenSSL is older than 1.1.0h
_BEGIN = b"-----BEGIN CERTIFICATE-----"
_Key = tuple[str, int, bool, Trust, tuple[int, ...]]


class TrustUnusable(ValueError):
    """A file of certificates or keys cannot be used; one line says why."""


@implementer(IOpenSSLClientConnectionCreator)
class RememberedServer:
    """Makes the TLS connections to one server and keeps the session of the last good one."""

    def __init__(
        self, creator: IOpenSSLClientConnectionCreator, name: str, is_verified: bool, trust: Trust = NO_MORE_TRUST
    ) -> None:
        self._creator = creator
        self._name = name
        self._is_verified = is_verified
        self._pins = trust.pins
        self._associations = trust.associations
        self._names = (name, *trust.names)
        #  A chain of usage 2 is looked at whole each time, and a resumed session may have forgotten it.
        self._is_resumed = all(usage == DANE_EE for usage, *_ in trust.associations)
        self._session: SSL.Session | None = None
        self._doubt = "nobody knows"

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        connection: SSL.Connection = self._creator.clientConnectionForTLS(tlsProtocol)
        #  An older pyOpenSSL knows no options of one connection; there it holds from the second to this server on.
        getattr(connection, "set_options", connection.get_context().set_options)(_NO_RENEGOTIATION)
        if self._session is not None and self._is_resumed:
            connection.set_session(self._session)
        return connection

    def problem(self, connection: SSL.Connection) -> str:
        """After the handshake: why this is not the server that was wanted; empty when it is.

        Asked of every connection, whatever happened in the handshake: a resumed one shows no certificate to its
        callback, and a certificate whose names cannot be read is one that names nobody.
        """
        if self._is_verified and (problem := _name_problem(connection, self._name)):
            return problem
        if self._associations and (problem := self._dane_problem(connection)):
            return problem
        if self._pins and (shown := pin_of(connection)) not in self._pins:
            return f"its key is none of those it is known by; its pin is {shown or 'none'}"
        return ""

    def _dane_problem(self, connection: SSL.Connection) -> str:
        return dane_problem(
            connection.get_peer_cert_chain() or (),
            self._associations,
            lambda: any(not _name_problem(connection, name) for name in self._names),
        )

    def security(self, connection: SSL.Connection) -> Security:
        """What a handshake without a problem came to."""
        how = (connection.get_protocol_version_name(), connection.get_cipher_name() or "")
        if self._is_verified:
            return Security(*how, "its certificate")
        if self._associations:
            return Security(*how, "DANE")
        if self._pins:
            return Security(*how, "its pin")
        doubt = self._find_doubt(connection)
        return Security(*how, doubt=doubt) if doubt else Security(*how, "its certificate")

    def _find_doubt(self, connection: SSL.Connection) -> str:
        """Why its certificate proves nothing, had anybody asked. A resumed session shows none: it is as it was."""
        seen = _seen.get(connection)
        if seen is not None and seen.is_shown:
            self._doubt = seen.doubt or _name_problem(connection, self._name)
        return self._doubt

    def remember(self, connection: SSL.Connection) -> None:
        """Call it after the server has answered something: the tickets of TLS 1.3 come behind the handshake."""
        self._session = connection.get_session()


class _Seen:
    """What OpenSSL found out about a chain that is believed in any case."""

    __slots__ = ("doubt", "is_shown")

    def __init__(self) -> None:
        self.is_shown = False
        self.doubt = ""


#  The data that a connection can hold itself is Twisted's.
_seen: WeakKeyDictionary[SSL.Connection, _Seen] = WeakKeyDictionary()


def _note_certificate(connection: SSL.Connection, certificate: object, code: int, depth: int, ok: int) -> bool:
    """OpenSSL's question for each certificate of a chain, and for each fault: go on."""
    seen = _seen.get(connection)
    if seen is not None:
        seen.is_shown = True
        if code and not seen.doubt:
            seen.doubt = _words_of(code) or f"fault {code}"
    return True


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    """Names the server that is wanted and believes whatever answers."""

    def __init__(self, context: SSL.Context, host: str) -> None:
        self._context = context
        self._server_name = b"" if _is_address(host) else _ascii(host)

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        _seen[connection] = _Seen()
        if self._server_name:
            connection.set_tlsext_host_name(self._server_name)
        return connection


class ClientTls:
    """`trust_file` holds the only roots that are believed, in PEM; without it those of the system are.

    Raises TrustUnusable.
    """

    def __init__(self, trust_file: Path | None = None) -> None:
        self._trust: Any = platformTrust() if trust_file is None else _read_trust(trust_file)  # type: ignore[no-untyped-call]
        self._roots = None if trust_file is None else _read_certificates(trust_file)
        self._plain_context: SSL.Context | None = None
        self._servers: OrderedDict[_Key, RememberedServer] = OrderedDict()

    def verified(self, host: str, port: int, trust: Trust = NO_MORE_TRUST) -> RememberedServer:
        """For `host` (a name or an IP address), which the certificate must name. Raises ValueError for another name,
        and TrustUnusable, which is one."""
        return self._server(host, port, True, trust)

    def unverified(self, host: str, port: int, trust: Trust = NO_MORE_TRUST) -> RememberedServer:
        """Pins count, the rest of the certificate does not. Raises TrustUnusable."""
        return self._server(host, port, False, trust)

    def _server(self, host: str, port: int, is_verified: bool, trust: Trust) -> RememberedServer:
        #  With its files as they are now: changed ones make another server, which remembers no session.
        key = (host.lower(), port, is_verified, trust, _marks(trust))
        server = self._servers.get(key)
        if server is None:
            server = self._servers[key] = self._remembered(host, is_verified, trust)
            if len(self._servers) > MOST_REMEMBERED:
                self._servers.popitem(last=False)
        else:
            self._servers.move_to_end(key)
        return server

    def _unverified_context(self, shown: dict[str, Any]) -> SSL.Context:
        """One that believes everything, and asks our roots what it is worth."""
        if not shown and self._plain_context is not None:
            return self._plain_context
        context: SSL.Context = CertificateOptions(verify=False, **_OPTIONS, **shown).getContext()
        if self._roots is None:
            context.set_default_verify_paths()
        else:
            for root in self._roots:
                context.get_cert_store().add_cert(root.original)  # type: ignore[union-attr]
        context.set_verify(SSL.VERIFY_PEER, _note_certificate)
        if not shown:
            self._plain_context = context
        return context

    def _remembered(self, host: str, is_verified: bool, trust: Trust) -> RememberedServer:
        own = _read_own(trust) if trust.certificate else None
        if not is_verified:
            context = self._unverified_context({} if own is None else _shown(own))
            return RememberedServer(_Unverified(context, host), _certified(host), False, trust)
        roots = _read_trust(Path(trust.authorities)) if trust.authorities else self._trust
        options = _OPTIONS if own is None else {**_OPTIONS, **_shown(own)}
        creator = optionsForClientTLS(host, trustRoot=roots, extraCertificateOptions=dict(options))
        return RememberedServer(creator, _certified(host), True, trust)


def _certified(host: str) -> str:
    """The name as a certificate has it."""
    return host if _is_address(host) else _ascii(host).decode() or host


def _name_problem(connection: SSL.Connection, name: str) -> str:
    try:
        if _is_address(name):
            verify_ip_address(connection, name)
        else:
            verify_hostname(connection, name)
    except (VerificationError, CertificateError, ValueError) as error:
        return f"the certificate does not name {name} ({type(error).__name__})"
    return ""


def pin_of(connection: SSL.Connection) -> str:
    """The server's key: SHA-256 of its SubjectPublicKeyInfo in base64, as RFC 7469 §2.4 has it; empty without one."""
    certificate = connection.get_peer_certificate()
    if certificate is None:
        return ""
    try:
        key = certificate.to_cryptography().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except Exception:
        return ""  #  a key of a kind that cannot be read is none that we know
    return base64.b64encode(hashlib.sha256(key).digest()).decode()


def channel_binding(connection: SSL.Connection) -> bytes | None:
    """What both ends of this connection know and nobody else (`tls-exporter`, RFC 9266); None before TLS 1.3, where
    it is only safe with an extension that we cannot see here (§4.2)."""
    if connection.get_protocol_version_name() != "TLSv1.3":
        return None
    binding: bytes = connection.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
    return binding


def _marks(trust: Trust) -> tuple[int, ...]:
    """When the files of `trust` were changed. Raises TrustUnusable."""
    if trust is NO_MORE_TRUST:
        return ()
    paths = [path for path in (trust.authorities, trust.certificate, trust.key) if path]
    try:
        return tuple(os.stat(path).st_mtime_ns for path in paths)
    except OSError as error:
        raise TrustUnusable(f"{error.filename}: cannot be read: {error.strerror}")


def _read_own(trust: Trust) -> tuple[PrivateCertificate, list[crypto.X509]]:
    """Our certificate with its key, and those that signed it. Raises TrustUnusable."""
    try:
        first, *others = _read_certificates(Path(trust.certificate))
        pair = KeyPair.load(Path(trust.key).read_bytes(), crypto.FILETYPE_PEM)
        own = PrivateCertificate.fromCertificateAndKeyPair(first, pair)  # type: ignore[no-untyped-call]
    except OSError as error:
        raise TrustUnusable(f"{error.filename}: cannot be read: {error.strerror}")
    except (crypto.Error, VerifyError, ValueError, TypeError):
        raise TrustUnusable(
            f"{trust.key or trust.certificate}: is not a key in PEM that belongs to {trust.certificate}"
        )
    return own, [other.original for other in others]


def _shown(own: tuple[PrivateCertificate, list[crypto.X509]]) -> dict[str, Any]:
    certificate, others = own
    return {
        "privateKey": certificate.privateKey.original,
        "certificate": certificate.original,
        "extraCertChain": others,
    }


def _read_certificates(path: Path) -> list[Any]:
    blocks = path.read_bytes().split(_BEGIN)[1:]
    certificates = [Certificate.loadPEM(_BEGIN + block) for block in blocks]
    if not certificates:
        raise TrustUnusable(f"{path}: holds no PEM certificate")
    return certificates


def _read_trust(path: Path) -> Any:
    try:
        certificates = _read_certificates(path)
    except TrustUnusable:
        raise
    except (OSError, crypto.Error, ValueError) as error:
        raise TrustUnusable(f"{path}: cannot be read as PEM certificates: {error}")
    return trustRootFromCertificates(certificates)  # type: ignore[no-untyped-call]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _ascii(host: str) -> bytes:
    """The name in A-labels; no server name at all when it has none."""
    try:
        return to_ascii(host).encode("ascii")
    except AddressError:
        return b""


def verification_problem(connection: SSL.Connection) -> str:
    """Why the chain of a failed handshake was not believed (`certificate has expired`); empty if that is not why."""
    #  pyOpenSSL knows the answer and has no public name for it; a release without these names costs only the words.
    library, state = getattr(SSL, "_lib", None), getattr(connection, "_ssl", None)
    try:
        code = library.SSL_get_verify_result(state)  # type: ignore[union-attr]
    except (AttributeError, TypeError):
        return ""
    return _words_of(code) if code else ""


def _words_of(code: int) -> str:
    """What OpenSSL calls a fault of a chain."""
    library: Any = getattr(SSL, "_lib", None)
    foreign: Any = getattr(SSL, "_ffi", None)
    try:
        return bytes(foreign.string(library.X509_verify_cert_error_string(code))).decode("ascii", "replace")
    except (AttributeError, TypeError):
        return ""
