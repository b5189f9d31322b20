"""DANE for SMTP (RFC 7672): which names a mail host's TLSA records may stand at, and which records count. Pure.

Not here: the questions (demand.py), the look at the certificate (shared/tls/dane.py). The first rule is that nothing
counts that DNSSEC has not proved; the second, that a failed look-up is not an answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.dns.answers import Answer, Found, NoData, TlsaRecord, Trouble
from shared.mail.record import dataclass

TRUST_ANCHOR, END_ENTITY = 2, 3
#  RFC 6698 §2.1.3: the digests and their octets; 0 is the thing itself.
_SIZES = {1: 32, 2: 64}


@dataclass(frozen=True, slots=True)
class Dane:
    """The server is to be proved by `records`, under the name `base`. Without records: all were unusable, and TLS is
    demanded of whoever answers (RFC 7672 §2.2)."""

    base: str
    records: tuple[TlsaRecord, ...]

    @property
    def is_by_name(self) -> bool:
        """Whether the names in the certificate count."""
        return any(record.usage == TRUST_ANCHOR for record in self.records)


def has_insecure_alias(addresses: Answer[tuple[str, ...]]) -> bool:
    """Whether `addresses` came by an alias that may be proved although they are not (RFC 7672 §2.2.2)."""
    return isinstance(addresses, Found) and bool(addresses.canonical) and not addresses.authenticated


def base_names(
    host: str, addresses: Answer[tuple[str, ...]], alias: Answer[tuple[str, ...]] | None
) -> tuple[str, ...]:
    """Where TLSA records of `host` are looked for, in order; none when DNSSEC does not protect it.

    `alias` is what was asked because of has_insecure_alias.
    """
    if not isinstance(addresses, Found):
        return ()
    if addresses.authenticated:
        return tuple(dict.fromkeys((addresses.canonical or host, host)))
    return (host,) if isinstance(alias, Found) and alias.authenticated else ()


def read_tlsa(base: str, answer: Answer[tuple[TlsaRecord, ...]]) -> Dane | Trouble | None:
    """What the records at `base` demand. None: there are none, or nothing proves them."""
    match answer:
        case Trouble():
            return answer
        case NoData(stale=True):
            #  There were none when somebody last answered. That is no proof that there are none now.
            return Trouble("only an old answer is known")
        case Found(authenticated=True):
            return Dane(base, usable(answer.values))
        case _:
            return None


def usable(records: Sequence[TlsaRecord]) -> tuple[TlsaRecord, ...]:
    """Those that we can hold a server to, without the weaker digests where there is a stronger (RFC 7671 §9)."""
    known = [record for record in records if _is_usable(record)]
    strong = {(record.usage, record.selector) for record in known if record.matching == 2}
    return tuple(record for record in known if record.matching != 1 or (record.usage, record.selector) not in strong)


def _is_usable(record: TlsaRecord) -> bool:
    #  RFC 7672 §3.1.3: usages 0 and 1 ask for authorities that mail has never agreed upon.
    if record.usage not in (TRUST_ANCHOR, END_ENTITY) or record.selector not in (0, 1) or not record.data:
        return False
    return record.matching == 0 or _SIZES.get(record.matching) == len(record.data)
