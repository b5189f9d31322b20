"""A next hop: where to connect, how far to trust it, and as whom to log in. No secrets, only where they are kept."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Tls(StrEnum):
    """What is demanded of the connection.

    VERIFY: chain and name. OPPORTUNISTIC: TLS where offered, unverified. OFF: plain text.
    """

    VERIFY = "verify"
    OPPORTUNISTIC = "opportunistic"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class NextHop:
    """One server to hand mail to.

    `host` is a name or an IP address and is what a certificate is verified against. `addresses`, when not empty, are
    the IP addresses to connect to (MercuryE has looked them up); otherwise `host` is resolved at connection.
    `implicit_tls` means TLS from the first byte (port 465). `password_file` is a path, read when the login is used.
    `login_in_clear` is the second word that `tls: off` needs before a password goes over the wire unencrypted.
    `lmtp`: it is a mailbox server and speaks LMTP (RFC 2033). `socket_path`: a unix socket, in place of TCP.
    """

    host: str
    port: int = 25
    tls: Tls = Tls.VERIFY
    implicit_tls: bool = False
    login: str = ""
    password_file: str = ""
    addresses: tuple[str, ...] = ()
    login_in_clear: bool = False
    lmtp: bool = False
    socket_path: str = ""

    def __str__(self) -> str:
        if self.socket_path:
            return f"unix:{self.socket_path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
