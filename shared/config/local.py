"""Mail that stays here (`local:`) and the certificates our listeners show (`tls:`)."""

from __future__ import annotations

import os
import string
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, ValidationInfo

from shared.config.problem import shown
from shared.config.scalars import File, Name, Several, parse_text
from shared.config.setting import Setting, beside

PLACES = {"domain", "user"}


def parse_maildir(value: object, info: ValidationInfo) -> str:
    """The path of a mailbox with `{user}` and, for several domains, `{domain}`; relative to the file's folder."""
    text = parse_text(value)
    try:
        braces = [part[1:] for part in string.Formatter().parse(text) if part[1] is not None]
    except ValueError:
        raise ValueError(f"{shown(text)}: a brace that does not close")
    if any(name not in PLACES or form or bang for name, form, bang in braces):
        raise ValueError(f"{shown(text)}: only {{domain}} and {{user}} can stand in braces")
    if not any(name == "user" for name, *_ in braces):
        raise ValueError(f"{shown(text)} holds no {{user}}: all mail would be one mailbox")
    return os.path.join((info.context or {}).get("folder", ""), text)


class Local(Setting):
    """`domains` left out: the hostname. `users` and `aliases` need not exist."""

    domains: tuple[Name, ...] = ()
    maildir: Annotated[str, BeforeValidator(parse_maildir)] = "/var/mail/mercury/{domain}/{user}"
    users: File = beside("users.yaml")
    aliases: File = beside("aliases")


class CertificatePair(Setting):
    certificate: File
    key: File


class Certificates(Setting):
    """`certificate` and `key` for one name or many, `certificates` for more of them; none: TLS is not offered."""

    certificate: File | None = None
    key: File | None = None
    certificates: Several[CertificatePair] = ()

    @property
    def pairs(self) -> tuple[tuple[Path, Path], ...]:
        """Every certificate with its key; the first is shown to clients that name no server we know."""
        pairs = [(pair.certificate, pair.key) for pair in self.certificates]
        if self.certificate and self.key:
            pairs.insert(0, (self.certificate, self.key))
        return tuple(pairs)
