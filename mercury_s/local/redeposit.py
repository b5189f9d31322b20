"""What an alias does not deliver here goes into the spool again: a new entry, the same sender, other recipients.

The new entry carries `Delivered-To` with the alias, so that a message that comes back is known (RFC 9228).
Not here: which targets (directory.py, carrier.py), in which lane they belong (shared/routing).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace

from mercury_s.local.message import render_been_at
from shared.mail.address import Address
from shared.mail.content import Content
from shared.mail.envelope import Envelope, Notify, Recipient
from shared.spool.deposit import Depositor, Draft, Letter

_CHUNK = 256 * 1024
_PAUSE_ABOVE = 1024 * 1024  #  bytes that wait for the disk
_IN_THREAD_ABOVE = 128 * 1024


class Redeposit:
    def __init__(
        self,
        depositor: Depositor,
        route_letters: Callable[[Envelope], list[Letter]],
        executor: Executor | None = None,
    ) -> None:
        self._depositor = depositor
        self._route_letters = route_letters
        self._executor = executor

    async def put(
        self, envelope: Envelope, content: Content, recipients: Sequence[Recipient], been_at: Sequence[Address]
    ) -> str:
        """The queue id under which the message goes on; it is durable. `been_at` goes into Delivered-To.
        Raises OSError."""
        is_ascii = all(recipient.address.is_ascii for recipient in recipients)
        onward = replace(
            envelope,
            id=self._depositor.next_id(),
            recipients=tuple(recipients),
            smtputf8=envelope.smtputf8 or not is_ascii,
        )
        draft = self._depositor.draft(self._route_letters(onward))
        try:
            draft.write(b"".join(map(render_been_at, dict.fromkeys(been_at))))
            await self._copy(content, draft)
            await _commit(draft)
        except BaseException:
            draft.abandon()
            raise
        return onward.id

    async def _copy(self, content: Content, draft: Draft) -> None:
        if content.size <= _IN_THREAD_ABOVE:
            for chunk in content.chunks(_CHUNK):
                draft.write(chunk)
            return
        loop = asyncio.get_running_loop()
        chunks = content.chunks(_CHUNK)
        while chunk := await loop.run_in_executor(self._executor, next, chunks, b""):
            draft.write(chunk)
            if draft.backlog() > _PAUSE_ABOVE:
                await _drained(draft)


async def _drained(draft: Draft) -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    draft.on_drained(lambda: None if future.done() else future.set_result(None))
    await future


async def _commit(draft: Draft) -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done(error: OSError | None) -> None:
        if not future.done():
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

    draft.commit(done)
    await future


def forward(recipient: Recipient, address: Address, is_only_one: bool) -> Recipient:
    """`recipient` of an alias as the recipient `address` of the new entry (RFC 3461 §5.2.7).

    A success is reported for a list by us, when it is expanded, and by nobody behind it; a plain forwarding passes
    the wish on.
    """
    notify = recipient.notify
    if not is_only_one and Notify.SUCCESS in notify:
        notify = tuple(wish for wish in notify if wish is not Notify.SUCCESS) or (Notify.NEVER,)
    return Recipient(address, notify, recipient.original or render_original(recipient.address))


def render_original(address: Address) -> str:
    """`address` as an ORCPT value (RFC 3461 §4.2; RFC 6533 §3 for what is not ASCII)."""
    if address.is_ascii:
        return "rfc822;" + "".join(_xchar(character) for character in str(address))
    return "utf-8;" + "".join(
        _xchar(character) if character.isascii() and character != "\\" else f"\\x{{{ord(character):X}}}"
        for character in str(address)
    )


def _xchar(character: str) -> str:
    return character if "!" <= character <= "~" and character not in "+=" else f"+{ord(character):02X}"
