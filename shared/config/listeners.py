"""What MercuryS listens on and whom it lets in (`receive:`). How much it bears is in limits.py."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from shared.config.filters import Filter
from shared.config.limits import BlacklistSettings, Limits, Rates
from shared.config.logins import Auth, Mechanisms
from shared.config.pickup import Pickup
from shared.config.scalars import (
    Count,
    File,
    Flag,
    IpAddress,
    Network,
    Port,
    Several,
    Size,
    parse_word,
)
from shared.config.setting import Parsed, Setting, section
from shared.config.submission import SubmissionSettings


class ListenerKind(StrEnum):
    """MX: mail from anywhere for our domains. SUBMISSION: mail from our own people, who log in (RFC 6409)."""

    MX = "mx"
    SUBMISSION = "submission"


class ListenerTls(StrEnum):
    """STARTTLS: offered when there is a certificate. IMPLICIT: from the first byte (RFC 8314). OFF: not offered."""

    STARTTLS = "starttls"
    IMPLICIT = "implicit"
    OFF = "off"


class TlsFloor(StrEnum):
    """The lowest version of TLS that a listener speaks. Below 1.2 only for named networks (RFC 8996)."""

    TLS_1_0 = "1.0"
    TLS_1_1 = "1.1"
    TLS_1_2 = "1.2"
    TLS_1_3 = "1.3"


def parse_tls_floor(value: object) -> TlsFloor:
    """1.2 is a number to YAML, and a version to everybody else."""
    return parse_word(TlsFloor)(str(value) if isinstance(value, float) else value)


class RuleAction(StrEnum):
    """ALLOW: may connect. REFUSE: turned away at the greeting. RELAY: may send to other domains too."""

    ALLOW = "allow"
    REFUSE = "refuse"
    RELAY = "relay"


class Listener(Setting):
    """One port. `address` empty: all addresses. `networks` empty: anyone may connect. `relay` false: no network has
    the right to relay here, only a login gives it. `auth` false: logins are not offered; a list: only by these ways.
    `client_ca`: clients may show a certificate that one of these authorities has signed. `proxy`: who connects from
    here begins with a PROXY header. `xclient`: who connects from here may say XCLIENT.

    Left out, `kind` follows the port: submission on 587 and 465, otherwise mx; `tls` is implicit on 465, otherwise
    starttls.
    """

    port: Port
    address: IpAddress = ""
    kind: Annotated[ListenerKind, Parsed(parse_word(ListenerKind))] = ListenerKind.MX
    tls: Annotated[ListenerTls, Parsed(parse_word(ListenerTls))] = ListenerTls.STARTTLS
    networks: Several[Network] = ()
    relay: Flag = True
    auth: Mechanisms = True
    tls_floor: Annotated[TlsFloor, Parsed(parse_tls_floor)] = TlsFloor.TLS_1_2
    client_ca: File | None = None
    proxy: Several[Network] = ()
    xclient: Several[Network] = ()

    @classmethod
    def complete(cls, written: Mapping[str, Any]) -> Mapping[str, Any]:
        port = written.get("port")
        follow: dict[str, str] = {}
        if port in (465, 587):
            follow["kind"] = "submission"
        if port == 465:
            follow["tls"] = "implicit"
        return {**follow, **written}


class ConnectionRule(Setting):
    """What a client of these networks may do; the first rule that names its address counts.

    `exempt`: neither the limits per client nor the filters apply. `source` is where the rule stands, `file:line`.
    """

    networks: Several[Network]
    action: Annotated[RuleAction, Parsed(parse_word(RuleAction))]
    exempt: Flag = False


class Receive(Setting):
    listeners: Several[Listener] = (Listener(port=25),)
    max_message_size: Size = 50 * 1024 * 1024
    priorities: Flag = False
    workers: Count = 1
    pickup: Pickup = section()
    rules: tuple[ConnectionRule, ...] = ()
    filters: tuple[Filter, ...] = ()
    submission: SubmissionSettings = section()
    limits: Limits = section()
    rates: Rates = section()
    blacklist: BlacklistSettings = section()
    auth: Auth = section()
