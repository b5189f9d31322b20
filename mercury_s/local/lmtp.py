"""Local mail by LMTP: the mailbox server (Dovecot) writes the mailboxes, and answers for each of them (RFC 2033).

All mailboxes that one message is for, and that are known by the same turn of the loop, share a transaction. Not here:
the language and its connections (shared/smtp, shared/transport), who has a mailbox (directory.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Protocol

from shared.config.account import Account
from shared.config.local import Over
from shared.mail.content import Content
from shared.mail.envelope import Envelope, Recipient
from shared.mail.outcome import Deferred, Delivered, Failed, Outcome
from shared.mail.reply import Reply
from shared.routing.leg import Leg
from shared.routing.next_hop import NextHop, Tls

_FULL = Reply(552, "5.2.2", "The mailbox is full")


class Carries(Protocol):
    """What is asked of shared.transport's SmtpCarrier."""

    async def carry(self, envelope: Envelope, content: Content, leg: Leg) -> Mapping[Recipient, Outcome]: ...


def lmtp_hop(text: str) -> NextHop:
    """`unix:/path` or `host:port`, as the configuration has it. On this host there is no need of TLS."""
    if text.startswith("unix:"):
        return NextHop("localhost", 24, Tls.OFF, lmtp=True, socket_path=text[5:])
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    return NextHop(host, int(port), Tls.OFF if _is_here(host) else Tls.OPPORTUNISTIC, lmtp=True)


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(slots=True, eq=False)
class _Batch:
    """Mailboxes that go in one transaction, by account."""

    recipients: dict[str, Recipient] = field(default_factory=dict)
    task: asyncio.Task[Mapping[Recipient, Outcome]] | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)


class LmtpDrop:
    """Many deliveries are in flight at once. `over` says what a full mailbox means, whatever the server calls it."""

    def __init__(self, carrier: Carries, hop: NextHop, over: Over) -> None:
        self._carrier = carrier
        self._hop = hop
        self._over = over
        self._batches: dict[int, _Batch] = {}

    async def deliver(self, envelope: Envelope, content: Content, account: Account) -> Outcome:
        """Give the message to the mailbox of `account`."""
        loop = asyncio.get_running_loop()
        batch = self._batches.get(id(content))
        if batch is None:
            batch = self._batches[id(content)] = _Batch()
            loop.call_soon(self._begin, batch, envelope, content)
        recipient = batch.recipients.setdefault(account.key, Recipient(account.address))
        await batch.begun.wait()
        assert batch.task is not None
        #  Whoever waits may be called off; the others of the batch go on.
        outcomes = await asyncio.shield(batch.task)
        return self._judge(outcomes[recipient])

    def _begin(self, batch: _Batch, envelope: Envelope, content: Content) -> None:
        del self._batches[id(content)]
        recipients: Sequence[Recipient] = list(batch.recipients.values())
        if envelope.requiretls and self._hop.tls is Tls.OFF:
            envelope = replace(envelope, requiretls=False)  #  it does not leave the host
        leg = Leg(f"mailboxes at {self._hop}", tuple(recipients), (self._hop,), "local mail goes by LMTP")
        batch.task = asyncio.get_running_loop().create_task(self._carry(envelope, content, leg))
        batch.begun.set()

    async def _carry(self, envelope: Envelope, content: Content, leg: Leg) -> Mapping[Recipient, Outcome]:
        return await self._carrier.carry(envelope, content, leg)

    def _judge(self, outcome: Outcome) -> Outcome:
        if isinstance(outcome, Delivered):
            return replace(outcome, passes_dsn=False)  #  it ends here; nobody behind it reports
        if isinstance(outcome, Deferred) and outcome.reply.enhanced == "4.2.2" and self._over is Over.BOUNCE:
            return Failed(_FULL, outcome.host, outcome.reply.text)
        return outcome
