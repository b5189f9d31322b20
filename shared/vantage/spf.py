"""SPF (RFC 7208): may this address send mail for that domain? Pure: who asks the DNS comes in as `names`.

Here: records, mechanisms, macros and the limits of §4.6.4. Not here: what a person should do about the result
(light.py). The macro `p` is always "unknown", as §7.3 allows; everything else is done.
"""

from __future__ import annotations

import re
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Protocol

from shared.dns.answers import Answer, Found, MxRecord, Trouble
from shared.mail.record import dataclass

MOST_LOOKUPS = 10  #  mechanisms that ask the DNS, §4.6.4
MOST_VOID = 2  #  of them, those that find nothing
MOST_HOSTS = 10  #  for one mx or ptr


class Names(Protocol):
    """As shared.dns.resolver.Resolver."""

    async def strings(self, name: str) -> Answer[tuple[str, ...]]: ...

    async def family(self, name: str, version: int) -> Answer[tuple[str, ...]]: ...

    async def mx(self, domain: str) -> Answer[tuple[MxRecord, ...]]: ...

    async def pointers(self, address: str) -> Answer[tuple[str, ...]]: ...


class Result(StrEnum):
    """§2.6."""

    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"
    FAIL = "fail"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@dataclass(frozen=True, slots=True)
class Spf:
    """`why`: the term that decided, or what is wrong; printable."""

    result: Result
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Directive:
    """`domain`: its domain-spec, before macros. `network`: of ip4 and ip6. `lengths`: prefix for IPv4 and IPv6."""

    text: str
    result: Result
    mechanism: str
    domain: str = ""
    network: Any = None
    lengths: tuple[int, int] = (32, 128)


@dataclass(frozen=True, slots=True)
class _Record:
    directives: tuple[_Directive, ...]
    redirect: str


class _Broken(Exception):
    """The evaluation ends here, with a result."""

    def __init__(self, result: Result, why: str) -> None:
        super().__init__(why)
        self.spf = Spf(result, why.encode("ascii", "backslashreplace").decode())


_RESULTS = {"+": Result.PASS, "-": Result.FAIL, "~": Result.SOFTFAIL, "?": Result.NEUTRAL}
#  §4.6.1   directive = [ qualifier ] mechanism; modifier = name "=" macro-string
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9._-]*)=(.*)\Z")
_DIRECTIVE = re.compile(r"([+?~-]?)([A-Za-z][A-Za-z0-9]*)(:[^/]+|:[^/]*%\{.*\}[^/]*)?((?:/.*)?)\Z")
_LENGTHS = re.compile(r"(?:/([0-9]{1,3}))?(?://([0-9]{1,3}))?\Z")
#  §7.1   macro-expand = ( "%{" macro-letter transformers *delimiter "}" ) / "%%" / "%_" / "%-"
_MACRO = re.compile(r"%(?:\{([slodiphcrtvSLODIPHCRTV])([0-9]*)(r?)([.\-+,/_=]*)\}|([%_-])|)")


async def check_spf(names: Names, address: str, domain: str, sender: str, helo: str) -> Spf:
    """What the SPF record of `domain` says of mail from `address`, given by `helo` in the name of `sender`."""
    return await _Check(names, address, sender, helo).run(domain)


class _Check:
    def __init__(self, names: Names, address: str, sender: str, helo: str) -> None:
        self._names = names
        self._address: IPv4Address | IPv6Address = ip_address(address)
        self._sender = sender
        self._helo = helo
        self._lookups = 0
        self._void = 0

    async def run(self, domain: str) -> Spf:
        try:
            return await self._check(domain)
        except _Broken as broken:
            return broken.spf

    async def _check(self, domain: str) -> Spf:
        """check_host(), §4."""
        text = await self._record_of(domain)
        if text is None:
            return Spf(Result.NONE, f"{domain} has no SPF record")
        record = parse_record(text)
        for directive in record.directives:
            if await self._matches(directive, domain):
                return Spf(directive.result, f"{directive.text} in the record of {domain}")
        if not record.redirect:
            return Spf(Result.NEUTRAL, f"no term in the record of {domain} matches")
        self._count(record.redirect)
        found = await self._check(self._expand(record.redirect, domain))
        if found.result is Result.NONE:
            raise _Broken(Result.PERMERROR, f"redirect={record.redirect} leads to no SPF record")
        return found

    async def _record_of(self, domain: str) -> str | None:
        answer = await self._names.strings(domain)
        if isinstance(answer, Trouble):
            raise _Broken(Result.TEMPERROR, answer.reason)
        texts = answer.values if isinstance(answer, Found) else ()
        ours = [text for text in texts if text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")]
        if len(ours) > 1:
            raise _Broken(Result.PERMERROR, f"{domain} has {len(ours)} SPF records and may have one")
        return ours[0] if ours else None

    async def _matches(self, directive: _Directive, domain: str) -> bool:
        match directive.mechanism:
            case "all":
                return True
            case "ip4" | "ip6":
                return _is_in(self._address, directive.network)
        self._count(directive.text)
        target = self._expand(directive.domain, domain) if directive.domain else domain
        match directive.mechanism:
            case "include":
                return await self._is_included(target, directive.text)
            case "exists":
                return bool(await self._hosts(target, 4))
            case "a":
                return await self._is_at(target, directive)
            case "mx":
                return await self._is_mx(target, directive)
            case _:
                return await self._is_named(target)

    async def _is_included(self, target: str, text: str) -> bool:
        """§5.2: its pass is a match, its failures are none, its errors are ours."""
        found = await self._check(target)
        if found.result is Result.NONE:
            raise _Broken(Result.PERMERROR, f"{text}: there is no SPF record")
        return found.result is Result.PASS

    async def _is_at(self, host: str, directive: _Directive) -> bool:
        version = self._address.version
        length = directive.lengths[0] if version == 4 else directive.lengths[1]
        addresses = await self._hosts(host, version)
        return any(_is_in(self._address, ip_network(f"{address}/{length}", strict=False)) for address in addresses)

    async def _is_mx(self, target: str, directive: _Directive) -> bool:
        records = self._values(await self._names.mx(target))
        if len(records) > MOST_HOSTS:
            raise _Broken(Result.PERMERROR, f"{directive.text}: more than {MOST_HOSTS} mail hosts")
        for record in sorted(records):
            if await self._is_at(record.host, directive):
                return True
        return False

    async def _is_named(self, target: str) -> bool:
        """ptr, §5.5: a name of the address that leads back to it, at or below the target."""
        answer = await self._names.pointers(str(self._address))
        for name in answer.values[:MOST_HOSTS] if isinstance(answer, Found) else ():
            if (name == target or name.endswith(f".{target}")) and str(self._address) in await self._hosts(
                name, self._address.version
            ):
                return True
        return False

    async def _hosts(self, name: str, version: int) -> tuple[str, ...]:
        return tuple(self._values(await self._names.family(name, version)))

    def _values(self, answer: Answer[Any]) -> Any:
        if isinstance(answer, Found):
            return answer.values
        if isinstance(answer, Trouble):
            raise _Broken(Result.TEMPERROR, answer.reason)
        self._void += 1
        if self._void > MOST_VOID:
            raise _Broken(Result.PERMERROR, f"more than {MOST_VOID} of its look-ups find nothing")
        return ()

    def _count(self, text: str) -> None:
        self._lookups += 1
        if self._lookups > MOST_LOOKUPS:
            raise _Broken(Result.PERMERROR, f"more than {MOST_LOOKUPS} look-ups, at {text}")

    def _expand(self, text: str, domain: str) -> str:
        """A domain-spec with its macros put in (§7), short enough for a name."""
        local, _, of = self._sender.rpartition("@")
        address = self._address
        dotted = str(address) if address.version == 4 else ".".join(address.exploded.replace(":", ""))
        values = {
            "s": self._sender, "l": local, "o": of, "d": domain, "i": dotted, "p": "unknown", "h": self._helo,
            "v": "in-addr" if address.version == 4 else "ip6",
        }  # fmt: skip

        def put(found: re.Match[str]) -> str:
            letter, count, is_reversed, delimiters, escaped = found.groups()
            if escaped:
                return {"%": "%", "_": " ", "-": "%20"}[str(escaped)]
            if not letter or letter.lower() not in values or count == "0":
                raise _Broken(Result.PERMERROR, f"{text}: a macro that is none")
            parts = re.split(f"[{re.escape(delimiters or '.')}]", values[letter.lower()])
            parts = parts[::-1] if is_reversed else parts
            return ".".join(parts[-int(count) :] if count else parts)

        name = _MACRO.sub(put, text).rstrip(".").lower()
        while len(name) > 253:
            name = name.partition(".")[2]
        return name


def parse_record(text: str) -> _Record:
    """The terms of a record, all of them, as one that is wrong spoils all (§4.6)."""
    directives: list[_Directive] = []
    modifiers: dict[str, str] = {}
    for term in text.split(" ")[1:]:
        modifier = _MODIFIER.match(term)
        if modifier is None:
            directives += [_parse_directive(term)] if term else []
            continue
        name, value = modifier[1].lower(), modifier[2]
        if name in ("redirect", "exp") and (name in modifiers or not value):
            raise _Broken(Result.PERMERROR, f"{term}: twice, or without a value")
        modifiers[name] = value
    has_all = any(directive.mechanism == "all" for directive in directives)
    return _Record(tuple(directives), "" if has_all else modifiers.get("redirect", ""))


def _parse_directive(term: str) -> _Directive:
    found = _DIRECTIVE.match(term)
    if found is None:
        raise _Broken(Result.PERMERROR, f"{term}: it is no term of SPF")
    mechanism, result = found[2].lower(), _RESULTS[found[1] or "+"]
    domain, tail = (found[3] or "")[1:], found[4]
    if mechanism in ("ip4", "ip6"):
        return _Directive(term, result, mechanism, network=_network(term, mechanism))
    is_bare, is_by_domain = not domain and not tail, bool(domain) and not tail
    lengths = _LENGTHS.match(tail)
    fits = {
        "all": is_bare and not found[3],
        "include": is_by_domain,
        "exists": is_by_domain,
        "ptr": not tail,
        "a": lengths is not None,
        "mx": lengths is not None,
    }.get(mechanism, False)
    four, six = (int(lengths[1] or 32), int(lengths[2] or 128)) if lengths else (32, 128)
    if not fits or four > 32 or six > 128:
        raise _Broken(Result.PERMERROR, f"{term}: it is no term of SPF")
    return _Directive(term, result, mechanism, domain, lengths=(four, six))


def _network(term: str, mechanism: str) -> Any:
    try:
        network = ip_network(term.partition(":")[2], strict=False)
    except ValueError:
        raise _Broken(Result.PERMERROR, f"{term}: it is no IP network") from None
    if f"ip{network.version}" != mechanism:
        raise _Broken(Result.PERMERROR, f"{term}: it is a network of the other family")
    return network


def _is_in(address: IPv4Address | IPv6Address, network: Any) -> bool:
    """A mapped address counts as IPv4 (§5.6 knows one kind of address only)."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None and not isinstance(network, IPv6Network):
        return address.ipv4_mapped in network
    return address.version == network.version and address in network
