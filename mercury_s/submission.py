"""New mail of our own people (RFC 6409): bound to who they are, and completed before anybody else sees it.

Here: what of an envelope and a header is looked at, added, taken out; everything else passes unchanged. Not here: who
may use which address (policy/identity.py), how addresses in fields are read (author.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from mercury_s.local.directory import Alias, Directory, Mailbox
from mercury_s.policy.identity import Binding, IdentityFacts, IdentityRules, Rewrite, decide_identity, is_granted
from mercury_s.policy.verdict import Refuse
from shared.mail.address import Address, AddressError
from shared.mail.author import Author, FieldFault, parse_authors
from shared.mail.field import Field, split_fields
from shared.mail.record import dataclass
from shared.mail.reply import Reply
from shared.observe import events
from shared.observe.log import log

#  RFC 5322 §3.6.3 lets an MSA take it out, which is what those who use it expect.
_HIDDEN = frozenset({b"bcc", b"resent-bcc"})
_AUTHORS = {b"from": "From", b"sender": "Sender"}


@dataclass(frozen=True, slots=True)
class Completion:
    """What a message gets where it lacks it. `sender` is that of the envelope, None for `<>`."""

    date: str
    message_id: str
    sender: Address | None


class Submitter:
    """Who submits. `login` None: a client that needs none, in a site's network; it is bound to nothing."""

    def __init__(self, directory: Directory, rules: IdentityRules, domain: str, login: Address | None) -> None:
        self._directory = directory
        self._rules = rules
        self._domain = domain
        self._login = login

    def bind_sender(self, sender: Address | None) -> Address | Refuse | None:
        """The sender that the envelope shall have. `<>` is everybody's: receipts and out-of-office notes have it."""
        return self._bind(sender, self._rules.sender, "MAIL FROM") if sender is not None else None

    def complete(self, header: bytes, lacking: Completion) -> bytes | Refuse:
        """`header` without Bcc, with what it lacks, its authors whole and bound; or why it is not taken."""
        fields: list[Field] = []
        size = 0
        for field in split_fields(header):
            if not field.name:
                break
            fields.append(field)
            size += len(field.raw)
        try:
            kept = [self._bind_authors(field) if field.name in _AUTHORS else field.raw for field in fields
                    if field.name not in _HIDDEN]  # fmt: skip
            if kept and not kept[-1].endswith(b"\r\n"):
                kept.append(b"\r\n")  #  a chunk may end anywhere
            kept += self._lacking(fields, lacking)
        except _Refused as refused:
            return refused.refusal
        rest = header[size:]
        #  Text that begins without an empty line would become part of the field before it.
        between = b"\r\n" if rest and not rest.startswith(b"\r\n") else b""
        return b"".join(kept) + between + rest

    def _lacking(self, fields: Sequence[Field], lacking: Completion) -> list[bytes]:
        """The fields that every message must have and this one has not (RFC 6409 §8; RFC 5322 §3.6)."""
        names = [field.name for field in fields]
        for name, shown in _AUTHORS.items():
            if names.count(name) > 1:
                raise _malformed(shown, "stands there twice")
        added = []
        author = lacking.sender or self._login
        if b"from" not in names and author is not None:
            added.append(f"From: {author}\r\n")
        if b"date" not in names:
            added.append(f"Date: {lacking.date}\r\n")
        if b"message-id" not in names:
            added.append(f"Message-ID: {lacking.message_id}\r\n")
        return [line.encode() for line in added]

    def _bind_authors(self, field: Field) -> bytes:
        """The field, its addresses with their domains and, if it is From, bound to the login."""
        shown = _AUTHORS[field.name]
        body, codec = _text(field.body)
        try:
            authors = parse_authors(body)
        except FieldFault as fault:
            raise _malformed(shown, str(fault))
        changes = []
        for author in authors:
            if codec != "utf-8" and not author.address.is_ascii:
                raise _malformed(shown, "has an address that is neither ASCII nor UTF-8")
            address = self._author(author, shown)
            if address != author.address:
                changes.append((author, address))
        if not changes:
            return field.raw
        return field.raw[: field.raw.index(b":") + 1] + _replaced(body, codec, changes) + b"\r\n"

    def _author(self, author: Author, shown: str) -> Address:
        address = author.address if author.address.domain else Address(author.address.local, self._domain)
        if shown != "From":
            return address
        bound = self._bind(address, self._rules.header_from, shown)
        if isinstance(bound, Refuse):
            raise _Refused(bound)
        return bound

    def _bind(self, address: Address, binding: Binding, where: str) -> Address | Refuse:
        login = self._login
        if login is None or binding is Binding.ANY or address == login:
            return address
        leads = _leads_to(self._directory, address, login)
        verdict = decide_identity(
            IdentityFacts(login, address, leads, is_granted(self._rules, login, address), binding, where)
        )
        if isinstance(verdict, Refuse):
            return verdict
        if isinstance(verdict, Rewrite):
            log.event(events.SENDER_REWRITTEN, login=str(login), sender=str(address), where=where)
            return login
        return address


class _Refused(Exception):
    """The message is not taken."""

    def __init__(self, refusal: Refuse) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


def _malformed(shown: str, fault: str) -> _Refused:
    text = f"The {shown} field {fault}; it is written  {shown}: Anna Berg <anna@example.org>"
    return _Refused(Refuse(Reply(550, "5.6.0", text), f"{shown} {fault}"))


def _text(body: bytes) -> tuple[str, str]:
    try:
        return body.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return body.decode("latin-1"), "latin-1"


def _replaced(body: str, codec: str, changes: Sequence[tuple[Author, Address]]) -> bytes:
    pieces, start = [], 0
    for author, address in changes:
        pieces += [body[start : author.start].encode(codec), str(address).encode()]
        start = author.end
    return b"".join([*pieces, body[start:].encode(codec)])


def _leads_to(directory: Directory, address: Address, login: Address) -> bool:
    """Whether mail to `address` reaches the login's mailbox."""
    if address.key == login.key:
        return True
    try:
        found = directory.find(address)
    except AddressError:
        return False
    match found:
        case Mailbox(account):
            return account.key == login.key
        case Alias():
            return login.key in directory.expand(found).mailboxes
        case _:
            return False
