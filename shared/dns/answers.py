"""What a question to the DNS can come back as: a closed union, to be matched to its last case.

Here: the four answers and the records. Not here: how they are asked for (resolver.py), what a mail sender makes of
them (mercury_e/mx.py). RFC 2308 tells NoSuchName from NoData; RFC 8767 allows an answer to be stale.
"""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeAlias, TypeVar

from shared.mail.record import dataclass

T = TypeVar("T")


class MxRecord(NamedTuple):
    """One MX record. `host` is a valid host name in lower case without the last dot, or `.` alone (RFC 7505)."""

    preference: int
    host: str


class SrvRecord(NamedTuple):
    """One SRV record (RFC 2782). `host` as in MxRecord: `.` means that there is no such service."""

    priority: int
    weight: int
    port: int
    host: str


class TlsaRecord(NamedTuple):
    """One TLSA record (RFC 6698 §2.1): how (`usage`) the server's certificate or its key (`selector`), whole or
    hashed (`matching`), has to be `data`."""

    usage: int
    selector: int
    matching: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """There are records. `values` is empty when there were some and none was fit to be used.

    `ttl` is how many seconds they were good for when they came. `authenticated`: a validating resolver on this host
    says DNSSEC proves them. `stale`: their time is over, and no server answers now; refuse no mail because of them.
    `canonical` is the name that has the records when aliases led there, else empty.
    """

    values: T
    ttl: float
    authenticated: bool = False
    stale: bool = False
    canonical: str = ""


@dataclass(frozen=True, slots=True)
class NoSuchName:
    """The name does not exist, with no type of record (NXDOMAIN)."""

    ttl: float = 0.0
    authenticated: bool = False


@dataclass(frozen=True, slots=True)
class NoData:
    """The name exists and has no record of the type asked for."""

    ttl: float = 0.0
    authenticated: bool = False
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """Nobody knows: time-out, SERVFAIL, refusal, a loop. `reason` is ours, one printable line."""

    reason: str


Answer: TypeAlias = Found[T] | NoSuchName | NoData | Trouble
