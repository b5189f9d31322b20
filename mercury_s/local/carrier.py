"""The last leg of local mail: into the mailboxes of this host, and by way of aliases to wherever they lead.

Here: what happens to each recipient, in which order, and what of it may be repeated. Not here: looking up
(directory.py), writing a mailbox (maildrop.py), the new entry of an alias (redeposit.py), retrying (shared/delivery).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace

from mercury_s.local.aliases import AliasesError
from mercury_s.local.directory import Alias, Directory, Expansion, ListAddress, Mailbox, NoSuchUser
from mercury_s.local.lmtp import LmtpDrop
from mercury_s.local.mailbox import MailboxFolders
from mercury_s.local.maildrop import Maildrop, defer
from mercury_s.local.mailing_list import MailingList
from mercury_s.local.message import Message, has_been_at, read_message
from mercury_s.local.quota import Quotas
from mercury_s.local.redeposit import Redeposit, forward
from mercury_s.local.srs import Srs
from shared.config.account import Account
from shared.mail.address import Address
from shared.mail.content import Content
from shared.mail.envelope import Body, Envelope, Recipient
from shared.mail.outcome import Deferred, Delivered, Failed, Outcome
from shared.mail.record import dataclass
from shared.mail.reply import Reply
from shared.mail.trace import render_delivered_to, render_return_path
from shared.routing.leg import Leg, Plan

_NO_SUCH_USER = Failed(Reply(550, "5.1.1", "No such user here"))
_LEADS_NOWHERE = Failed(Reply(550, "5.1.1", "The alias leads nowhere"), detail="none of its targets exists")
_LOOP = Failed(Reply(554, "5.4.6", "Mail forwarding loop: the message has been here before"), detail="Delivered-To")
_EXPANDED = Reply(250, "2.1.5", "Passed on to where the alias leads")
_POSTED = Reply(250, "2.1.5", "Passed on to the members of the list")
_NO_MEMBERS = Failed(Reply(550, "5.1.1", "The list has no members"))
_MEMBERS_UNKNOWN = Reply(451, "4.3.5", "The members of the list are not known at the moment")


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


@dataclass(frozen=True, slots=True)
class Extras:
    """What a house may have beyond Maildirs and aliases; None where the configuration says nothing of it. `is_inside`
    says whether a message was sent by somebody of ours."""

    lmtp: LmtpDrop | None = None
    quotas: Quotas | None = None
    srs: Srs | None = None
    is_inside: Callable[[Envelope], bool] = lambda envelope: bool(envelope.login)


_NOTHING = Extras()


class LocalCarrier:
    def __init__(
        self,
        directory: Directory,
        folders: MailboxFolders,
        maildrop: Maildrop,
        redeposit: Redeposit,
        executor: Executor | None = None,
        extras: Extras = _NOTHING,
    ) -> None:
        self._directory = directory
        self._folders = folders
        self._maildrop = maildrop
        self._redeposit = redeposit
        self._executor = executor
        self._lmtp, self._quotas, self._srs = extras.lmtp, extras.quotas, extras.srs
        self._is_inside = extras.is_inside

    async def carry(self, envelope: Envelope, content: Content, leg: Leg) -> Mapping[Recipient, Outcome]:
        if self._lmtp is not None:
            message = Message(content, None)  #  it goes on as it is
        else:
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
            case ListAddress(found):
                try:
                    return await self._post(load, found)
                except OSError as error:
                    return defer(error)
            case NoSuchUser():
                return _NO_SUCH_USER

    async def _deliver(self, load: _Load, account: Account, address: Address) -> Outcome:
        message = load.message
        if self._lmtp is not None:
            return await self._lmtp.deliver(load.envelope, message.content, account)
        prefix = load.return_path + render_delivered_to(address)
        folder = self._folders.folder(account)
        limit = self._quotas.limit_of(account) if self._quotas is not None else 0
        if not limit:
            return await self._maildrop.deliver(folder, prefix, message)
        assert self._quotas is not None
        size = len(prefix) + (message.content.size if message.small is None else len(message.small))
        try:
            return await self._quotas.deliver(
                folder, limit, size, lambda: self._maildrop.deliver(folder, prefix, message)
            )
        except OSError as error:
            return defer(error)

    async def _post(self, load: _Load, to: MailingList) -> Outcome:
        """A message to a list becomes a new one, of the list, for its members. Raises OSError."""
        envelope, content = load.envelope, load.message.content
        objection = to.objection(envelope.sender, self._is_inside(envelope))
        if objection is not None:
            return Failed(objection.reply, detail=objection.reason)
        if has_been_at(content.head(), to.address):
            return _LOOP
        rewritten = to.rewrite(content)
        if isinstance(rewritten, Reply):
            return Failed(rewritten, detail=f"the list {to.address}")
        try:
            members = to.members()
        except (AliasesError, UnicodeDecodeError) as error:
            return Deferred(_MEMBERS_UNKNOWN, detail=str(error))
        if not members:
            return _NO_MEMBERS
        #  What the writer wants to hear of ends at the list (RFC 3461 §5.2.7.3).
        of_list = replace(envelope, sender=to.bounces, ret=None, envid="")
        onward = [Recipient(member) for member in members]
        id = await self._redeposit.put(of_list, rewritten, onward, [to.address])
        return Delivered(_POSTED, detail=f"to {len(members)} members as {id}")

    async def _carry_alias(self, load: _Load, recipient: Recipient, alias: Alias) -> Outcome:
        """What goes elsewhere first: it is one step, and when it fails nothing has happened yet. Raises OSError."""
        expansion = self._directory.expand(alias)
        if has_been_at(load.message.content.head(), alias.address):
            return await self._end_loop(load, alias, expansion.mailboxes)
        accounts = list(expansion.mailboxes.values())
        elsewhere = len(expansion.remote) + len(expansion.lists)
        if not accounts and not elsewhere:
            return _LEADS_NOWHERE
        is_only_one = len(accounts) + elsewhere == 1
        notes = [str(account.address) for account in accounts]
        if elsewhere:
            notes += await self._send_on(load, recipient, alias, expansion, is_only_one)
        trouble = await self._carry_mailboxes(load, recipient, alias, accounts, is_begun=bool(elsewhere))
        if trouble:
            return trouble
        detail = f"expanded to {', '.join(notes)}"
        if expansion.dead:
            detail += f"; leads nowhere: {', '.join(expansion.dead)}"
        return Delivered(_EXPANDED, detail=detail, passes_dsn=is_only_one and bool(elsewhere))

    async def _send_on(
        self, load: _Load, recipient: Recipient, alias: Alias, expansion: Expansion, is_only_one: bool
    ) -> list[str]:
        """New entries for what does not end here: to other domains, where the sender may have to be ours, and to
        lists, which look at the sender as it is. What was made of it, for the operator. Raises OSError."""
        remote, lists = list(expansion.remote.values()), list(expansion.lists.values())
        abroad = self._abroad(load.envelope) if remote else load.envelope
        parts = [(abroad, remote), (load.envelope, lists)]
        if abroad is load.envelope:
            parts = [(abroad, [*remote, *lists])]
        notes = []
        for envelope, addresses in parts:
            if addresses:
                onward = [forward(recipient, address, is_only_one) for address in addresses]
                id = await self._redeposit.put(envelope, load.message.content, onward, [alias.address])
                notes += [f"{address} (as {id})" for address in addresses]
        if remote and abroad is not load.envelope:
            notes.append(f"sender {abroad.sender}")
        return notes

    def _abroad(self, envelope: Envelope) -> Envelope:
        """`envelope` for another domain: a foreign sender becomes one of ours (SRS), so that SPF there does not take
        us for a forger. One that cannot be written so stays."""
        srs, sender = self._srs, envelope.sender
        if srs is None or sender is None or self._directory.is_local(sender):
            return envelope
        ours = srs.rewrite(sender)
        return replace(envelope, sender=ours) if ours else envelope

    async def _carry_mailboxes(
        self, load: _Load, recipient: Recipient, alias: Alias, accounts: Sequence[Account], is_begun: bool
    ) -> Outcome | None:
        """Deliver to the mailboxes behind an alias. If some take the message and some do not, those that do not get
        an entry of their own, as a retry of the alias would give it to the others twice, and a report of one that
        refuses is about that one. Raises OSError."""
        outcomes = await asyncio.gather(*(self._deliver(load, account, account.address) for account in accounts))
        late = [(account, outcome) for account, outcome in zip(accounts, outcomes, strict=True)
                if not isinstance(outcome, Delivered)]  # fmt: skip
        if not late:
            return None
        if len(late) == len(accounts) and not is_begun:
            return next((outcome for _, outcome in late if isinstance(outcome, Deferred)), late[0][1])
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
