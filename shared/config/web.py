"""The status page (`web:`): where it listens, by which names it is called, and who may log in."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from shared.config.observing import parse_listen
from shared.config.problem import shown
from shared.config.scalars import Duration, Host, parse_text
from shared.config.setting import Parsed, Setting
from shared.mail.address import AddressError, parse_address

_UNIX = "unix:"
#  sun_path of unix(7), with the zero behind it.
_LONGEST_PATH = 107


def parse_page(value: object) -> str:
    """`unix:/path`, or an address of this host alone with a port: the page speaks plain HTTP, and passwords."""
    if isinstance(value, str) and value.startswith(_UNIX):
        path = parse_text(value).removeprefix(_UNIX)
        if not path.startswith("/") or len(path.encode()) > _LONGEST_PATH:
            raise ValueError(f"{shown(path)} is no path of a socket: it begins with / and has at most 107 octets")
        return value
    listen = parse_listen(value)
    if not ipaddress.ip_address(listen.rpartition(":")[0].strip("[]")).is_loopback:
        raise ValueError(
            f"{shown(listen)} can be reached from other hosts, and the page speaks no TLS: use unix:/path or"
            " 127.0.0.1, and `ssh -L` or a web server with TLS in front of it"
        )
    return listen


def parse_account(value: object) -> str:
    """An address as the users file knows it."""
    text = parse_text(value)
    try:
        return parse_address(text).key
    except AddressError as error:
        raise ValueError(f"{shown(text)}: {error}")


AccountKey = Annotated[str, Parsed(parse_account)]


class WebSettings(Setting):
    """`listen` empty: there is no page. Accounts are those of `local.users`; `session` in seconds."""

    listen: Annotated[str, Parsed(parse_page)] = ""
    hosts: tuple[Host, ...] = ()
    operators: tuple[AccountKey, ...] = ()
    viewers: tuple[AccountKey, ...] = ()
    session: Duration = 12 * 3600.0

    @property
    def socket(self) -> str:
        """The path of the unix socket; empty when the page has an address."""
        return self.listen.removeprefix(_UNIX) if self.listen.startswith(_UNIX) else ""

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)
