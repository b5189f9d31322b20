"""The pickup of MercuryS: mail that programs of this host put into the pickup folder goes into the spool.

The file is removed when its message is durable in the spool, so a crash repeats a message and loses none. What can
never be mail is put aside. The folder itself is shared/spool/pickup.py, what is made of a message is
shared/service/injection.py.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, TypeVar

from mercury_s.header import header_end
from shared.config.model import Config
from shared.mail.header_value import value_of
from shared.observe import events
from shared.observe.log import log
from shared.service.injection import Counter, Unfit, Writer, compose, is_trusted
from shared.spool.deposit import Depositor, deposit
from shared.spool.pickup import Picked, PickupFault, PickupFolder
from shared.spool.watch import LaneWatch

Result = TypeVar("Result")

RESCAN = 30.0
#  A program needs no longer to write what it began.
_LEFTOVER = 36 * 3600.0
#  At once: each is in memory while it is taken.
_MOST_AT_ONCE = 8
#  The envelope of a file may take this much on top of its message.
_ENVELOPE = 1024 * 1024


class Pickup:
    """`watch(found)` calls `found` when something has appeared; the folder is scanned every so often besides."""

    def __init__(
        self,
        folder: PickupFolder,
        config: Config,
        depositor: Depositor,
        executor: Executor,
        watch: Callable[[Callable[[], object]], Callable[[], object]],
        clock: Callable[[], float] = time.time,
        account: Callable[[int], str] | None = None,
    ) -> None:
        self._folder = folder
        self._depositor = depositor
        self._executor = executor
        self._watch = watch
        self._clock = clock
        self._account = account or account_of
        self._stop_watching: Callable[[], object] = lambda: None
        self._appeared = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        self._is_ending = False
        self.use(config)

    def use(self, config: Config) -> None:
        self._counter = Counter.of(config)
        self._trusted = config.receive.pickup.trusted

    async def start(self) -> None:
        """Without a folder there is nothing to take: that is said, and mail goes on."""
        try:
            await self._in_thread(self._folder.prepare)
        except OSError as error:
            log.event(
                events.PICKUP_OFF,
                path=str(self._folder.root),
                reason=f"{error.strerror}; make new/ and tmp/ in it, mode 3733, for the account of this daemon",
            )
            return
        self._stop_watching = self._watch(self._appeared.set)
        self._work = asyncio.ensure_future(self._run())

    async def stop(self, grace: float) -> None:
        """What is being taken is finished."""
        self._stop_watching()
        if self._work is not None:
            work, self._work = self._work, None
            self._is_ending = True
            self._appeared.set()
            await asyncio.wait([work], timeout=grace)
            work.cancel()

    async def _run(self) -> None:
        while not self._is_ending:
            self._appeared.clear()
            await self.take_all()
            if not self._is_ending:
                try:
                    await asyncio.wait_for(self._appeared.wait(), RESCAN)
                except TimeoutError:
                    await self._sweep()

    async def take_all(self) -> None:
        """Everything that is there now."""
        try:
            names = await self._in_thread(lambda: sorted(self._folder.names()))
        except OSError as error:
            log.event(events.SPOOL_TROUBLE, path=self._folder.new, reason=str(error))
            return
        for start in range(0, len(names), _MOST_AT_ONCE):
            if self._is_ending:
                return
            await asyncio.gather(*(self._take(name) for name in names[start : start + _MOST_AT_ONCE]))

    async def _take(self, name: str) -> None:
        try:
            most = self._counter.largest_message + _ENVELOPE
            picked = await self._in_thread(lambda: self._folder.read(name, most))
            if picked is not None:
                await self._deposit(picked)
                await self._in_thread(lambda: self._folder.remove(name))
        except (PickupFault, Unfit) as fault:
            await self._refuse(name, str(fault))
        except OSError as error:
            #  It stays, and is tried again with the next scan.
            log.event(events.DEPOSIT_FAILED, path=f"{self._folder.new}/{name}", reason=str(error))

    async def _deposit(self, picked: Picked) -> None:
        name = self._account(picked.uid)
        writer = Writer(picked.uid, name, is_trusted(picked.uid, name, {os.geteuid()}, self._trusted))
        id = self._depositor.next_id()
        letters, message = compose(self._counter, writer, picked.wish, picked.message, id, self._clock())
        await deposit(self._depositor, letters, message)
        envelope = letters[0].envelope
        recipients: Sequence[str] = [str(one.address) for letter in letters for one in letter.envelope.recipients]
        log.event(
            events.MESSAGE_ACCEPTED,
            id=id,
            client=envelope.client,
            sender=envelope.sender_text or "<>",
            recipient=",".join(recipients[:20]),
            recipients=len(recipients),
            size=len(message),
            message_id=value_of(message[: header_end(message)], b"message-id") or None,
        )

    async def _refuse(self, name: str, reason: str) -> None:
        try:
            path = await self._in_thread(lambda: self._folder.refuse(name))
        except OSError as error:
            path, reason = f"{self._folder.new}/{name}", f"{reason}; it stays: {error.strerror}"
        log.event(events.PICKUP_REFUSED, path=path, reason=reason)

    async def _sweep(self) -> None:
        older = self._clock() - _LEFTOVER
        try:
            await self._in_thread(lambda: self._folder.sweep(older))
        except OSError:
            pass  #  The next scan of new/ says what is wrong with the folder.

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


def watch_pickup(folder: PickupFolder, reactor: Any) -> Callable[[Callable[[], object]], Callable[[], object]]:
    """By inotify, where there is any."""

    def watch(found: Callable[[], object]) -> Callable[[], object]:
        names = LaneWatch(folder, reactor)
        names.start(lambda name: found())
        return names.stop

    return watch


def account_of(uid: int) -> str:
    """The name of an account; an invented one when it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"
