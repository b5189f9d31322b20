"""The MTA-STS policies we know (RFC 8461 §3.3, §5): looked up, fetched, kept on disk as long as they say, renewed.

A delivery waits for a first policy only for some seconds; the fetch goes on behind it. A policy that is known stays
in force until its time is over, whatever becomes of its TXT record or its page. Not here: HTTPS (policy_page.py),
what a policy means (mta_sts.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from mercury_e.mta_sts import Mode, Policy, PolicyError, parse_policy, read_id
from mercury_e.policy_page import PageUnusable
from shared.dns.answers import Found
from shared.dns.name_service import NameService
from shared.mail.record import dataclass
from shared.mail.reply import printable
from shared.observe import events
from shared.observe.log import log

Fetch = Callable[[str, Sequence[str]], Awaitable[bytes]]

PATIENCE = 10.0  #  seconds that mail waits for a policy we have never seen
AFTER_FAILURE = 300.0  #  §3.3: "a suitable retry strategy", five minutes or more
RENEW_EVERY = 3600.0  #  seconds from one look at what is getting old to the next
MOST_POLICIES = 10_000
AT_ONCE = 10
_FILE = "mta-sts.json"


@dataclass(frozen=True, slots=True)
class Known:
    """A policy as it was fetched at the Unix time `fetched` under the TXT record's `id`."""

    id: str
    fetched: float
    text: str
    policy: Policy

    @property
    def expires(self) -> float:
        return self.fetched + self.policy.max_age

    def is_aging(self, now: float) -> bool:
        """Half of its time is over, or a day: it is fetched anew while it still holds."""
        return now - self.fetched > min(self.policy.max_age / 2, 86400.0)


class Policies:
    """Satisfies mercury_e.route.PolicySource. `folder` keeps them; `may_dial` picks the addresses to fetch from.

    `witness` is told of each domain whose policy could not be had.
    """

    def __init__(
        self,
        folder: Path,
        resolver: NameService,
        fetch: Fetch,
        may_dial: Callable[[Sequence[str]], Sequence[str]],
        clock: Callable[[], float],
        witness: Callable[[str, PageUnusable | PolicyError], object] | None = None,
    ) -> None:
        self._path = folder / _FILE
        self._resolver = resolver
        self._fetch = fetch
        self._may_dial = may_dial
        self._clock = clock
        self._witness = witness
        self._known: dict[str, Known] = _read(self._path)
        self._failed: dict[str, float] = {}
        self._fetches: dict[str, asyncio.Task[None]] = {}
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._keeper: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Renew what is getting old, also when no mail comes by; until `close`."""
        self._keeper = asyncio.ensure_future(self._keep())

    async def _keep(self) -> None:
        while True:
            await self.renew()
            await asyncio.sleep(RENEW_EVERY)

    async def renew(self) -> None:
        """One look: a policy that is half over is fetched anew while it holds (§5.1, §10.2)."""
        now = self._clock()
        for domain in [name for name, known in self._known.items() if known.is_aging(now) and now < known.expires]:
            await self.policy(domain)

    def known(self, domain: str) -> Known | None:
        """The policy that holds now, without asking."""
        known = self._known.get(domain)
        return known if known is not None and self._clock() < known.expires else None

    async def policy(self, domain: str) -> Policy | None:
        """The policy in force for mail to `domain`; None when there is none, or it says so."""
        answer = await self._resolver.text("_mta-sts", domain)
        id = read_id(answer.values) if isinstance(answer, Found) else ""
        known = self.known(domain)
        if id and (known is None or known.id != id or known.is_aging(self._clock())):
            fetch = self._begin(domain, id)
            #  With a policy at hand nobody waits: a new id never makes mail less safe than it was.
            if fetch is not None and known is None:
                await asyncio.wait([fetch], timeout=PATIENCE)
                known = self.known(domain)
        return None if known is None or known.policy.mode is Mode.NONE else known.policy

    def close(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
        for fetch in self._fetches.values():
            fetch.cancel()

    def _begin(self, domain: str, id: str) -> asyncio.Task[None] | None:
        under_way = self._fetches.get(domain)
        if under_way is not None or self._failed.get(domain, 0.0) > self._clock():
            return under_way
        fetch = asyncio.ensure_future(self._renew(domain, id))
        self._fetches[domain] = fetch
        fetch.add_done_callback(lambda _: self._fetches.pop(domain, None))
        return fetch

    async def _renew(self, domain: str, id: str) -> None:
        try:
            async with self._gate:
                found = await self._resolver.addresses(f"mta-sts.{domain}")
                addresses = self._may_dial(found.values) if isinstance(found, Found) else ()
                text = await self._fetch(domain, addresses)
            policy = parse_policy(text)
        except (PageUnusable, PolicyError) as error:
            self._note_failure(domain, str(error))
            if self._witness is not None:
                self._witness(domain, error)
            return
        self._failed.pop(domain, None)
        self._known[domain] = Known(id, self._clock(), text.decode(), policy)
        self._save()
        log.event(events.STS_POLICY_FETCHED, domain=domain, mode=policy.mode, hosts=" ".join(policy.hosts[:20]),
                  max_age=policy.max_age)  # fmt: skip

    def _note_failure(self, domain: str, why: str) -> None:
        now = self._clock()
        if len(self._failed) >= MOST_POLICIES:
            self._failed = {name: until for name, until in self._failed.items() if until > now}
        self._failed[domain] = now + AFTER_FAILURE
        then = "the one known holds" if self.known(domain) else "there is none"
        log.event(events.STS_POLICY_UNUSABLE, domain=domain, reason=printable(why), then=then)

    def _save(self) -> None:
        """All of them, in one file. One that cannot be written costs a fetch after the next start."""
        now = self._clock()
        living = {name: known for name, known in self._known.items() if known.expires > now}
        if len(living) > MOST_POLICIES:
            first_to_end = min(living, key=lambda name: living[name].expires)
            del living[first_to_end]
        self._known = living
        text = json.dumps({name: [known.id, known.fetched, known.text] for name, known in living.items()})
        part = self._path.with_suffix(".part")
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(text)
            os.replace(part, self._path)
        except OSError as error:
            log.event(events.STS_POLICY_UNUSABLE, path=self._path, reason=str(error), then="it is not kept on disk")


def _read(path: Path) -> dict[str, Known]:
    """What was kept; what cannot be read is fetched again."""
    try:
        kept: Any = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    known: dict[str, Known] = {}
    for domain, entry in kept.items() if isinstance(kept, dict) else ():
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            id, fetched, text = entry
            known[domain] = Known(str(id), float(fetched), text, parse_policy(text.encode()))
    return known
