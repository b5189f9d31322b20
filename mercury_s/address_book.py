"""What the aliases say and what an address comes to, as JSON lines: `mercury alias` asks this program.

    python -m mercury_s.address_book --config FILE list | check | show ADDR...

The files are read afresh, as the next delivery would; nothing is written. An address that SRS has rewritten is nobody
here: only the daemon reads that key.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mercury_s.local.aliases import AliasesError, AliasRule, LocalName
from mercury_s.local.aliases_file import AliasesFile
from mercury_s.local.directory import Alias, Directory, Expansion, ListAddress, Mailbox
from mercury_s.local.mailing_list import MailingLists
from mercury_s.local.people_names import PeopleNames
from shared.config.account import AccountsError
from shared.config.accounts import AccountsFile
from shared.config.load import ConfigErrors, load
from shared.config.model import Config
from shared.mail.address import Address, AddressError, parse_address

EXIT_DONE, EXIT_TROUBLE, EXIT_CONFIG = 0, 1, 2


class AddressBook:
    """Raises AccountsError and AliasesError."""

    def __init__(self, config: Config) -> None:
        local = config.local
        accounts = AccountsFile.load(local.users, time.monotonic)
        self._aliases = AliasesFile.load(local.aliases, time.monotonic)
        names = PeopleNames(lambda: accounts.accounts) if local.names.first_last else None
        lists = MailingLists(local.lists, time.monotonic) if local.lists else None
        domains = local.domains or (config.hostname,)
        self._directory = Directory(domains, lambda: accounts.accounts, lambda: self._aliases.rules, names, lists)

    def rules(self) -> Iterator[dict[str, Any]]:
        """Each alias with where it leads in the end."""
        for rule in self._aliases.rules.values():
            targets = [each.name if isinstance(each, LocalName) else str(each) for each in rule.targets]
            ends = _ends([self._directory.expand(alias) for alias in self._aliases_of(rule)])
            yield {"alias": rule.name, "line": rule.line, "targets": targets, **ends}

    def problems(self) -> Iterator[dict[str, Any]]:
        for line in self._directory.dead_ends():
            yield {"file": str(self._aliases.path or ""), "problem": line}

    def show(self, text: str) -> dict[str, Any]:
        """Raises AddressError."""
        address = parse_address(text if "@" in text else f"{text}@{self._directory.domains[0]}")
        told = {"address": str(address)}
        if not self._directory.is_local(address):
            return told | {"is": "elsewhere"} | _ends([])
        found = self._directory.find(address)
        match found:
            case Alias():
                return told | {"is": "alias"} | _ends([self._directory.expand(found)])
            case Mailbox(account):
                return told | {"is": "mailbox"} | _ends([Expansion({account.key: account})])
            case ListAddress(of):
                return told | {"is": "list"} | _ends([Expansion(lists={of.address.key: of.address})])
        return told | {"is": "nobody"} | _ends([])

    def _aliases_of(self, rule: AliasRule) -> list[Alias]:
        """One for each domain that the rule is for."""
        local, at, named = rule.name.rpartition("@")
        return [
            Alias(Address(local if at else named, domain), rule.targets)
            for domain in ([named] if at else self._directory.domains)
        ]


def _ends(expansions: Sequence[Expansion]) -> dict[str, list[str]]:
    def of(names: Iterator[str]) -> list[str]:
        return list(dict.fromkeys(names))

    return {
        "mailboxes": of(str(one.address) for each in expansions for one in each.mailboxes.values()),
        "elsewhere": of(str(one) for each in expansions for one in each.remote.values()),
        "lists": of(str(one) for each in expansions for one in each.lists.values()),
        "nowhere": of(one for each in expansions for one in each.dead),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="mercury-s address book", description="What addresses come to.")
    parser.add_argument("--config", required=True, type=Path)
    parser.add_argument("verb", choices=["list", "check", "show"])
    parser.add_argument("addresses", nargs="*")
    given = parser.parse_args()
    try:
        book = AddressBook(load(given.config))
        match given.verb:
            case "list":
                lines = list(book.rules())
            case "check":
                lines = list(book.problems())
            case _:
                lines = [book.show(text) for text in given.addresses]
    except ConfigErrors as errors:
        print("\n".join(map(str, errors.problems)), file=sys.stderr)
        return EXIT_CONFIG
    except (AliasesError, AccountsError, AddressError, OSError) as error:
        print(error, file=sys.stderr)
        return EXIT_TROUBLE
    for line in lines:
        print(json.dumps(line))
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
