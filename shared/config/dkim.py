"""With which keys the mail of a site is signed (`sites.*.dkim`).

Not here: the signature (shared/dkim), who reads the keys (shared/service/signing.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

from shared.config.problem import Problem, shown
from shared.config.scalars import Flag, Hostname, SecretFile, Several, parse_text, parse_word
from shared.config.secret import fault_of_secret
from shared.config.setting import Parsed, Setting

#  RFC 6376 §3.1   selector = sub-domain *( "." sub-domain )
_SELECTOR = re.compile(r"(?:[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?\Z")


def parse_selector(value: object) -> str:
    """In lower case."""
    text = parse_text(value).lower()
    if not _SELECTOR.match(text) or len(text) > 63:
        raise ValueError(f"{shown(text)} is no selector: use letters, digits and '-', as in 'mail2026'")
    return text


class WithoutKey(StrEnum):
    """What mail does while a key cannot be used. WAIT: it is deferred. SEND: it goes without that signature."""

    WAIT = "wait"
    SEND = "send"


class DkimKey(Setting):
    """`key_file`: a private key in PEM. `domains`: signed is mail whose From is in one of them or below; left out, in
    the domains of the site."""

    selector: Annotated[str, Parsed(parse_selector)]
    key_file: SecretFile
    domains: Several[Hostname] | None = None


class Dkim(Setting):
    """Each of `keys` that fits signs, so a message can have two kinds of signature. `relay`: mail that goes by a
    smarthost is signed, too."""

    keys: Several[DkimKey]
    relay: Flag = False
    without_key: Annotated[WithoutKey, Parsed(parse_word(WithoutKey))] = WithoutKey.SEND

    @property
    def needs_domains(self) -> bool:
        """Whether one of the keys is for the domains of the site, whichever these are."""
        return any(key.domains is None for key in self.keys)


def check_dkim(dkim: Dkim, is_here: bool) -> Iterator[Problem]:
    """`is_here`: mail of this site leaves from this host, so the keys must be there."""
    taken: set[tuple[str, str]] = set()
    for key in dkim.keys:
        for domain in key.domains or ("",):
            if (key.selector, domain) in taken:
                fault = f"selector {shown(key.selector)} stands here twice: each key has a name of its own"
                yield key.origin.problem(fault, "selector")
            taken.add((key.selector, domain))
        make = "make it with `mercury dkim key`"
        if is_here and (fault := fault_of_secret(key.key_file, make)):
            yield key.origin.problem(fault, "key_file")
