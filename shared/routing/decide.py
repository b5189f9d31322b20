"""Which way a recipient goes, and why: local domains, then the exceptions, then the word of the message's site.

Pure. MercuryS asks when a message is deposited; every daemon asks again when it claims an entry, so that a changed
word moves queued mail. Each answer carries its reason in words, since "why did it go there?" is the question that
operators ask most.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from shared.mail.address import Address
from shared.mail.envelope import Envelope, Recipient
from shared.mail.light import light
from shared.mail.record import dataclass
from shared.routing.lane import Lane
from shared.routing.next_hop import NextHop, Tls
from shared.routing.site import Delivery, Site
from shared.routing.table import RouteRule, RoutingTable, patterns_of

_THIS_HOST = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))
LANE_OF = {Delivery.RELAY: Lane.RELAY, Delivery.DIRECT: Lane.DIRECT, Delivery.HOLD: Lane.HOLD}


@light
@dataclass(frozen=True, slots=True)
class Route:
    """`hops` are the next hops of a relayed recipient, in order. `tls` is what a rule demands of a direct delivery
    (None: no demand of ours) with its `pins`. `reason` names the local domain, the rule (file:line) or the site."""

    lane: Lane
    hops: tuple[NextHop, ...] = ()
    tls: Tls | None = None
    reason: str = ""
    pins: tuple[str, ...] = ()


def decide_route(table: RoutingTable, recipient: Address, site: str) -> Route:
    """The way of `recipient` for a message of `site`. Never fails: what cannot leave the house is held."""
    domain = recipient.ascii_domain
    if not domain:
        #  RFC 5321 §4.5.1: the bare <postmaster> is the postmaster of whoever is asked.
        return Route(Lane.LOCAL, reason="postmaster without a domain is ours")
    if domain in table.local_domains:
        return Route(Lane.LOCAL, reason=f"{domain} is a local domain")
    found = _first_rule(table, recipient) if table.rules else None
    if found is None:
        return _by_site(table, site)
    rule, pattern = found
    return _by_rule(table, rule, pattern, site)


def split_by_lane(table: RoutingTable, envelope: Envelope) -> dict[Lane, tuple[Recipient, ...]]:
    """The recipients by lane, in their order; each is in exactly one."""
    lanes: dict[Lane, list[Recipient]] = {}
    for recipient in envelope.recipients:
        lane = decide_route(table, recipient.address, envelope.site).lane
        lanes.setdefault(lane, []).append(recipient)
    return {lane: tuple(recipients) for lane, recipients in lanes.items()}


def site_of_client(table: RoutingTable, address: str) -> Site | None:
    """The site whose network holds the client's IP address; None for a stranger (or what is no IP address).

    A program of this host is at its site, whichever has the loopback network: the file is the same at all.
    """
    client = _parse_ip(address)
    if client is None:
        return None
    for site in table.sites.values():
        if any(client in network for network in site.networks):
            return table.sites.get(table.here, site) if client in _THIS_HOST else site
    return None


def is_from_inside(table: RoutingTable, envelope: Envelope) -> bool:
    """Whether it is mail of our people: logged in, from a site's network, or born on this host.

    `envelope.site` does not tell: a stranger's mail that an alias sends on leaves from here, and is his all the same.
    """
    client = envelope.client.partition(" ")[0]
    return bool(envelope.login) or client in ("", "uid") or site_of_client(table, client) is not None


@lru_cache(maxsize=1024)
def _parse_ip(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        client = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    #  A listener on `::` sees IPv4 clients as ::ffff:192.0.2.1; their networks are written as IPv4.
    return getattr(client, "ipv4_mapped", None) or client


def _first_rule(table: RoutingTable, recipient: Address) -> tuple[RouteRule, str] | None:
    """The first rule that matches and the pattern it matched by."""
    if not table.rules:
        return None
    first = table.first_rule_of
    matches = [(first[pattern], pattern) for pattern in patterns_of(recipient) if pattern in first]
    if not matches:
        return None
    number, pattern = min(matches, key=lambda match: match[0])
    return table.rules[number], pattern


def _by_rule(table: RoutingTable, rule: RouteRule, pattern: str, site: str) -> Route:
    where = f"rule {rule.source} for {pattern}" if rule.source else f"rule for {pattern}"
    if rule.site:
        where = f"{pattern} is a domain of site {rule.site} ({rule.source})"
    if rule.via is not None:
        return Route(Lane.RELAY, (rule.via,), None, f"{where}: via {rule.via}")
    if rule.deliver is None:
        way = _by_site(table, site)
        return Route(way.lane, way.hops, rule.tls, f"{where}: {way.reason}", rule.pins)
    if rule.deliver is Delivery.RELAY:
        return _relay(table, site, where)
    return Route(LANE_OF[rule.deliver], (), rule.tls, f"{where}: {rule.deliver}", rule.pins)


def _by_site(table: RoutingTable, name: str) -> Route:
    known: Route | None = table.known_ways.get(name)
    if known is None:
        known = _find_by_site(table, name)
        #  Names of sites that are gone come from old mail, and there is no end of them.
        if name in table.sites or not name:
            table.known_ways[name] = known
    return known


def _find_by_site(table: RoutingTable, name: str) -> Route:
    site, which = _site(table, name)
    if site is None:
        return Route(Lane.HOLD, reason=f"{which}: held until one is configured")
    if site.delivery is Delivery.RELAY:
        return _relay(table, name, which, site.why)
    return Route(LANE_OF[site.delivery], (), None, f"{which}: {site.delivery}{_because(site.why)}")


def _relay(table: RoutingTable, name: str, why: str, cause: str = "") -> Route:
    """By the smarthosts of the site; by those of this host's site when it has none of its own."""
    because = _because(cause)
    own, here = _site(table, name)[0], table.sites.get(table.here)
    if own is not None and own.smarthosts:
        return Route(Lane.RELAY, own.smarthosts, None, f"{why}: relay{because}")
    if here is not None and here.smarthosts:
        return Route(
            Lane.RELAY, here.smarthosts, None, f"{why}: relay by the smarthosts of site {here.name}{because}"
        )
    return Route(Lane.HOLD, reason=f"{why}: relay, but there is no smarthost: held until one is configured")


def _because(cause: str) -> str:
    return f" ({cause})" if cause else ""


def _site(table: RoutingTable, name: str) -> tuple[Site | None, str]:
    """The site called `name`, or this host's when it is gone from the configuration, and how to call it."""
    if name in table.sites:
        return table.sites[name], f"site {name}"
    here = table.sites.get(table.here)
    if here is None:
        return None, "there is no site"
    return here, f"site {here.name}" if not name else f"site {here.name} (there is no site {name!r} any more)"
