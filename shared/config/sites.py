"""Sites, their smarthosts, and the exceptions by recipient (`sites:` and `routes:`)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from shared.config.budget import BudgetSettings, HoursSpan, MailAddress, TimeZone
from shared.config.dkim import Dkim
from shared.config.logins import Mechanism
from shared.config.scalars import (
    Count,
    Duration,
    Factor,
    File,
    Flag,
    Host,
    Hostname,
    IpAddress,
    Name,
    Network,
    Pattern,
    Pin,
    Port,
    SecretFile,
    Several,
    Size,
    Text,
    parse_word,
)
from shared.config.sending import Retry
from shared.config.setting import Parsed, Setting
from shared.routing.next_hop import Tls
from shared.routing.site import Delivery, SiteWord

TlsDemand = Annotated[
    Tls,
    Parsed(parse_word(Tls, {"implicit": "'implicit' is not said here: write 'implicit: true' beside 'tls: verify'"})),
]
SiteWordOf = Annotated[SiteWord, Parsed(parse_word(SiteWord))]
DeliveryWord = Annotated[
    Delivery,
    Parsed(parse_word(Delivery, {"auto": "'auto' is a word for sites: say relay, direct or hold"})),
]


class Language(StrEnum):
    """One for each file of words (shared/dsn/words)."""

    ENGLISH = "en"
    GERMAN = "de"


MechanismWord = Annotated[Mechanism, Parsed(parse_word(Mechanism))]
LanguageWord = Annotated[Language, Parsed(parse_word(Language))]
IMPLICIT_TLS_PORT = 465  # RFC 8314
SUBMISSION_PORT = 587  # RFC 6409
LMTP_PORT = 24  # RFC 2033 section 5: not 25


class Hop(Setting):
    """A server that takes mail from us. `implicit`: TLS from the first byte; left out, true on port 465.

    `in_clear` says `tls: off` for the second time. `authorities`, `certificate` and `key` are PEM files. `oauth` is
    one of the accounts below the `oauth` of the file. `deny_auth`: mechanisms not to be used there.
    `bandwidth` in octets a second.
    """

    host: Host
    port: Port | None
    tls: TlsDemand
    implicit: Flag = False
    in_clear: Flag = False
    pins: tuple[Pin, ...] = ()
    authorities: File | None = None
    certificate: File | None = None
    key: SecretFile | None = None
    login: Text = ""
    password_file: SecretFile | None = None
    oauth: Text = ""
    deny_auth: tuple[MechanismWord, ...] = ()
    source_address: Several[IpAddress] | None = None
    helo: Hostname | None = None
    budget: BudgetSettings | None = None
    max_recipients: Count | None = None
    window: Several[HoursSpan] | None = None
    bandwidth: Size | None = None

    @classmethod
    def complete(cls, written: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"implicit": True, **written} if written.get("port") == IMPLICIT_TLS_PORT else written


class Smarthost(Hop):
    """A hop of a site: submission with a verified certificate unless said otherwise.

    `port` left out: as the DNS says, otherwise 587. `priority` left out: by the place in the list. `address`: that of
    the account, for `rewrite_sender`; left out, the login.
    """

    port: Port | None = None
    tls: TlsDemand = Tls.VERIFY
    priority: Count | None = None
    weight: Count = 1
    address: MailAddress | None = None


class Via(Hop):
    """A hop of a route, most often a server inside: port 25, TLS where it is offered. `lmtp`: a mailbox server that
    speaks LMTP (RFC 2033); its port is 24 unless given."""

    port: Port | None = 25
    tls: TlsDemand = Tls.OPPORTUNISTIC
    lmtp: Flag = False

    @classmethod
    def complete(cls, written: Mapping[str, Any]) -> Mapping[str, Any]:
        if written.get("lmtp") is True and "port" not in written:
            written = {"port": LMTP_PORT, **written}
        return super().complete(written)


class SiteRetry(Setting):
    """What of `retry` is different for the mail of one site."""

    first: Duration | None = None
    factor: Factor | None = None
    longest: Duration | None = None
    lifetime: Duration | None = None
    bounce_lifetime: Duration | None = None
    warn_after: Duration | None = None

    def over(self, usual: Retry) -> Retry:
        """`usual`, but for what is said here."""
        return usual.replaced(**{name: value for name in self.given if (value := getattr(self, name)) is not None})


class Overlay(Setting):
    """How the other sites of this file reach this one: its `domains` go to `host`, which holds one of the `pins`."""

    domains: Several[Name]
    host: Host
    port: Port = 25
    pins: Several[Pin]


class SiteSettings(Setting):
    """`retry` left out: as everywhere. `language`: of the reports to its senders. `time_zone` None: the host's.
    `rewrite_sender`: its mail goes to smarthosts in the name of the account there. `dkim`: it is signed."""

    networks: tuple[Network, ...] = ()
    delivery: SiteWordOf
    smarthosts: tuple[Smarthost, ...] = ()
    retry: SiteRetry | None = None
    language: LanguageWord = Language.ENGLISH
    overlay: Overlay | None = None
    time_zone: TimeZone | None = None
    rewrite_sender: Flag = False
    dkim: Dkim | None = None


class RouteSettings(Setting):
    """An exception: recipients that match `to` go as `deliver` says, or `via` a hop. `pins`: for `tls: pin`."""

    to: Several[Pattern]
    deliver: DeliveryWord | None = None
    via: Via | None = None
    tls: TlsDemand | None = None
    pins: tuple[Pin, ...] = ()
