"""Mail that stays here (`local:`) and the certificates our listeners show (`tls:`). Lists are in mailing_lists.py."""

from __future__ import annotations

import os
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from shared.config.account import parse_quota
from shared.config.mailing_lists import ListSettings
from shared.config.problem import shown
from shared.config.scalars import (
    File,
    Flag,
    Name,
    SecretFile,
    Several,
    parse_host,
    parse_path,
    parse_port,
    parse_text,
    parse_word,
    places_in,
)
from shared.config.setting import Parsed, Setting, beside, section


def parse_maildir(value: object, folder: str) -> str:
    """The path of a mailbox with `{user}` and, for several domains, `{domain}`; relative to the file's folder."""
    text = parse_text(value)
    if "user" not in places_in(text, ("domain", "user")):
        raise ValueError(f"{shown(text)} holds no {{user}}: all mail would be one mailbox")
    return os.path.join(folder, text)


def parse_lmtp(value: object, folder: str) -> str:
    """`unix:/path` or `host:port` of a mailbox server."""
    text = parse_text(value)
    if text.startswith("unix:"):
        return f"unix:{parse_path(text[5:], folder)}"
    found = re.fullmatch(r"(\[[^]]+\]|[^:]+):([0-9]{1,5})", text)
    if not found:
        raise ValueError(f"{shown(text)}: write unix:/path/of/socket, or host:port")
    host = parse_host(found[1])
    return f"[{host}]:{parse_port(int(found[2]))}" if ":" in host else f"{host}:{parse_port(int(found[2]))}"


class Over(StrEnum):
    """What happens to mail for a mailbox that has used up its quota."""

    DEFER = "defer"
    BOUNCE = "bounce"


class QuotaSettings(Setting):
    """`default` in octets for accounts that say nothing themselves, 0: no limit. `at_rcpt`: a mailbox that is over
    its quota is refused before the message is sent."""

    default: Annotated[int, Parsed(parse_quota)] = 0
    over: Annotated[Over, Parsed(parse_word(Over))] = Over.DEFER
    at_rcpt: Flag = True

    def plain(self) -> dict[str, Any]:
        return {**super().plain(), "default": self.default or "none"}


class NamesSettings(Setting):
    """`first_last`: accounts are found by the name of their owner, too."""

    first_last: Flag = False


class Local(Setting):
    """`domains` left out: the hostname. `users` and `aliases` need not exist. `srs_domain` empty: the first domain.
    `lmtp` empty: mailboxes are Maildirs."""

    domains: tuple[Name, ...] = ()
    maildir: Annotated[str, Parsed(parse_maildir, in_folder=True)] = "/var/mail/mercury/{domain}/{user}"
    users: File = beside("users.yaml")
    aliases: File = beside("aliases")
    names: NamesSettings = section()
    quota: QuotaSettings = section()
    lmtp: Annotated[str, Parsed(parse_lmtp, in_folder=True)] = ""
    srs: Flag = False
    srs_domain: Name = ""
    lists: tuple[ListSettings, ...] = ()


class CertificatePair(Setting):
    certificate: File
    key: SecretFile


class Certificates(Setting):
    """`certificate` and `key` for one name or many, `certificates` for more of them; none: TLS is not offered."""

    certificate: File | None = None
    key: SecretFile | None = None
    certificates: Several[CertificatePair] = ()

    @property
    def pairs(self) -> tuple[tuple[Path, Path], ...]:
        """Every certificate with its key; the first is shown to clients that name no server we know."""
        pairs = [(pair.certificate, pair.key) for pair in self.certificates]
        if self.certificate and self.key:
            pairs.insert(0, (self.certificate, self.key))
        return tuple(pairs)
