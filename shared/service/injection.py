"""Injection: a message written on this host becomes letters for the spool, complete and with an honest sender.

The same for the sendmail command, which deposits by itself where it may, and for the pickup folder of MercuryS.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from shared.config.model import Config
from shared.mail.address import Address, AddressError, parse_address
from shared.mail.envelope import Body, Envelope, Notify, Recipient, Return
from shared.mail.handwritten import Handwritten, Wish, addresses_in, parse_handwritten, render_from
from shared.mail.priority import decide_priority
from shared.mail.record import dataclass
from shared.mail.trace import render_date, safe_name
from shared.routing.decide import split_by_lane
from shared.routing.table import RoutingTable
from shared.service.site_words import table_in_force
from shared.spool.deposit import Letter

#  RFC 5321 §6.3: far more than any way has; beyond it the message goes in circles.
_MOST_HOPS = 100


class Unfit(ValueError):
    """The message cannot be taken; the text says what to change."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Who hands the message in. Only a trusted one says himself who the sender is."""

    uid: int
    name: str
    is_trusted: bool


@dataclass(frozen=True, slots=True)
class Counter:
    """Where it is handed in: this host. Addresses without a domain belong to `domain`."""

    hostname: str
    domain: str
    table: RoutingTable
    largest_message: int
    most_recipients: int
    priorities: bool = False

    @classmethod
    def of(cls, config: Config) -> Counter:
        domains = config.local.domains
        return cls(
            config.hostname,
            domains[0] if domains else config.hostname,
            table_in_force(config),
            config.receive.max_message_size,
            config.receive.limits.recipients,
            config.receive.priorities,
        )


def is_trusted(uid: int, name: str, own_uids: Collection[int], trusted: Collection[str]) -> bool:
    """Root, the account of the daemons, and those named in `receive.pickup.trusted`."""
    return uid == 0 or uid in own_uids or name in trusted


def compose(
    counter: Counter, writer: Writer, wish: Wish, raw: bytes, id: str, now: float
) -> tuple[list[Letter], bytes]:
    """The letters, and the message they share. Raises Unfit."""
    if len(raw) > counter.largest_message:
        raise Unfit("the message is larger than receive.max_message_size")
    written = parse_handwritten(raw)
    if written.count("received") > _MOST_HOPS:
        raise Unfit("the message has been through too many hosts: it goes in circles")
    own = _address(safe_local(writer), counter)
    sender = own if wish.sender is None or not writer.is_trusted else _sender(wish.sender, counter)
    recipients = _recipients(counter, wish, written)
    message = written.render(
        [_received(counter, writer, id, now)], _missing(written, wish, sender or own, counter, id, now)
    )
    is_ascii = message.isascii()
    names = [one.address for one in recipients] + ([sender] if sender else [])
    envelope = Envelope(
        id,
        sender,
        recipients,
        now,
        site=counter.table.here,
        body=Body.SEVEN_BIT if is_ascii else Body.EIGHT_BIT,
        smtputf8=not all(name.is_ascii for name in names) or not b"".join(written.fields).isascii(),
        ret=_ret(wish.ret),
        envid=wish.envid,
        priority=decide_priority(b"".join(written.fields), is_trusted=True) if counter.priorities else 0,
        client=f"uid {writer.uid} {safe_name(writer.name)}",
        tls_optional=_waives_tls(written),
    )
    lanes = split_by_lane(counter.table, envelope)
    return [Letter(lane, replace(envelope, recipients=some)) for lane, some in lanes.items()], message


def _waives_tls(written: Handwritten) -> bool:
    """`TLS-Required: No` (RFC 8689 §3)."""
    return any(field.lower().replace(b" ", b"").strip() == b"tls-required:no" for field in written.fields)


def safe_local(writer: Writer) -> str:
    return writer.name if writer.name.isascii() and writer.name else f"uid-{writer.uid}"


def _sender(text: str, counter: Counter) -> Address | None:
    text = text.strip()
    return None if text in ("", "<>") else _address(text, counter)


def _address(text: str, counter: Counter) -> Address:
    text = text.removeprefix("<").removesuffix(">")
    try:
        return parse_address(text if "@" in text else f"{text}@{counter.domain}")
    except AddressError as error:
        raise Unfit(f"{text!r} is no address: {error}") from error


def _recipients(counter: Counter, wish: Wish, written: Handwritten) -> tuple[Recipient, ...]:
    notify = _notify(wish.notify)
    given = [address for text in wish.recipients for address in addresses_in(text) or [text]]
    if wish.by_header:
        given += written.recipients()
    addresses = dict.fromkeys(_address(text, counter) for text in given)
    if not addresses:
        where = "its header names none in To, Cc or Bcc" if wish.by_header else "none was given"
        raise Unfit(f"the message has no recipient: {where}")
    if len(addresses) > counter.most_recipients:
        raise Unfit("the message has more recipients than receive.limits.recipients")
    return tuple(Recipient(address, notify) for address in addresses)


def _notify(text: str) -> tuple[Notify, ...]:
    words = [word for word in text.upper().replace(" ", "").split(",") if word]
    try:
        found = tuple(Notify(word) for word in words)
    except ValueError:
        raise Unfit(f"{text!r} says nothing about reports: never, or of success, failure, delay") from None
    if Notify.NEVER in found and len(found) > 1:
        raise Unfit("'never' stands alone")
    return found


def _ret(text: str) -> Return | None:
    if not text:
        return None
    try:
        return Return(text.upper())
    except ValueError:
        raise Unfit(f"{text!r} says nothing about what a report returns: full or hdrs") from None


def _received(counter: Counter, writer: Writer, id: str, now: float) -> bytes:
    who = f"from uid {writer.uid}, {safe_name(writer.name)}"
    return f"Received: by {counter.hostname} (Mercury) id {id}\r\n\t({who});\r\n\t{render_date(int(now))}\r\n".encode(
        "ascii", "replace"
    )


def _missing(written: Handwritten, wish: Wish, sender: Address, counter: Counter, id: str, now: float) -> list[bytes]:
    """What every message must have (RFC 5322 §3.6) and this one has not."""
    fields = []
    if not written.has("from"):
        fields.append(render_from(wish.full_name, str(sender)))
    if not written.has("date"):
        fields.append(f"Date: {render_date(int(now))}\r\n".encode())
    if not written.has("message-id"):
        fields.append(f"Message-ID: <{id}@{counter.hostname}>\r\n".encode())
    return fields
