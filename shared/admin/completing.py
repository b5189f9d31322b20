"""What a shell offers where a command wants a queue id, a site or an account: those that there are.

Whatever goes wrong, nothing is offered and nothing is said: somebody is in the middle of a line. Not here: nouns,
verbs and options, which click knows; the scripts of the shells (completion.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import islice

import click
from click.shell_completion import CompletionItem

from shared.config.account import AccountsError
from shared.config.accounts import AccountsFile
from shared.config.load import ConfigErrors, load
from shared.config.model import Config
from shared.routing.lane import Lane
from shared.spool.names import parse_name

#  A person chooses among these, and a lane may hold a million.
_LOOKED_AT, _OFFERED = 20_000, 200

_Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _offer(find: Callable[[Config], Iterator[tuple[str, str]]]) -> _Complete:
    """`find` yields words with a few words about each."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        begun = incomplete.casefold()
        try:
            found = find(load(ctx.find_root().params["path"]))
            fits = ((word, help) for word, help in found if word.casefold().startswith(begun))
            return [CompletionItem(word, help=help) for word, help in islice(fits, _OFFERED)]
        except (ConfigErrors, AccountsError, OSError):
            return []

    return complete


def _ids(config: Config) -> Iterator[tuple[str, str]]:
    seen = set[str]()
    for lane in Lane:
        for part in ("new", "cur"):
            for name in islice(_names(f"{config.spool}/{lane}/{part}"), _LOOKED_AT):
                parts = parse_name(name.partition(",N=")[0])
                if parts is not None and parts.id not in seen:
                    seen.add(parts.id)
                    yield parts.id, lane.word


def _names(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry.name for entry in entries)
    except FileNotFoundError:
        return


def _sites(config: Config) -> Iterator[tuple[str, str]]:
    return ((name, f"delivery: {site.delivery}") for name, site in config.sites.items())


def _accounts(config: Config) -> Iterator[tuple[str, str]]:
    accounts = AccountsFile.load(config.local.users, lambda: 0.0).accounts
    return ((key, account.name) for key, account in accounts.items())


complete_ids = _offer(_ids)
complete_sites = _offer(_sites)
complete_accounts = _offer(_accounts)
