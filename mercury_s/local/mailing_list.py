"""Small mailing lists: which addresses are theirs, who may post, who is on them, and what members get.

Here: the lists of the configuration as the directory and the carrier see them. Not here: their settings
(shared/config/mailing_lists.py), the header fields (list_header.py), the deposit (redeposit.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote

from mercury_s.local.aliases import Include, LocalName, parse_included
from mercury_s.local.list_header import fields_of, has_list_id, is_automatic_reply, render_head
from mercury_s.policy.verdict import Refuse
from shared.config.mailing_lists import ListSettings, Posters, ReplyTo
from shared.config.watched import WatchedFile
from shared.mail.address import Address
from shared.mail.content import Content
from shared.mail.reply import Reply

MAY_NOT_POST = Reply(550, "5.7.1", "You may not write to this list")
NO_SENDER = Reply(550, "5.7.1", "A list takes no mail without a sender")
LOOP = Reply(554, "5.4.6", "The message has been through this list before")
AUTOMATIC = Reply(550, "5.7.1", "A list takes no automatic replies")

_LARGEST = 1024 * 1024
#  RFC 2919 §3    list-label = dot-atom-text
_NOT_LABEL = re.compile(r"[^A-Za-z0-9_.-]")


class MailingList:
    """One list. `clock` is for looking at its file of members."""

    def __init__(self, settings: ListSettings, clock: Callable[[], float]) -> None:
        self.address = settings.address
        self.owner = settings.owner
        self._settings = settings
        self._file = WatchedFile(settings.file, clock) if settings.file else None
        self._from_file: tuple[Address, ...] | None = None
        local = _NOT_LABEL.sub("-", settings.address.local).strip(".") or "list"
        self.id = f"{local.lower()}.{settings.address.ascii_domain}"

    @property
    def bounces(self) -> Address:
        """The envelope sender of what members get."""
        return Address(f"{self.address.local}-bounces", self.address.domain)

    def service_addresses(self) -> Iterator[Address]:
        """Those that lead to the owner."""
        for service in ("bounces", "owner", "unsubscribe"):
            yield Address(f"{self.address.local}-{service}", self.address.domain)

    def members(self) -> list[Address]:
        """Everybody once. Raises OSError and AliasesError when the file cannot be used."""
        found = {member.key: member for member in (*self._settings.members, *self._read_file())}
        found.pop(self.address.key, None)
        return list(found.values())

    def objection(self, sender: Address | None, is_inside: bool) -> Refuse | None:
        """Why `sender` may not post. `is_inside`: logged in, or from a network of ours."""
        if sender is None:
            return Refuse(NO_SENDER, f"the null sender writes to the list {self.address}")
        match self._settings.post:
            case Posters.ANYONE:
                return None
            case Posters.LOCAL:
                may = is_inside
            case Posters.MEMBERS:
                try:
                    may = any(member.key == sender.key for member in self.members())
                except (OSError, ValueError):
                    return None  #  it is asked again at delivery, where it can wait
        return None if may else Refuse(MAY_NOT_POST, f"{self.address} is open to {self._settings.post} only")

    def rewrite(self, content: Content) -> Content | Reply:
        """What members get of `content`, or why they get nothing. Raises OSError."""
        head = content.head()
        fields = fields_of(head)
        if has_list_id(fields, self.id):
            return LOOP
        if is_automatic_reply(fields):
            return AUTOMATIC
        reply_to = _ascii(self.address) if self._settings.reply_to is ReplyTo.LIST else ""
        return _Edited(content, len(head), render_head(fields, self._own_fields(), reply_to, self._settings.tag))

    def _own_fields(self) -> list[str]:
        domain = self.address.ascii_domain
        local = quote(self.address.local)
        return [
            f"List-Id: <{self.id}>",
            f"List-Post: <mailto:{local}@{domain}>",
            f"List-Unsubscribe: <mailto:{local}-unsubscribe@{domain}?subject=unsubscribe>",
            f"List-Owner: <mailto:{local}-owner@{domain}>",
            "Precedence: list",
        ]

    def _read_file(self) -> tuple[Address, ...]:
        """Raises OSError and AliasesError."""
        if self._file is None:
            return ()
        if self._from_file is None or self._file.has_changed():
            self._from_file = None
            self._file.mark()
            with open(self._file.path, "rb") as file:
                text = file.read(_LARGEST).decode("utf-8")
            self._from_file = tuple(self._addresses(text))
        return self._from_file

    def _addresses(self, text: str) -> Iterator[Address]:
        assert self._file is not None
        for target in parse_included(text, str(self._file.path)):
            if isinstance(target, LocalName):
                yield Address(target.name, self.address.domain)
            elif not isinstance(target, Include):
                yield target


class MailingLists:
    """All lists, by every address that is theirs."""

    def __init__(self, settings: Iterable[ListSettings], clock: Callable[[], float]) -> None:
        self._lists = {one.address.key: MailingList(one, clock) for one in settings}
        self._services = {
            address.key: one.owner for one in self._lists.values() for address in one.service_addresses()
        }

    def find(self, key: str) -> MailingList | None:
        return self._lists.get(key)

    def find_owner(self, key: str) -> Address | None:
        """The owner that `<list>-owner` and its like lead to."""
        return self._services.get(key)


class _Edited:
    """A message with another header section."""

    def __init__(self, content: Content, length: int, head: bytes) -> None:
        self._content = content
        self._length = length
        self._head = head

    @property
    def size(self) -> int:
        return self._content.size - self._length + len(self._head)

    def chunks(self, size: int = 65536) -> Iterator[bytes]:
        for start in range(0, len(self._head), size):
            yield self._head[start : start + size]
        skipped = 0
        for chunk in self._content.chunks(size):
            body = chunk[max(0, self._length - skipped) :]
            skipped += len(chunk)
            if body:
                yield body

    def head(self) -> bytes:
        return self._head


def _ascii(address: Address) -> str:
    return str(Address(address.local, address.ascii_domain))
