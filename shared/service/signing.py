"""Mail of our people as it leaves the house: signed with the keys of its site (RFC 6376).

Here: whose mail is signed, with which keys, and what becomes of it while a key cannot be used. Keys are read when
they are needed, and again when their file has changed. The work is done in a thread; of a message that goes many ways
it is done once. Not here: what a signature is (shared/dkim).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

from shared.config.dkim import Dkim, WithoutKey
from shared.config.model import Config
from shared.config.routing import domains_of
from shared.dkim.private_key import KeyUnusable, PrivateKey, parse_private_key
from shared.dkim.signature import Seal, author_domain, hash_body, render_signature
from shared.dkim.signed import with_signatures
from shared.mail.content import Content
from shared.mail.envelope import Envelope
from shared.mail.outcome import Deferred
from shared.mail.record import dataclass
from shared.mail.reply import Reply
from shared.observe import events
from shared.observe.log import log
from shared.observe.secret import Secret
from shared.routing.decide import is_from_inside
from shared.routing.table import RoutingTable
from shared.smtp.errand import unreadable

#  Octets of a header; a larger one may not be known as a whole (shared/spool/entry_content.py), and nobody has one.
LONGEST_HEADER = 512 * 1024

#  The signatures, and words for the trail; both are empty when nothing is to be signed.
_Fields = tuple[bytes, str]


@dataclass(frozen=True, slots=True)
class Named:
    """A key of the configuration: where it is published and where it lies."""

    domain: str
    selector: str
    path: str

    @property
    def name(self) -> str:
        """In the DNS."""
        return f"{self.selector}._domainkey.{self.domain}"


def keys_of(config: Config, site: str) -> tuple[Named, ...]:
    """Every key of the site, once for each of its domains."""
    dkim = config.sites[site].dkim
    return tuple(
        Named(domain, key.selector, str(key.key_file))
        for key in (dkim.keys if dkim else ())
        for domain in key.domains or domains_of(config, site)
    )


def covers(signer: str, domain: str) -> bool:
    """Whether a key for `signer` signs for `domain`: it is that one or above it."""
    return f".{domain}".endswith(f".{signer}")


def keys_for(keys: Sequence[Named], domain: str) -> list[Named]:
    """Those that sign for `domain`: each key for the domain itself or the nearest above it."""
    best: dict[tuple[str, str], Named] = {}
    for key in keys:
        mark = (key.selector, key.path)
        if covers(key.domain, domain) and (mark not in best or len(key.domain) > len(best[mark].domain)):
            best[mark] = key
    return list(best.values())


def signs(config: Config, is_relay: bool) -> bool:
    """Whether there is anything to sign on that way."""
    return any(site.dkim is not None and (site.dkim.relay or not is_relay) for site in config.sites.values())


class Signing:
    """Satisfies shared.transport.handover.Sign. `read` gives the content of a key's file, or raises ValueError."""

    def __init__(
        self,
        config: Config,
        is_relay: bool,
        table: Callable[[], RoutingTable],
        read: Callable[[str], str],
        clock: Callable[[], float],
    ) -> None:
        self._table = table
        self._read = read
        self._clock = clock
        self._here = config.site
        self._sites: dict[str, tuple[Dkim, tuple[Named, ...]]] = {
            name: (site.dkim, keys_of(config, name))
            for name, site in config.sites.items()
            if site.dkim is not None and (site.dkim.relay or not is_relay)
        }
        self._parsed: dict[str, tuple[Secret, PrivateKey]] = {}
        #  Name of a key and why it cannot be used: said once, not for each message.
        self._unusable: dict[str, str] = {}
        self._done: WeakKeyDictionary[Content, asyncio.Future[_Fields | Deferred]] = WeakKeyDictionary()

    @property
    def unusable(self) -> tuple[str, ...]:
        """Names of the keys that could not be used when they were last needed."""
        return tuple(self._unusable)

    async def __call__(self, envelope: Envelope, content: Content) -> Content | Deferred:
        """`content` itself when nothing is to be signed."""
        table = self._table()
        site = envelope.site if envelope.site in table.sites else self._here
        if site not in self._sites or not is_from_inside(table, envelope):
            return content
        done = self._done.get(content)
        if done is None:
            done = asyncio.get_running_loop().run_in_executor(None, self._sign, site, envelope.id, content)
            self._done[content] = done
        result = await asyncio.shield(done)
        if isinstance(result, Deferred):
            self._done.pop(content, None)
            return result
        return with_signatures(content, *result) if result[0] else content

    def _sign(self, site: str, id: str, content: Content) -> _Fields | Deferred:
        dkim, known = self._sites[site]
        try:
            header = content.head()
            keys = keys_for(known, author_domain(header)) if len(header) <= LONGEST_HEADER else []
            if not keys:
                return b"", ""
            seals = []
            for key in keys:
                try:
                    seals.append(Seal(key.domain, key.selector, self._key(key.path)))
                    self._unusable.pop(key.name, None)
                except ValueError as error:
                    if self._unusable.get(key.name) != str(error):
                        self._unusable[key.name] = str(error)
                        log.event(events.DKIM_KEY_UNUSABLE, id=id, key=key.name, reason=str(error))
                    if dkim.without_key is WithoutKey.WAIT:
                        return _without(key, error)
            if not seals:
                return b"", ""
            hashed, now = hash_body(content), self._clock()
            fields = b"".join(render_signature(header, hashed, seal, now) for seal in seals)
        except OSError as error:
            return unreadable(error)
        return fields, f"signed for {', '.join(_who(seal) for seal in seals)}"

    def _key(self, path: str) -> PrivateKey:
        """Raises ValueError."""
        pem = Secret(self._read(path))
        known = self._parsed.get(path)
        if known is None or known[0] != pem:
            try:
                known = pem, parse_private_key(pem.reveal().encode())
            except KeyUnusable as error:
                raise ValueError(f"{path}: {error}") from None
            self._parsed[path] = known
        return known[1]


def _who(seal: Seal) -> str:
    return f"{seal.domain} ({seal.selector}, {seal.key.kind})"


def _without(key: Named, error: ValueError) -> Deferred:
    """It is a fault of ours and not of the message, and passes when somebody mends it."""
    text = f"The DKIM key {key.name} cannot be used here"
    return Deferred(Reply(451, "4.3.5", text), detail=f"{error}; `mercury dkim check` tells more")
