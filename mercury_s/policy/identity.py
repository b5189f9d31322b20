"""Whether a login may call itself what it does (RFC 6409 §6.1). Facts in, verdict out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from mercury_s.policy.verdict import Accept, Refuse
from shared.mail.address import Address, AddressError
from shared.mail.record import dataclass
from shared.mail.reply import Reply
from shared.routing.table import patterns_of


class Binding(StrEnum):
    """What is done with an address that is not the login's own."""

    REFUSE = "refuse"
    REWRITE = "rewrite"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class IdentityRules:
    """`granted`: by `Address.key` of the login, the patterns (as of routes) of further addresses it may use."""

    sender: Binding = Binding.REFUSE
    header_from: Binding = Binding.ANY
    granted: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IdentityFacts:
    """`leads_to_login`: mail to `address` would reach the login's own mailbox. `where` is MAIL FROM or From."""

    login: Address
    address: Address
    leads_to_login: bool
    is_granted: bool
    binding: Binding
    where: str


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The login's own address takes the place of the one given."""

    reason: str


def decide_identity(facts: IdentityFacts) -> Accept | Rewrite | Refuse:
    if facts.leads_to_login:
        return Accept("the address is the login's own")
    if facts.is_granted:
        return Accept("receive.submission.senders gives the address to the login")
    reason = f"{facts.where} is not an address of the login {facts.login}"
    match facts.binding:
        case Binding.ANY:
            return Accept("receive.submission lets a login use any address")
        case Binding.REWRITE:
            return Rewrite(reason)
        case Binding.REFUSE:
            text = (
                f"You are logged in as {facts.login} and may not send as {facts.address} ({facts.where}):"
                " choose your own address as the sender in your mail program, or ask the postmaster for this one"
            )
            return Refuse(Reply(550, "5.7.1", text), reason)


def is_granted(rules: IdentityRules, login: Address, address: Address) -> bool:
    patterns = rules.granted.get(login.key)
    if not patterns:
        return False
    try:
        return any(pattern in patterns for pattern in patterns_of(address))
    except AddressError:  #  a domain that is none; nobody has a right to it
        return False
