"""How mail leaves: retries, reports, name servers, direct delivery (`retry:`, `reports:`, `dns:`, `direct:`,
`auto:`, `preflight:`)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from shared.config.logins import parse_web_url
from shared.config.rate import Frequency
from shared.config.scalars import (
    Count,
    Duration,
    Endpoint,
    Factor,
    File,
    Flag,
    Hostname,
    HostPattern,
    IpAddress,
    Network,
    Port,
    Server,
    Several,
    Text,
    parse_word,
)
from shared.config.setting import Parsed, Setting


class Retry(Setting):
    """Seconds. The first retry after `first`, each later one `factor` times as long after, never more than `longest`.

    A message that is older than `lifetime` goes back (`bounce_lifetime` for what has no sender); `warn_after` is when
    the sender hears that it is late.
    """

    first: Duration = 300.0
    factor: Factor = 2.0
    longest: Duration = 4 * 3600.0
    lifetime: Duration = 5 * 86400.0
    bounce_lifetime: Duration = 86400.0
    warn_after: Duration = 4 * 3600.0


class Sync(StrEnum):
    """How a batch of messages becomes durable. FILES: each by itself. SYNCFS: by one call for their file system."""

    FILES = "files"
    SYNCFS = "syncfs"


class Queue(Setting):
    """`trash`: seconds that removed mail can be brought back."""

    trash: Duration = 14 * 86400.0
    sync: Annotated[Sync, Parsed(parse_word(Sync))] = Sync.FILES


class Control(Setting):
    """`viewers`: accounts, and groups as @name, who may look into a daemon by its control socket and not act."""

    viewers: tuple[Text, ...] = ()


class DoubleBounce(StrEnum):
    """POSTMASTER: told of it. HOLD: it stays in the queue until somebody looks at it."""

    POSTMASTER = "postmaster"
    HOLD = "hold"


class Reports(Setting):
    """`double_bounces`: what becomes of mail without a sender that cannot be delivered. `texts`: a folder of files
    with the house's own words, one for a language."""

    double_bounces: Annotated[DoubleBounce, Parsed(parse_word(DoubleBounce))] = DoubleBounce.POSTMASTER
    texts: File | None = None


class Dns(Setting):
    """`servers` empty: those of resolv.conf. `timeout`: seconds for one question, all tries together. `trust_ad`:
    what they call proved by DNSSEC is believed although they are not on this host."""

    servers: tuple[Server, ...] = ()
    timeout: Duration = 10.0
    trust_ad: Flag = False


class Destination(Setting):
    """What the mail hosts that match `hosts` want; of a set of hosts, the best one is looked at."""

    hosts: Several[HostPattern]
    connections: Count | None = None
    rate: Frequency | None = None
    recipients: Count | None = None


class Direct(Setting):
    """`allow_addresses`: networks in private, loopback or reserved space that an MX may point into. `authorities`: a
    PEM file of the only ones to believe. `dane`: TLSA records are looked for. `mta_sts`: so are policies, at this
    port. `tls_reports`: other domains are told how TLS to them went."""

    port: Port = 25
    allow_addresses: tuple[Network, ...] = ()
    dane: Flag = True
    mta_sts: Flag = True
    mta_sts_port: Port = 443
    tls_reports: Flag = False
    authorities: File | None = None
    destinations: tuple[Destination, ...] = ()


#  Mail hosts of large providers, each run by somebody else: that all of them are down at once does not happen.
WELL_KNOWN = (
    "gmail-smtp-in.l.google.com",
    "mx01.mail.icloud.com",
    "mta5.am0.yahoodns.net",
    "outlook-com.olc.protection.outlook.com",
)


class Auto(Setting):
    """When a site with `delivery: auto` relays, and when it delivers directly again.

    A round knocks at all `hosts`, every `every`; every `again` while there is doubt. A site relays after `bad_rounds`
    and is direct after `good_rounds`, at least `stay` later. `timeout` is for one host.
    """

    hosts: Several[Endpoint] = WELL_KNOWN
    every: Duration = 300.0
    again: Duration = 20.0
    timeout: Duration = 10.0
    bad_rounds: Count = 3
    good_rounds: Count = 3
    stay: Duration = 900.0


#  Asked by the operator's command only, never by a daemon.
BLOCKLISTS = ("zen.spamhaus.org", "bl.spamcop.net", "psbl.surriel.com")


class Preflight(Setting):
    """What `mercury doctor` looks at. `addresses`: those that strangers see, by which MercuryE knows itself, too;
    left out, it finds out by itself. `echo`: a page that answers with the address of who asks; left out, nobody is
    asked. `dkim_selector`: the name of the key that signs."""

    addresses: tuple[IpAddress, ...] = ()
    echo: Annotated[str, Parsed(parse_web_url)] = ""
    dkim_selector: Text = ""
    blocklists: tuple[Hostname, ...] = BLOCKLISTS
