"""mercury-web: the listener of the status page and what stands behind it. Writes nothing into the spool."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from shared.config.account import AccountsError
from shared.config.accounts import AccountsFile
from shared.config.model import Config
from shared.config.web import WebSettings
from shared.observe import events
from shared.observe.log import log
from shared.service.trouble import StartTrouble
from shared.web.answers import Answers
from shared.web.doorkeeper import Doorkeeper
from shared.web.files import read_files
from shared.web.office import Office
from shared.web.session import Sessions
from shared.web.site import Page, make_site
from shared.web.stream import Streams


class WebDaemon:
    """Satisfies shared.service.life.Daemon."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._accounts = _accounts(config)
        self._passwords = ThreadPoolExecutor(max_workers=1, thread_name_prefix="passwords")
        self._office = Office(config)
        self._sessions = Sessions(self._settings, self._lookup, time.monotonic)
        doorkeeper = Doorkeeper(self._settings, self._lookup, self._passwords, time.monotonic)
        answers = Answers(self._settings, self._get_office, self._sessions, doorkeeper, read_files())
        self._streams = Streams(lambda: self._office.overview(), lambda: self._office.beat())
        self._site = make_site(Page(answers, self._sessions, self._streams))
        self._port: Any = None

    async def start(self) -> None:
        from twisted.internet import reactor

        listening: Any = reactor
        web = self._config.web
        if web.socket:
            self._take_socket(web.socket)
            #  Whoever can reach it must log in, as everybody on this host could at a loopback address.
            self._port = listening.listenUNIX(web.socket, self._site, mode=0o666)
            log.event(events.LISTENING, path=web.socket, kind="page")
        else:
            host, port = web.address
            self._port = listening.listenTCP(port, self._site, interface=host)
            log.event(events.LISTENING, address=host, port=port, kind="page")
        self._streams.start()

    async def reload(self, config: Config) -> None:
        if config.local.users != self._config.local.users:
            self._accounts = _accounts(config)  #  before all else: when it cannot be used, everything stays
        before, self._office = self._office, Office(config)
        self._config = config
        before.close()

    async def stop(self, grace: float) -> None:
        self._streams.stop()
        if self._port is not None:
            port, self._port = self._port, None
            await _ended(port)
        self._office.close()
        self._passwords.shutdown(wait=False, cancel_futures=True)

    def status(self) -> str:
        pages = len(self._streams)
        return f"{pages} {'page is' if pages == 1 else 'pages are'} open"

    def _settings(self) -> WebSettings:
        return self._config.web

    def _get_office(self) -> Office:
        return self._office

    def _lookup(self, key: str) -> Any:
        return self._accounts.lookup(key)

    def _take_socket(self, path: str) -> None:
        """What a killed page has left; the lock says that no other runs. Raises StartTrouble for anything else."""
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISSOCK(os.lstat(path).st_mode):
                raise StartTrouble(f"listen at {path}: there is something else", "remove it, or change `web.listen`")
            os.unlink(path)


def _accounts(config: Config) -> AccountsFile:
    """Raises StartTrouble."""
    try:
        return AccountsFile.load(config.local.users, time.monotonic, _refused)
    except AccountsError as error:
        raise StartTrouble(f"use the users: {error.problems[0]}", "correct the file") from error


async def _ended(port: Any) -> None:
    ended = port.stopListening()
    if ended is not None:
        await ended.asFuture(asyncio.get_running_loop())


def _refused(error: AccountsError) -> None:
    log.event(events.USERS_REFUSED, reason=str(error).splitlines()[0])
