"""What one setting has to do with another. Each check yields problems; none raises.

A check sees a configuration whose single values are right. Groups that were wrong in themselves are left out of it,
so that one reading shows both kinds of fault; `given` is the document as it was written, to tell "left out" from
"wrong".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from shared.config.dkim import check_dkim
from shared.config.filters import check_filters
from shared.config.hop_checks import check_hop, fault_of_file
from shared.config.listeners import Listener, ListenerKind, ListenerTls
from shared.config.local import Certificates
from shared.config.local_checks import check_local
from shared.config.login_checks import check_logins
from shared.config.model import Config
from shared.config.oauth_checks import check_accounts, check_use
from shared.config.problem import Problem, shown
from shared.config.report_texts import faults_of_texts
from shared.config.routing import account_address, domains_of
from shared.config.scalars import did_you_mean
from shared.config.sending import Retry
from shared.config.sites import Hop, RouteSettings, SiteRetry
from shared.config.yaml import Settings
from shared.routing.next_hop import Tls
from shared.routing.site import Delivery, SiteWord

SITE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")


def check(config: Config, given: Settings) -> Iterator[Problem]:
    """Everything that is wrong between the settings."""
    yield from _check_site(config, given)
    yield from _check_sites(config, given)
    yield from _check_networks(config)
    yield from _check_auto(config)
    yield from _check_overlay(config)
    yield from _check_listeners(config, given)
    yield from _check_certificates(config)
    yield from check_local(config)
    yield from check_logins(config)
    yield from check_filters(config.receive.filters)
    for name, site in config.sites.items():
        if site.dkim is not None:
            yield from check_dkim(site.dkim, is_here=_is_here(config, name))
            if site.dkim.needs_domains and not domains_of(config, name):
                fault = f"whose mail is signed? Say 'domains', as site {shown(name)} has none of its own"
                yield site.dkim.origin.problem(fault, "keys")
    for route in config.routes:
        yield from _check_route(route)
    for hop, is_here in _hops(config):
        yield from check_hop(hop, is_here)
        yield from check_use(hop, config.oauth)
    used = {True: set[str](), False: set[str]()}
    for hop, is_here in _hops(config):
        used[is_here].add(hop.oauth)
    yield from check_accounts(config, given, elsewhere=used[False] - used[True])
    yield from _check_retry(config)
    yield from (config.reports.origin.problem(fault, "texts") for fault in faults_of_texts(config))
    if config.web.listen and not (config.web.operators or config.web.viewers):
        fault = "nobody may log in to the page: name accounts as 'operators' or 'viewers'"
        yield config.web.origin.problem(fault, "listen")
    if config.direct.authorities is not None and (fault := fault_of_file(config.direct.authorities)):
        yield config.direct.origin.problem(fault, "authorities")


def _check_site(config: Config, given: Settings) -> Iterator[Problem]:
    """`site` names one of the sites (those that are wrong in themselves are sites all the same)."""
    sites = given.get("sites")
    names = list(sites) if isinstance(sites, dict) else []
    if config.site and config.site not in names:
        said = f"there is no site {shown(config.site)} below 'sites'{did_you_mean(config.site, names)}"
        yield config.origin.problem(said, "site")
    if "site" not in given and len(names) > 1:
        text = f"'site' is missing: which of the sites {', '.join(names)} is this host?"
        yield given.origin.problem_with_name(text, "sites")


def _check_sites(config: Config, given: Settings) -> Iterator[Problem]:
    """A site has a plain name (it goes into spool entries and logs), and a relay site has somebody to relay to."""
    for name, site in config.sites.items():
        if not SITE_NAME.match(name):
            sites: Settings = given["sites"]
            text = f"{shown(name)} is no name for a site: use letters, digits, '.', '_' and '-'"
            yield sites.origin.problem_with_name(text, name)
        if site.delivery is SiteWord.RELAY and not site.smarthosts:
            yield site.origin.problem(f"site {shown(name)} relays, but names no 'smarthosts'", "delivery")
        if site.delivery is SiteWord.AUTO and not site.smarthosts:
            text = f"site {shown(name)} relays while port 25 is blocked, but names no 'smarthosts'"
            yield site.origin.problem(text, "delivery")
        for smarthost in site.smarthosts if site.rewrite_sender else ():
            if account_address(smarthost) is None:
                text = f"site {shown(name)} rewrites senders: say the 'address' of the account, as its login is none"
                yield smarthost.origin.problem(text, "login")
    here = config.sites.get(config.site)
    for route in config.routes:
        if route.deliver is Delivery.RELAY and here is not None and not here.smarthosts:
            yield route.origin.problem(
                f"the route relays, but site {shown(config.site)} names no 'smarthosts'", "deliver"
            )


def _check_auto(config: Config) -> Iterator[Problem]:
    if len(set(config.auto.hosts)) < 2:
        text = "one host that does not answer says nothing about this place: name two or more"
        yield config.auto.origin.problem(text, "hosts")


def _check_overlay(config: Config) -> Iterator[Problem]:
    """A domain is at one site, and what is somewhere else is not here."""
    taken: dict[str, str] = {}
    for name, site in config.sites.items():
        if site.overlay is None:
            continue
        for domain in site.overlay.domains:
            other = taken.setdefault(domain, name)
            if other != name:
                text = f"{shown(domain)} is already a domain of site {shown(other)}"
                yield site.overlay.origin.problem(text, "domains")
            elif name != config.site and domain in config.local.domains:
                text = f"{shown(domain)} is in 'local.domains' and at site {shown(name)}: it can be in one place only"
                yield site.overlay.origin.problem(text, "domains")


def _check_networks(config: Config) -> Iterator[Problem]:
    """A client belongs to one site at most."""
    taken = [(name, network) for name, site in config.sites.items() for network in site.networks]
    for number, (name, network) in enumerate(taken):
        for other, earlier in taken[:number]:
            if other != name and network.version == earlier.version and network.overlaps(earlier):
                text = f"{network} overlaps with {earlier} of site {shown(other)}: a client belongs to one site"
                yield config.sites[name].origin.problem(text, "networks")


def _check_listeners(config: Config, given: Settings) -> Iterator[Problem]:
    taken: dict[tuple[str, int], Listener] = {}
    for listener in config.receive.listeners:
        origin = listener.origin
        earlier = taken.setdefault((listener.address, listener.port), listener)
        if earlier is not listener:
            yield origin.problem(
                f"port {listener.port} is already listened on (line {earlier.origin.mark[0]})", "port"
            )
        if config.tls != Certificates() or given.get("tls"):
            continue
        if listener.tls is ListenerTls.IMPLICIT:
            yield origin.problem("implicit TLS needs a certificate: name 'certificate' and 'key' below 'tls'", "tls")
        elif listener.kind is ListenerKind.SUBMISSION and listener.tls is ListenerTls.STARTTLS:
            text = (
                "submission needs TLS, as nobody logs in over plain text: name 'certificate' and 'key' below 'tls',"
            )
            yield origin.problem(f"{text} or say 'tls: off' for clients that relay by their network")


def _check_certificates(config: Config) -> Iterator[Problem]:
    for there, missing in (("certificate", "key"), ("key", "certificate")):
        if getattr(config.tls, there) and not getattr(config.tls, missing):
            yield config.tls.origin.problem(f"'{there}' needs its '{missing}'", there)


def _check_route(route: RouteSettings) -> Iterator[Problem]:
    if route.via is not None and route.deliver is not None:
        yield route.origin.problem("'deliver' and 'via' exclude each other: 'via' relays to that host", "deliver")
    if route.via is None and route.deliver is None:
        yield route.origin.problem("the route says neither 'deliver' nor 'via'")
    if route.pins and (route.via is not None or route.tls not in (Tls.PIN, Tls.VERIFY)):
        yield route.origin.problem("'pins' of a route need 'deliver: direct' and 'tls: pin' (or 'verify')", "pins")
    if route.tls is None:
        return
    if route.via is not None and "tls" in route.via.given and route.via.tls is not route.tls:
        yield route.origin.problem("'tls' stands here and below 'via', and they differ", "tls")
    if route.tls is Tls.PIN and route.via is not None:
        yield route.origin.problem("'pin' stands below 'via', beside its 'pins'", "tls")
    elif route.tls is Tls.PIN and not route.pins:
        yield route.origin.problem("'tls: pin' needs 'pins'", "tls")
    if route.deliver is Delivery.RELAY:
        yield route.origin.problem("'tls' of a relay stands with the site's smarthost", "tls")
    if route.deliver is Delivery.HOLD:
        yield route.origin.problem("'tls' means nothing for mail that is held", "tls")


def _is_here(config: Config, site: str) -> bool:
    """A site with an overlay has a host of its own, and its secrets need not lie at the others."""
    return site == config.site or config.sites[site].overlay is None


def _hops(config: Config) -> Iterator[tuple[Hop, bool]]:
    """Each with whether this host is to dial it."""
    for name, site in config.sites.items():
        yield from ((smarthost, _is_here(config, name)) for smarthost in site.smarthosts)
    for route in config.routes:
        if route.via is not None:
            yield route.via, True


def _check_retry(config: Config) -> Iterator[Problem]:
    """Only what was written is compared: `longest: 1m` alone is clear enough, it cuts the default of `first` too."""
    for retry in (config.retry, *(site.retry for site in config.sites.values())):
        if retry is None:
            continue
        if retry.first and retry.longest and _are_given(retry, "first", "longest") and retry.first > retry.longest:
            yield retry.origin.problem("'first' is longer than 'longest'", "first")
        if retry.first and retry.lifetime and _are_given(retry, "first", "lifetime") and retry.first > retry.lifetime:
            yield retry.origin.problem("'lifetime' ends before the 'first' retry", "lifetime")


def _are_given(retry: Retry | SiteRetry, *names: str) -> bool:
    return retry.given.issuperset(names)
