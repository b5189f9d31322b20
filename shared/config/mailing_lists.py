"""Small lists of this house (`local.lists:`): who is on them, who may post, what replies go to.

Not here: how a list is recognised and its mail made (mercury_s/local/mailing_list.py).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from shared.config.problem import shown
from shared.config.scalars import File, parse_text, parse_word
from shared.config.setting import Parsed, Setting
from shared.mail.address import Address, AddressError, parse_address


class Posters(StrEnum):
    """Who may write to a list."""

    MEMBERS = "members"
    LOCAL = "local"
    ANYONE = "anyone"


class ReplyTo(StrEnum):
    """Where an answer to the list's mail goes, unless its writer has said so."""

    SENDER = "sender"
    LIST = "list"


def parse_mailbox(value: object) -> Address:
    """An address, whole."""
    text = parse_text(value)
    try:
        return parse_address(text)
    except AddressError as error:
        raise ValueError(f"{shown(text)}: {error}; write a whole address, like anna@hq.example")


def parse_tag(value: object) -> str:
    """What stands in brackets before a subject."""
    text = parse_text(value)
    if not text.isascii() or len(text) > 40 or set("[]") & set(text):
        raise ValueError(f"{shown(text)}: a tag is at most 40 ASCII characters, without the brackets")
    return text


Mailbox = Annotated[Address, Parsed(parse_mailbox)]


class ListSettings(Setting):
    """`members` here and, one a line, in `file`. `owner` gets what comes back. `tag` empty: subjects stay."""

    address: Mailbox
    owner: Mailbox
    members: tuple[Mailbox, ...] = ()
    file: File | None = None
    post: Annotated[Posters, Parsed(parse_word(Posters))] = Posters.MEMBERS
    reply_to: Annotated[ReplyTo, Parsed(parse_word(ReplyTo))] = ReplyTo.SENDER
    tag: Annotated[str, Parsed(parse_tag)] = ""
