"""Logins by a directory (LDAP, RFC 4513): bind as the one who logs in, found by a name or by a search.

A connection for each check, over TLS that is verified (or within this host): a bind changes who a connection is.
Not here: octets (ldap_wire.py), filters (shared/config/directory_filter.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from mercury_s.auth import ldap_wire as wire
from mercury_s.auth.backend import BackendDown, address_of
from shared.config.account import Account
from shared.config.directory_filter import escaped, parse_filter
from shared.config.logins import Ldap, Mechanism
from shared.mail.address import Address
from shared.smtp.sasl_scram import ScramKeys

_WRONG = frozenset({19, 32, 34, 48, 49, 53})  # locked, no such object, bad name, not so, wrong password, unwilling
_NOBODY = "cn=nobody-of-this-name"


class DirectoryLogins:
    """`read_secret` gives the password of who searches; `domain` belongs to a login without one. Raises OSError when
    the authorities cannot be read."""

    mechanisms = (Mechanism.PLAIN, Mechanism.LOGIN)

    def __init__(self, settings: Ldap, domain: str, read_secret: Callable[[], str] = str) -> None:
        self._settings = settings
        self._domain = domain
        self._read_secret = read_secret
        self._context = _context(settings)

    async def check(self, login: str, password: str, client: str) -> Account | None:
        address = address_of(login, self._domain)
        #  An empty password would be an anonymous bind, which succeeds (RFC 4513 §5.1.2).
        if address is None or not password:
            return None
        async with self._directory() as directory:
            entry = await self._find(directory, login, address)
            #  Who is not there is asked for all the same: it takes the time that a wrong password takes.
            name = entry.name if entry else f"{_NOBODY},{self._settings.base}"
            is_right = await directory.bind(name, password)
            return self._account(entry, address) if entry and is_right else None

    async def admit(self, login: str) -> Account | None:
        address = address_of(login, self._domain)
        if address is None or not self._settings.base:
            return Account(address) if address else None
        async with self._directory() as directory:
            entry = await self._find(directory, login, address)
            return self._account(entry, address) if entry else None

    def scram_keys(self, login: str) -> ScramKeys | None:
        return None

    async def close(self) -> None:
        pass

    async def _find(self, directory: _Directory, login: str, address: Address) -> wire.Entry | None:
        settings = self._settings
        full = login if "@" in login else str(address)
        words = {"login": escaped(full), "user": escaped(address.local), "domain": escaped(address.domain)}
        if settings.user_dn:
            return wire.Entry(settings.user_dn.format(**words), {})
        if settings.bind_dn and not await directory.bind(settings.bind_dn, self._read_secret()):
            raise BackendDown("the directory does not let us look: check bind_dn and password_file")
        return await directory.find(settings.base, settings.filter.format(**words), settings.address)

    def _account(self, entry: wire.Entry, address: Address) -> Account | None:
        said = entry.attributes.get(self._settings.address.lower())
        found = address_of(said, self._domain) if said else address
        return Account(found) if found else None

    @asynccontextmanager
    async def _directory(self) -> AsyncIterator[_Directory]:
        """Connected and under TLS. Raises BackendDown for whatever goes wrong until the end."""
        directory: _Directory | None = None
        try:
            async with asyncio.timeout(self._settings.timeout):
                directory = await _connect(self._settings, self._context)
                yield directory
        except (OSError, TimeoutError, EOFError, wire.WireFault) as error:
            raise BackendDown(f"the directory: {error or type(error).__name__}") from None
        finally:
            if directory is not None:
                directory.close()


class _Directory:
    """One connection: a question, then its answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
        self._reader = reader
        self._writer = writer
        self._seconds = max(1, int(seconds))
        self._number = 0

    async def bind(self, name: str, password: str) -> bool:
        code = (await self._ask(wire.bind(self._next(), name, password)))[1].code
        if code == wire.SUCCESS or code in _WRONG:
            return code == wire.SUCCESS
        raise BackendDown(f"the directory answers a bind with code {code}")

    async def find(self, base: str, wanted: str, attribute: str) -> wire.Entry | None:
        question = wire.search(self._next(), base, parse_filter(wanted), attribute, self._seconds)
        entries, result = await self._ask(question)
        if len(entries) > 1:
            raise BackendDown("the directory's filter describes more than one entry")
        if result.code != wire.SUCCESS:
            raise BackendDown(f"the directory answers a search with code {result.code}")
        return entries[0] if entries else None

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        if (await self._ask(wire.start_tls(self._next())))[1].code != wire.SUCCESS:
            raise OSError("it does not begin TLS")
        await self._writer.start_tls(context, server_hostname=host)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._writer.write(wire.unbind(self._next()))
        self._writer.close()

    def _next(self) -> int:
        self._number += 1
        return self._number

    async def _ask(self, question: bytes) -> tuple[list[wire.Entry], wire.Result]:
        self._writer.write(question)
        entries: list[wire.Entry] = []
        while True:
            number, answer = wire.parse(await self._read())
            if number != self._number:
                raise wire.WireFault("it answers what was not asked")
            if isinstance(answer, wire.Result):
                return entries, answer
            if answer is not None and len(entries) < 2:
                entries.append(answer)

    async def _read(self) -> bytes:
        head = await self._reader.readexactly(2)
        while (size := wire.size_of(head)) is None:
            head += await self._reader.readexactly(1)
        return head + await self._reader.readexactly(size - len(head))


def _context(settings: Ldap) -> ssl.SSLContext | None:
    """Verifies the chain and the name; None: plain text within this host."""
    if urlsplit(settings.url).scheme == "ldap" and not settings.starttls:
        return None
    return ssl.create_default_context(cafile=settings.ca)


async def _connect(settings: Ldap, context: ssl.SSLContext | None) -> _Directory:
    parts = urlsplit(settings.url)
    host, is_tls = parts.hostname or "", parts.scheme == "ldaps"
    port = parts.port or (636 if is_tls else 389)
    reader, writer = await asyncio.open_connection(host, port, ssl=context if is_tls else None)
    directory = _Directory(reader, writer, settings.timeout)
    if context is not None and not is_tls:
        try:
            await directory.start_tls(context, host)
        except BaseException:
            writer.close()
            raise
    return directory
