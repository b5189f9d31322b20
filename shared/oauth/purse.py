"""The accounts of a configuration by their names; those that a next hop uses are kept fresh."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from shared.config.model import Config
from shared.config.sites import Hop
from shared.oauth.account import Account, NoToken
from shared.oauth.endpoint import Endpoint
from shared.oauth.forms import Forms
from shared.oauth.token_file import TokenFile


class Purse:
    """Satisfies shared.transport.dial.TokenSource. See Account and Forms for the arguments."""

    def __init__(
        self,
        config: Config,
        reactor: Any,
        read_secret: Callable[[str], str],
        now: Callable[[], float],
        tell: Callable[[str, str], Awaitable[object]],
    ) -> None:
        self._make: Callable[[Config, str], Account] = lambda config, name: Account(
            name,
            config.oauth[name],
            TokenFile(config.state, name, config.oauth[name]),
            Endpoint(config.oauth[name], reactor),
            Forms(config.oauth[name], read_secret, now),
            now,
            tell,
        )
        self._config = config
        self._accounts = {name: self._make(config, name) for name in used_accounts(config)}

    def start(self) -> None:
        for account in self._accounts.values():
            account.start()

    async def use(self, config: Config) -> None:
        """After a reload. An account of which nothing has changed goes on: it may be asking just now."""
        old, self._accounts = self._accounts, {}
        changed = []
        for name in used_accounts(config):
            if name in old and self._config.oauth[name] == config.oauth[name]:
                self._accounts[name] = old.pop(name)
            else:
                changed.append(name)
        self._config = config
        await _close(old.values())
        for name in changed:
            self._accounts[name] = self._make(config, name)
            self._accounts[name].start()

    async def close(self) -> None:
        await _close(self._accounts.values())

    async def token(self, account: str) -> str:
        return await self._of(account).token()

    async def renewed(self, account: str, refused: str) -> str | None:
        return await self._of(account).renewed(refused)

    def _of(self, name: str) -> Account:
        """Mail that was begun before a reload may ask for one that is no more."""
        if name not in self._accounts:
            raise NoToken(f"there is no account {name} below 'oauth' any more")
        return self._accounts[name]


async def _close(accounts: Iterable[Account]) -> None:
    await asyncio.gather(*(account.close() for account in accounts))


def used_accounts(config: Config) -> frozenset[str]:
    hops: list[Hop] = [hop for site in config.sites.values() for hop in site.smarthosts]
    hops += [route.via for route in config.routes if route.via is not None]
    return frozenset(hop.oauth for hop in hops if hop.oauth)
