"""What the settings of local mail have to do with each other and with the local domains (checks.py asks)."""

from __future__ import annotations

from collections.abc import Iterator

from shared.config.model import Config
from shared.config.problem import Problem, shown


def check_local(config: Config) -> Iterator[Problem]:
    local = config.local
    domains = local.domains
    if local.srs_domain and local.srs_domain not in domains:
        text = f"{shown(local.srs_domain)} is none of the local 'domains': what comes back would not be known"
        yield local.origin.problem(text, "srs_domain")
    if local.srs and not domains:
        yield local.origin.problem("'srs' needs a local domain, for what comes back", "srs")
    if local.lmtp and local.quota.default:
        text = "with 'lmtp' the server behind it keeps the quota: set it there"
        yield local.quota.origin.problem(text, "default")
    yield from _check_lists(config, domains)


def _check_lists(config: Config, domains: tuple[str, ...]) -> Iterator[Problem]:
    taken: set[str] = set()
    for one in config.local.lists:
        name = shown(str(one.address))
        if one.address.ascii_domain not in domains:
            yield one.origin.problem(f"{name} is in none of the local 'domains'", "address")
        if one.address.key in taken:
            yield one.origin.problem(f"there are two lists {name}", "address")
        taken.add(one.address.key)
        if not one.members and one.file is None:
            yield one.origin.problem(f"the list {name} has neither 'members' nor a 'file' of them")
        if one.owner.key == one.address.key:
            yield one.origin.problem("the owner gets what the list cannot deliver, and cannot be the list", "owner")
