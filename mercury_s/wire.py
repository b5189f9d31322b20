"""The wire: the connection as a session sees it. Only the protocol; the connection itself is listener.py."""

from __future__ import annotations

from typing import Protocol

from mercury_s.auth.client_certificate import ClientCertificate


class Wire(Protocol):
    """What a session says to its connection, and asks it."""

    def send(self, data: bytes) -> None: ...
    def start_tls(self) -> None: ...
    def close(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def read_at_once(self, octets: int) -> None:
        """From now on, take in up to so much in one piece."""

    def introduce(self, address: str, is_encrypted: bool) -> None:
        """A new session begins on this connection, with the client `address`; empty: with the same."""

    def tls_words(self) -> str:
        """Version and cipher of the connection, for the trace; empty in clear."""

    def channel_binding(self) -> bytes | None:
        """The exporter value of this TLS connection (RFC 9266), where it has one."""

    def client_certificate(self) -> ClientCertificate | None:
        """What the client has shown in the handshake, if we asked for it."""

    def own_address(self) -> str:
        """The IP address of ours that the client speaks to."""
