"""Logins by Dovecot: the client's side of its authentication protocol, version 1, over a unix socket.

One connection for all, opened when it is needed; questions are numbered, and answers come in any order. A password
goes over as PLAIN, whatever way it came to us; Dovecot waits before it says no, to known and unknown names alike.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from mercury_s.auth.backend import BackendDown, address_of
from shared.config.account import Account
from shared.config.logins import Mechanism
from shared.smtp.sasl_scram import ScramKeys

_SECONDS = 20.0
_LONGEST_LINE = 16384
_LAST_ID = 2**31 - 1

Open = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


class DovecotLogins:
    """`domain` belongs to a login without one, and to an account that Dovecot names without one."""

    mechanisms = (Mechanism.PLAIN, Mechanism.LOGIN)

    def __init__(self, connect: Open, domain: str) -> None:
        self._connect = connect
        self._domain = domain
        self._line: _Line | None = None
        self._opening = asyncio.Lock()

    async def check(self, login: str, password: str, client: str) -> Account | None:
        if not password or "\0" in login + password:
            return None
        proof = base64.b64encode(f"\0{login}\0{password}".encode()).decode("ascii")
        #  Who fails is slowed by us already (failures.py); a second penalty would hit those who succeed, too.
        question = ("PLAIN", "service=smtp", f"rip={client}", "secured", "no-penalty", f"resp={proof}")
        try:
            async with asyncio.timeout(_SECONDS):
                verb, fields = await (await self._open()).ask(question)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise BackendDown(f"Dovecot: {error or type(error).__name__}") from None
        if verb == "OK":
            address = address_of(fields.get("user", login), self._domain)
            return Account(address) if address else None
        if "temp" in fields:
            raise BackendDown("Dovecot has a temporary failure")
        return None

    async def admit(self, login: str) -> Account | None:
        address = address_of(login, self._domain)
        return Account(address) if address else None

    def scram_keys(self, login: str) -> ScramKeys | None:
        return None

    async def close(self) -> None:
        if self._line is not None:
            self._line.close()

    async def _open(self) -> _Line:
        async with self._opening:
            if self._line is None or self._line.is_closed:
                self._line = _Line(*await self._connect())
                try:
                    await self._line.greet()
                except BaseException:
                    self._line.close()
                    raise
            return self._line


class _Line:
    """One connection, after its greeting."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._last_id = 0
        self._waiting: dict[str, asyncio.Future[tuple[str, dict[str, str]]]] = {}
        self._listening: asyncio.Task[None] | None = None
        self.is_closed = False

    async def greet(self) -> None:
        """Both say their version; Dovecot then lists what it can do, up to DONE. Raises OSError."""
        self._writer.write(f"VERSION\t1\t1\nCPID\t{os.getpid()}\n".encode())
        while (line := await self._read())[0] != "DONE":
            if line[0] == "VERSION" and line[1:2] != ["1"]:
                raise OSError("it speaks another version of the protocol")
        self._listening = asyncio.ensure_future(self._listen())

    async def ask(self, question: tuple[str, ...]) -> tuple[str, dict[str, str]]:
        """OK, FAIL or CONT, and the fields behind it. Raises OSError."""
        self._last_id = self._last_id % _LAST_ID + 1
        number = str(self._last_id)
        answer: asyncio.Future[tuple[str, dict[str, str]]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._writer.write("\t".join(("AUTH", number, *question)).encode() + b"\n")
            return await answer
        finally:
            self._waiting.pop(number, None)

    def close(self) -> None:
        self.is_closed = True
        self._writer.close()
        if self._listening is not None:
            self._listening.cancel()

    async def _listen(self) -> None:
        try:
            while True:
                verb, *fields = await self._read()
                answer = self._waiting.get(fields[0]) if verb in ("OK", "FAIL", "CONT") and fields else None
                if answer is not None and not answer.done():
                    pairs = (field.partition("=") for field in fields[1:])
                    answer.set_result((verb, {name: value for name, _, value in pairs}))
        except OSError:
            pass  #  those who wait are told below, and the next one to ask opens another
        finally:
            self.is_closed = True
            self._writer.close()
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(OSError("the connection was lost"))

    async def _read(self) -> list[str]:
        try:
            line = await self._reader.readuntil(b"\n")
        except asyncio.LimitOverrunError:
            raise OSError("a line is too long")
        except asyncio.IncompleteReadError:
            raise OSError("the connection was lost")
        return line[:-1].decode("utf-8", "replace").split("\t")


def connect_to(path: Path) -> Open:
    return lambda: asyncio.open_unix_connection(path, limit=_LONGEST_LINE)
