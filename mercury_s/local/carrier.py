"""The last leg of local mail: into the mailboxes of this host, and by way of aliases to wherever they lead.

Here: what happens to each recipient, in which order, and what of it may be repeated. Not here: looking up
(directory.py), writing a mailbox (maildrop.py), the new entry of an alias (redeposit.py), retrying (shared/delivery).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from mercury_s.local.directory import Alias, Directory, Mailbox, NoSuchUser
from mercury_s.local.mailbox import MailboxFolders
from mercury_s.local.maildrop import Maildrop, defer
from mercury_s.local.message import Message, has_been_at, read_message
from mercury_s.local.redeposit import Redeposit, forward
from shared.config.account import Account
from shared.mail.address import Address
from shared.mail.content import Content
from shared.mail.envelope import Body, Envelope, Recipient
from shared.mail.outcome import Deferred, Delivered, Failed, Outcome
from shared.mail.reply import Reply
from shared.mail.trace import render_delivered_to, render_return_path
from shared.routing.leg import Leg, Plan

_NO_SUCH_USER = Failed(Reply(550, "5.1.1", "No such user here"))
_LEADS_NOWHERE = Failed(Reply(550, "5.1.1", "The alias leads nowhere"), detail="none of its targets exists")
_LOOP = Failed(Reply(554, "5.4.6", "Mail forwarding loop: the message has been here before"), detail="Delivered-To")
_EXPANDED = Reply(250, "2.1.5", "Passed on to where the alias leads")


class LocalPlanner:
    """All local recipients of a message travel together, as it is read once for them."""

    async def plan(self, envelope: Envelope, recipients: Sequence[Recipient]) -> Plan:
        return Plan((Leg("local", tuple(recipients), reason="the domain is local"),))


@dataclass(frozen=True, slots=True)
class _Load:
    """What one carry is about."""

    envelope: Envelope
    message: Message
    return_path: bytes


class LocalCarrier:
    def __init__(
        self,
        directory: Directory,
        folders: MailboxFolders,
        maildrop: Maildrop,
        redeposit: Redeposit,
        executor: Executor | None = None,
    ) -> None:
        self._directory = directory
        self._folders = folders
        self._maildrop = maildrop
        self._redeposit = redeposit
        self._executor = executor

    async def carry(self, envelope: Envelope, content: Content, leg: Leg) -> Mapping[Recipient, Outcome]:
        try:
            message = await read_message(content, self._executor, envelope.body is Body.BINARY)
        except OSError as error:
            return dict.fromkeys(leg.recipients, defer(error))
        load = _Load(envelope, message, render_return_path(envelope.sender))
        if len(leg.recipients) == 1:  #  nearly always, and then there is no need of tasks
            recipient = leg.recipients[0]
            return {recipient: await self._carry_one(load, recipient)}
        outcomes = await asyncio.gather(*(self._carry_one(load, recipient) for recipient in leg.recipients))
        return dict(zip(leg.recipients, outcomes, strict=True))

    async def _carry_one(self, load: _Load, recipient: Recipient) -> Outcome:
        match self._directory.find(recipient.address):
            case Mailbox(account):
                address = recipient.address if recipient.address.domain else account.address
                return await self._deliver(load, account, address)
            case Alias() as alias:
                try:
                    return await self._carry_alias(load, recipient, alias)
                except OSError as error:
                    return defer(error)
            case NoSuchUser():
                return _NO_SUCH_USER

    async def _deliver(self, load: _Load, account: Account, address: Address) -> Delivered | Deferred:
        prefix = load.return_path + render_delivered_to(address)
        return await self._maildrop.deliver(self._folders.folder(account), prefix, load.message)

    async def _carry_alias(self, load: _Load, recipient: Recipient, alias: Alias) -> Outcome:
        """What goes elsewhere first: it is one step, and when it fails nothing has happened yet. Raises OSError."""
        expansion = self._directory.expand(alias)
        if has_been_at(load.message.content.head(), alias.address):
            return await self._end_loop(load, alias, expansion.mailboxes)
        accounts = list(expansion.mailboxes.values())
        remote = list(expansion.remote.values())
        if not accounts and not remote:
            return _LEADS_NOWHERE
        is_only_one = len(accounts) + len(remote) == 1
        notes = [str(account.address) for account in accounts]
        if remote:
            onward = [forward(recipient, address, is_only_one) for address in remote]
            id = await self._redeposit.put(load.envelope, load.message.content, onward, [alias.address])
            notes += [f"{address} (as {id})" for address in remote]
        trouble = await self._carry_mailboxes(load, recipient, alias, accounts, is_begun=bool(remote))
        if trouble:
            return trouble
        detail = f"expanded to {', '.join(notes)}"
        if expansion.dead:
            detail += f"; leads nowhere: {', '.join(expansion.dead)}"
        return Delivered(_EXPANDED, detail=detail, passes_dsn=is_only_one and bool(remote))

    async def _carry_mailboxes(
        self, load: _Load, recipient: Recipient, alias: Alias, accounts: Sequence[Account], is_begun: bool
    ) -> Deferred | None:
        """Deliver to the mailboxes behind an alias. If some take the message and some do not, those that do not get
        an entry of their own, as a retry of the alias would give it to the others twice. Raises OSError."""
        outcomes = await asyncio.gather(*(self._deliver(load, account, account.address) for account in accounts))
        late = [(account, outcome) for account, outcome in zip(accounts, outcomes, strict=True)
                if isinstance(outcome, Deferred)]  # fmt: skip
        if not late:
            return None
        if len(late) == len(accounts) and not is_begun:
            return late[0][1]
        onward = [forward(recipient, account.address, is_only_one=False) for account, _ in late]
        #  A mailbox that is an alias as well (anna: anna, bert) must be nothing but a mailbox when it is tried again.
        been_at = [account.address for account, _ in late if isinstance(self._directory.find(account.address), Alias)]
        await self._redeposit.put(load.envelope, load.message.content, onward, [alias.address, *been_at])
        return None

    async def _end_loop(self, load: _Load, alias: Alias, mailboxes: Mapping[str, Account]) -> Outcome:
        """The message has come back. An alias that keeps a copy for the mailbox of its own name keeps this one too,
        and that is all; any other has no place for it."""
        own = mailboxes.get(alias.address.key)
        return await self._deliver(load, own, alias.address) if own else _LOOP
