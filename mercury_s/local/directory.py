"""Who is here: an address leads to a mailbox, to an alias, to a mailing list, or to nobody.

Looked up in this order: a list, an alias, a mailbox, an account by the name of its owner, all again without `+tag`,
postmaster, what comes back to a sender that we have rewritten (SRS), a catch-all alias (`@domain`).
Everything is found in tables; no text of a peer becomes part of a path or chooses how mail is delivered.
Not here: the files behind the tables (aliases_file.py, shared/config/accounts.py), delivery (carrier.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field

from mercury_s.local.aliases import AliasRule, Include, LocalName, Target
from mercury_s.local.mailing_list import MailingList, MailingLists
from mercury_s.local.people_names import PeopleNames
from mercury_s.local.srs import Srs
from shared.config.account import Account
from shared.mail.address import Address, AddressError, to_ascii
from shared.mail.light import light
from shared.mail.record import dataclass

_DEEPEST = 20  #  aliases of aliases
_POSTMASTER = "postmaster"


@light
@dataclass(frozen=True, slots=True)
class Mailbox:
    account: Account


@dataclass(frozen=True, slots=True)
class Alias:
    """`address` is the one that the alias was found by, without its tag."""

    address: Address
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class ListAddress:
    list: MailingList


@dataclass(frozen=True, slots=True)
class NoSuchUser:
    pass


Found = Mailbox | Alias | ListAddress | NoSuchUser


@dataclass(slots=True)
class Expansion:
    """Where an alias leads in the end. `lists` are local addresses, which judge for themselves whom they take mail
    from; `dead` are targets that lead nowhere, as the operator reads them."""

    mailboxes: dict[str, Account] = field(default_factory=dict)
    remote: dict[str, Address] = field(default_factory=dict)
    lists: dict[str, Address] = field(default_factory=dict)
    dead: list[str] = field(default_factory=list)


class Directory:
    """The local domains with their accounts and aliases; the tables are asked for at each look, as they may change.

    `domains` in the order of the configuration: a bare `postmaster`, and a target without a domain that its own
    domain does not know, are looked for in the first that knows it. `look_again` makes the tables new at once: nobody
    is unknown who has just been added.
    """

    def __init__(
        self,
        domains: Iterable[str],
        accounts: Callable[[], Mapping[str, Account]],
        aliases: Callable[[], Mapping[str, AliasRule]],
        names: PeopleNames | None = None,
        lists: MailingLists | None = None,
        srs: Srs | None = None,
        look_again: Callable[[], None] | None = None,
    ) -> None:
        self.domains = tuple(to_ascii(domain) for domain in domains)
        self._accounts = accounts
        self._aliases = aliases
        self._names = names
        self._lists = lists
        self._srs = srs
        self._look_again = look_again

    def is_local(self, address: Address) -> bool:
        """Whether `address` is ours to know. The bare postmaster always is (RFC 5321 §4.5.1)."""
        return _domain(address) in self.domains if address.domain else address.local.lower() == _POSTMASTER

    def find(self, address: Address) -> Found:
        found = self._find(address)
        if isinstance(found, NoSuchUser) and self._look_again is not None and self.is_local(address):
            self._look_again()
            found = self._find(address)
        return found

    def _find(self, address: Address) -> Found:
        if not address.domain:
            return self._find_bare(address) if address.local.lower() == _POSTMASTER else NoSuchUser()
        if not self.is_local(address):
            return NoSuchUser()
        found = self._find_named(address)
        if found is None and self._srs is not None and self._srs.is_srs(address):
            original = self._srs.resolve(address)
            return Alias(address, (original,)) if original else NoSuchUser()
        return found or self._find_catch_all(address) or NoSuchUser()

    def expand(self, alias: Alias) -> Expansion:
        """All mailboxes and addresses elsewhere behind `alias`. What comes up again on its own path means the
        mailbox of that name; what comes up again elsewhere is done already."""
        expansion = Expansion()
        self._expand(alias, expansion, path=(), seen=set())
        return expansion

    def dead_ends(self) -> list[str]:
        """Aliases with targets that lead nowhere, and names that fit several people, one line each."""
        lines = self._names.ambiguous() if self._names is not None else []
        for rule in self._aliases().values():
            local, at, named = rule.name.rpartition("@")
            domains = [named] if at else self.domains
            if at and named not in self.domains:
                lines.append(f"line {rule.line}: {rule.name}: {named} is not a local domain")
                continue
            aliases = (Alias(Address(local if at else named, domain), rule.targets) for domain in domains)
            dead = list(dict.fromkeys(name for alias in aliases for name in self.expand(alias).dead))
            if dead:
                lines.append(f"line {rule.line}: {rule.name} leads nowhere: {', '.join(dead)}")
        return lines

    def _find_named(self, address: Address) -> Mailbox | Alias | ListAddress | None:
        found = self._find_exactly(address)
        base, plus, _ = address.local.partition("+")
        if found is None and plus and base:
            address = Address(base, address.domain)
            found = self._find_exactly(address)
        if found is None and address.local.lower() == _POSTMASTER:
            found = self._find_postmaster(address)
        return found

    def _find_exactly(self, address: Address) -> Mailbox | Alias | ListAddress | None:
        aliases = self._aliases()
        key = address.key
        if self._lists is not None and (found := self._find_list(address, key)) is not None:
            return found
        rule = aliases.get(key)
        if rule is None and "@" not in address.local:  #  "info@hq.example"@hq.example is not info@hq.example
            rule = aliases.get(address.local.lower())
        if rule:
            return Alias(address, rule.targets)
        mailbox = self._find_mailbox(key)
        if mailbox is None and self._names is not None and (account := self._names.find(key)) is not None:
            return Mailbox(account)
        return mailbox

    def _find_list(self, address: Address, key: str) -> Alias | ListAddress | None:
        assert self._lists is not None
        found = self._lists.find(key)
        if found is not None:
            return ListAddress(found)
        owner = self._lists.find_owner(key)
        return Alias(address, (owner,)) if owner else None

    def _find_mailbox(self, key: str) -> Mailbox | None:
        account = self._accounts().get(key)
        return Mailbox(account) if account else None

    def _find_bare(self, address: Address) -> Found:
        for domain in self.domains:
            found = self._find_exactly(Address(address.local, domain))
            if found:
                return found
        return self._find_postmaster(address) or NoSuchUser()

    def _find_postmaster(self, address: Address) -> Mailbox | None:
        """Postmaster is somebody as soon as there is anybody: another domain's, else the first account of this
        domain, else of any."""
        accounts = self._accounts()
        for domain in self.domains:
            account = accounts.get(f"{_POSTMASTER}@{domain}")
            if account:
                return Mailbox(account)
        ours = [account for account in accounts.values() if self.is_local(account.address)]
        domain = _domain(address) if address.domain else ""
        same = (account for account in ours if _domain(account.address) == domain)
        first = next(same, None) or next(iter(ours), None)
        return Mailbox(first) if first else None

    def _find_catch_all(self, address: Address) -> Alias | None:
        rule = self._aliases().get(f"@{_domain(address)}")
        return Alias(address, rule.targets) if rule else None

    def _expand(self, alias: Alias, into: Expansion, path: tuple[str, ...], seen: set[str]) -> None:
        path = (*path, alias.address.key)
        for target in alias.targets:
            if isinstance(target, Include):
                continue  #  resolved when the file was read
            address = self._locate(target.name, path) if isinstance(target, LocalName) else target
            if address is None:
                into.dead.append(str(target.name if isinstance(target, LocalName) else target))
            elif not self.is_local(address):
                into.remote.setdefault(address.key, address)
            else:
                self._expand_local(address, into, path, seen)

    def _expand_local(self, address: Address, into: Expansion, path: tuple[str, ...], seen: set[str]) -> None:
        found: Found | None = self._find_mailbox(address.key) if address.key in path else self.find(address)
        match found:
            case Mailbox(account):
                into.mailboxes.setdefault(account.key, account)
            case ListAddress(found_list):
                into.lists.setdefault(found_list.address.key, found_list.address)
            case Alias() if found.address.key in path:  #  by way of a +tag
                self._expand_local(found.address, into, path, seen)
            case Alias() if found.address.key in seen:
                pass
            case Alias() if len(path) < _DEEPEST:
                seen.add(found.address.key)
                self._expand(found, into, path, seen)
            case _:
                into.dead.append(str(address))

    def _locate(self, name: str, path: tuple[str, ...]) -> Address | None:
        """The address that a name without a domain means in the alias that ends `path`: the domain of that alias
        comes first, and an alias that names itself means a mailbox, in whichever domain there is one."""
        for domain in dict.fromkeys([path[-1].rpartition("@")[2], *self.domains]):
            address = Address(name, domain)
            found = self._find_mailbox(address.key) if address.key in path else self._find_named(address)
            if found:
                return address
        return None


def _domain(address: Address) -> str:
    try:
        return address.ascii_domain
    except AddressError:  #  a domain that was never parsed; it is nobody's
        return ""
