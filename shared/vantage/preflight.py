"""Preflight: everything that strangers look at before they take mail from this host, asked in one go.

Here: the questions. Not here: what the answers mean (light.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from typing import Protocol

from shared.dns.answers import Found
from shared.mail.record import dataclass
from shared.vantage.dkim_key import parse_key
from shared.vantage.knock import Knock
from shared.vantage.light import (
    Check,
    Light,
    judge_dkim,
    judge_listing,
    judge_name,
    judge_port,
    judge_spf,
    no_address,
)
from shared.vantage.public_space import is_public
from shared.vantage.spf import Names, Result, check_spf

#  RFC 5782 §5: every list of IPv4 addresses has this one.
_TEST_ENTRY = "2.0.0.127"


class Prober(Protocol):
    """As shared.vantage.probe.Probe."""

    async def knock_at(self, endpoints: Sequence[str]) -> tuple[Knock, ...]: ...


@dataclass(frozen=True, slots=True)
class Flight:
    """What is to be checked. `addresses` as the operator gives them; without, the kernel and then `echo` are asked.
    `selector`: of a key of somebody who signs for us. `keys`: of ours, where each is published, and its record.
    Without either DKIM is not looked at. `hosts`: mail hosts to knock at, on `port` unless they say another."""

    hostname: str
    domains: tuple[str, ...]
    addresses: tuple[str, ...]
    selector: str
    blocklists: tuple[str, ...]
    hosts: tuple[str, ...]
    port: int
    keys: tuple[tuple[str, str], ...] = ()


async def preflight(
    flight: Flight,
    names: Names,
    prober: Prober,
    sources: Callable[[], Sequence[str]],
    echo: Callable[[], Awaitable[str]] | None,
) -> list[Check]:
    """The checks in the order in which a person would do them; nobody's failure hides another."""
    knocks = asyncio.ensure_future(prober.knock_at(flight.hosts))
    checks = await find_addresses(flight.addresses, sources, echo)
    addresses = [check.about for check in checks if check.name == "address" and check.light is Light.GREEN]
    checks += await asyncio.gather(*(_check_name(names, address, flight.hostname) for address in addresses))
    for address in addresses:
        checks += await _check_spf(names, address, flight)
    checks += await _check_dkim(names, flight) + await check_keys(names, flight.keys)
    checks += await asyncio.gather(
        *(_check_listing(names, address, zone) for address in addresses for zone in flight.blocklists)
    )
    checks.append(judge_port(flight.port, await knocks))
    return checks


async def find_addresses(
    given: Sequence[str], sources: Callable[[], Sequence[str]], echo: Callable[[], Awaitable[str]] | None
) -> list[Check]:
    """A green check for each public address of ours; else one that says why there is none."""
    if given:
        return [_given(address) for address in given]
    own = sources()
    public = [address for address in own if is_public(address)]
    if public:
        said = "the address of the way to the Internet"
        return [Check(Light.GREEN, "address", address, said) for address in public]
    here = f"only private addresses lead out ({', '.join(own)})" if own else "no address leads to the Internet"
    if echo is None:
        return [no_address(here)]
    try:
        address = await echo()
    except (OSError, ValueError) as error:
        return [no_address(f"{here}, and the page that would tell it failed: {error}")]
    return [Check(Light.GREEN, "address", address, f"the page in preflight.echo sees it; {here}")]


def _given(address: str) -> Check:
    if is_public(address):
        return Check(Light.GREEN, "address", address, "as it was given")
    return no_address(f"{address} was given, and strangers cannot see it: it is private or reserved")


async def _check_name(names: Names, address: str, hostname: str) -> Check:
    pointers = await names.pointers(address)
    found = pointers.values if isinstance(pointers, Found) else ()
    version = ip_address(address).version
    backs = await asyncio.gather(*(names.family(name, version) for name in found))
    confirmed = [
        name for name, back in zip(found, backs, strict=True) if isinstance(back, Found) and address in back.values
    ]
    return judge_name(address, hostname, pointers, confirmed)


async def _check_spf(names: Names, address: str, flight: Flight) -> list[Check]:
    """For each domain; and for the EHLO name, by which reports without a sender are judged, if it has a record."""
    checks = []
    for domain in flight.domains:
        spf = await check_spf(names, address, domain, f"postmaster@{domain}", flight.hostname)
        checks.append(judge_spf(domain, address, spf))
    if flight.hostname not in flight.domains:
        spf = await check_spf(names, address, flight.hostname, f"postmaster@{flight.hostname}", flight.hostname)
        if spf.result is not Result.NONE:
            checks.append(judge_spf(flight.hostname, address, spf))
    return checks


async def _check_dkim(names: Names, flight: Flight) -> list[Check]:
    if not flight.selector:
        signers = [name.partition("._domainkey.")[2] for name, _ in flight.keys]
        unsigned = [
            domain for domain in flight.domains if not any(f".{domain}".endswith(f".{signer}") for signer in signers)
        ]
        if not unsigned:
            return []
        says = "nothing here signs its mail" if signers else "not looked at: no selector is known"
        to_do = (
            f"make a key: mercury dkim key {unsigned[0]}; or, if somebody else signs for you, say under which name"
            " that key stands: --selector, or preflight.dkim_selector"
        )
        return [Check(Light.AMBER, "dkim", ", ".join(unsigned), says, to_do)]
    checks = []
    for domain in flight.domains:
        name = f"{flight.selector}._domainkey.{domain}"
        answer = await names.strings(name)
        keys = [key for key in map(parse_key, answer.values) if key] if isinstance(answer, Found) else []
        checks.append(judge_dkim(name, answer, keys))
    return checks


async def check_keys(names: Names, keys: Sequence[tuple[str, str]]) -> list[Check]:
    """Whether each of our keys, by its name in the DNS, is published with this record."""
    checks = []
    for name, record in keys:
        answer = await names.strings(name)
        found = [key for key in map(parse_key, answer.values) if key] if isinstance(answer, Found) else []
        ours = parse_key(record)
        checks.append(judge_dkim(name, answer, found, ours.public if ours else ""))
    return checks


async def _check_listing(names: Names, address: str, zone: str) -> Check:
    name = f"{_backwards(address)}.{zone}"
    answer, alive = await asyncio.gather(names.family(name, 4), names.family(f"{_TEST_ENTRY}.{zone}", 4))
    texts = await names.strings(name) if isinstance(answer, Found) else None
    said = texts.values if isinstance(texts, Found) else ()
    return judge_listing(address, zone, answer, said, isinstance(alive, Found))


def _backwards(address: str) -> str:
    """RFC 5782 §2.1, §2.4: the octets or the nibbles in reverse order."""
    return ip_address(address).reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
