"""A next hop: where to connect, how far to trust it, and as whom to log in. No secrets, only where they are kept."""

from __future__ import annotations

from enum import StrEnum

from shared.mail.record import dataclass
from shared.routing.terms import NO_TERMS, Terms


class Tls(StrEnum):
    """What is demanded of the connection.

    VERIFY: chain and name. DANE: what the DNS says of its certificate (RFC 7672). PIN: one of the keys we know,
    whatever the chain says. ENCRYPT: TLS, whoever answers. OPPORTUNISTIC: TLS where offered, unverified. OFF: plain
    text.
    """

    VERIFY = "verify"
    DANE = "dane"
    PIN = "pin"
    ENCRYPT = "encrypt"
    OPPORTUNISTIC = "opportunistic"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom we believe beyond the authorities of the system, and as whom we show ourselves.

    `pins` are the SHA-256 of public keys (SubjectPublicKeyInfo) in base64; the server must hold one of them, beside
    what `verify` demands. `authorities`, `certificate` and `key` are paths of PEM files; what is signed by
    `authorities` is believed and nothing else. `associations` are usable TLSA records (usage, selector, matching,
    data), and `names` those that, beside the host's own, a certificate may have when they speak of its authority.
    `unusable` is where records stand of which none can be used: nothing is demanded for them, and reports tell it.
    """

    pins: tuple[str, ...] = ()
    authorities: str = ""
    certificate: str = ""
    key: str = ""
    associations: tuple[tuple[int, int, int, bytes], ...] = ()
    names: tuple[str, ...] = ()
    unusable: str = ""


NO_MORE_TRUST = Trust()


@dataclass(frozen=True, slots=True)
class NextHop:
    """One server to hand mail to.

    `host` is a name or an IP address and is what a certificate is verified against. `addresses`, when not empty, are
    the IP addresses to connect to (MercuryE has looked them up); otherwise `host` is resolved at connection.
    `implicit_tls` means TLS from the first byte (port 465). `password_file` is a path, read when the login is used.
    `oauth` names the account whose token takes the place of a password. `denied` are mechanisms of AUTH that are not
    used there. `login_in_clear` is the second word that `tls: off` needs before anybody logs in over plain text.
    `inside_only`: to private addresses and no others.
    `lmtp`: it is a mailbox server and speaks LMTP (RFC 2033). `socket_path`: a unix socket, in place of TCP.
    Of the hops of a leg, the lowest `priority` is tried first; those that share one share the mail by `weight`.
    `discover`: ask the DNS which host and port serve the domain `host` (RFC 6186, 8314); `port` if it does not know.
    `certified_name`, when given, is verified in place of `host`. `source` has an address of ours for each family, and
    `helo` is the name that we give there. `known_as`: the book name of the hop that it was discovered for.
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
    priority: int = 0
    weight: int = 1
    discover: bool = False
    certified_name: str = ""
    source: tuple[str, ...] = ()
    helo: str = ""
    trust: Trust = NO_MORE_TRUST
    inside_only: bool = False
    oauth: str = ""
    denied: frozenset[str] = frozenset()
    terms: Terms = NO_TERMS
    known_as: str = ""

    @property
    def book_name(self) -> str:
        """Under which it is remembered what the server said of itself and what was spent there."""
        return self.known_as or (f"{self.login} at {self}" if self.login else str(self))

    def __hash__(self) -> int:
        #  Asked for several times with each message; what else there is tells few hops apart.
        return hash((self.host, self.port, self.login))

    def __str__(self) -> str:
        if self.socket_path:
            return f"unix:{self.socket_path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
