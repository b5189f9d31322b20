"""From what the DNS says of a domain to the servers to try, in order; or why the mail cannot go (RFC 5321 §5.1).

Pure: answers in, hosts or an outcome out; chance comes in as `shuffle`. Here also what RFC 7505 (null MX) and
RFC 5321 §5.1 (cut off ourselves and all that is worse) demand. Not here: the questions (route.py), and which
addresses may be dialled (reach.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import assert_never

from mercury_e.reach import Reach, pick_addresses
from shared.dns.answers import Answer, Found, MxRecord, NoData, NoSuchName, Trouble
from shared.mail.outcome import Deferred, Failed
from shared.mail.record import dataclass
from shared.mail.reply import Reply, printable

MOST_HOSTS = 10  #  a set of a thousand is an attack or a mistake
_NULL = "."


@dataclass(frozen=True, slots=True)
class Exchangers:
    """The hosts that take mail for a domain, best first, equals by name: two domains with equal ones share a way.

    `implicit`: no MX records, the domain is its own host. `stale`: known from an old answer only. `is_proved`: DNSSEC
    proves them.
    """

    records: tuple[MxRecord, ...]
    implicit: bool = False
    stale: bool = False
    is_proved: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """One host and the addresses to try for it, in order."""

    host: str
    addresses: tuple[str, ...]


Refusal = Deferred | Failed


def read_exchangers(
    domain: str, answer: Answer[tuple[MxRecord, ...]], own_names: frozenset[str]
) -> Exchangers | Refusal:
    """The exchangers of `domain`, without ourselves and those no better than us."""
    match answer:
        case Found():
            return _read_found(domain, answer, own_names)
        case NoData():
            #  RFC 5321 §5.1: "If an empty list of MXs is returned, the address is treated as if it was associated
            #  with an implicit MX RR with a preference of 0, pointing to that host."
            return _cut_off(
                domain, Exchangers((MxRecord(0, domain),), True, answer.stale, answer.authenticated), own_names
            )
        case NoSuchName():
            return Failed(Reply(550, "5.1.2", f"the domain {printable(domain)} does not exist"))
        case Trouble():
            return in_trouble(domain, answer.reason)
        case _:
            assert_never(answer)


def _read_found(domain: str, answer: Found[tuple[MxRecord, ...]], own_names: frozenset[str]) -> Exchangers | Refusal:
    #  RFC 7505 §3: a null MX stands alone; beside others it means nothing.
    best: dict[str, int] = {}
    for preference, host in answer.values:
        if host != _NULL:
            best[host] = min(preference, best.get(host, preference))
    hosts = tuple(sorted(MxRecord(preference, host) for host, preference in best.items()))
    if not hosts and answer.values:
        refusal = Failed(Reply(556, "5.1.10", f"the domain {printable(domain)} accepts no mail (null MX)"))
        return _unless_stale(refusal, domain, answer.stale)
    if not hosts:
        return _unless_stale(_unroutable(domain, "names no valid mail host"), domain, answer.stale)
    return _cut_off(domain, Exchangers(hosts, stale=answer.stale, is_proved=answer.authenticated), own_names)


def _cut_off(domain: str, exchangers: Exchangers, own_names: frozenset[str]) -> Exchangers | Refusal:
    """Drop ourselves and all that are no better: they would hand the mail back to us (RFC 5321 §5.1)."""
    ours = [record.preference for record in exchangers.records if record.host in own_names]
    if not ours:
        return exchangers
    better = tuple(record for record in exchangers.records if record.preference < min(ours))
    if not better:
        return _unless_stale(_loop(domain), domain, exchangers.stale)
    return replace(exchangers, records=better)


def order_hosts(exchangers: Exchangers, shuffle: Callable[[list[MxRecord]], None]) -> tuple[MxRecord, ...]:
    """Best first, by chance among equals; at most MOST_HOSTS."""
    records = list(exchangers.records)
    shuffle(records)
    records.sort(key=_preference)  # stable, so that equals stay shuffled
    return tuple(records[:MOST_HOSTS])


def decide_targets(
    domain: str,
    exchangers: Exchangers,
    hosts: Sequence[MxRecord],
    addresses: Mapping[str, Answer[tuple[str, ...]]],
    reach: Reach,
) -> tuple[Target, ...] | Refusal:
    """The hosts that have an address we may dial, with the addresses to dial; `hosts` as order_hosts gave them."""
    answers = {record.host: addresses[record.host] for record in hosts}
    known = {host: answer.values for host, answer in answers.items() if isinstance(answer, Found)}
    ours = min((record.preference for record in hosts if reach.is_own_any(known.get(record.host, ()))), default=None)
    left = [record for record in hosts if ours is None or record.preference < ours]
    targets = pick_addresses([(record.host, known.get(record.host, ())) for record in left], reach)
    if targets:
        return tuple(Target(host, chosen) for host, chosen in targets)
    for record in left:
        answer = answers[record.host]
        if isinstance(answer, Trouble):
            return in_trouble(domain, f"{record.host}: {answer.reason}")
    stale = exchangers.stale or any(
        isinstance(answer, Found | NoData) and answer.stale for answer in answers.values()
    )
    return _unless_stale(_no_target(domain, exchangers, left, answers), domain, stale)


def _no_target(
    domain: str,
    exchangers: Exchangers,
    left: Sequence[MxRecord],
    answers: Mapping[str, Answer[tuple[str, ...]]],
) -> Failed:
    """Why there is nowhere to go, although the DNS answered."""
    if not left:
        return _loop(domain)
    if any(isinstance(answers[record.host], Found) for record in left):
        return _unroutable(domain, "has only mail hosts in private or reserved address space")
    if exchangers.implicit and isinstance(answers[left[0].host], NoSuchName):
        return Failed(Reply(550, "5.1.2", f"the domain {printable(domain)} does not exist"))
    if exchangers.implicit:
        return _unroutable(domain, "has neither MX nor address records")
    return _unroutable(domain, "has only mail hosts without an address")


def decide_literal(address: str, reach: Reach) -> tuple[Target, ...] | Refusal:
    """The way to `user@[address]`: that address and no other, if it may be dialled."""
    if reach.is_own(address):
        return _loop(f"[{address}]")
    if not reach.is_allowed(address):
        return _unroutable(f"[{address}]", "is private or reserved address space")
    return (Target(address, (address,)),)


def in_trouble(domain: str, reason: str) -> Deferred:
    """The name servers do not answer. The report shows the short text, the log the reason."""
    return Deferred(Reply(451, "4.4.3", f"the name servers gave no answer for {printable(domain)}"), detail=reason)


def _loop(domain: str) -> Failed:
    return Failed(Reply(554, "5.4.6", f"mail for {printable(domain)} loops back to myself"))


def _unroutable(domain: str, why: str) -> Failed:
    #  RFC 3463 §3.5, X.4.4: the domain is there (else 5.1.2), the next hop cannot be determined.
    return Failed(Reply(550, "5.4.4", f"{printable(domain)} {why}"))


def _unless_stale(refusal: Failed, domain: str, stale: bool) -> Refusal:
    """An old answer may carry mail, and must not send it back: the owner may have changed it meanwhile."""
    return in_trouble(domain, f"only an old answer is known: {refusal.reply.text}") if stale else refusal


def _preference(record: MxRecord) -> int:
    return record.preference
