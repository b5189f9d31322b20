"""MTA-STS (RFC 8461): what a domain's TXT record and its policy say, and which hosts the policy allows. Pure.

Not here: how a policy is fetched (policy_page.py), for how long it is known (policies.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum

from shared.mail.record import dataclass

LONGEST_POLICY = 65536  #  octets, RFC 8461 §3.3
LONGEST_AGE = 31_557_600  #  seconds, §3.2
MOST_HOSTS = 1000
#  §3.1   sts-id = 1*32(ALPHA / DIGIT)
_ID = re.compile(r"[A-Za-z0-9]{1,32}\Z")
_AGE = re.compile(r"[0-9]{1,10}\Z")
_HOST = re.compile(r"(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")


class Mode(StrEnum):
    """ENFORCE: no mail to a host that is not as it should be. TESTING: mail goes, and reports tell. NONE: no
    policy."""

    ENFORCE = "enforce"
    TESTING = "testing"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Policy:
    """`hosts` are names or `*.name`, in lower case. `max_age` in seconds."""

    mode: Mode
    hosts: tuple[str, ...]
    max_age: int

    def allows(self, host: str) -> bool:
        """Whether `host` is one of the hosts of the policy; a star stands for one label (§4.1)."""
        return host in self.hosts or f"*.{host.partition('.')[2]}" in self.hosts


class PolicyError(ValueError):
    """The text is no policy; the message says in what way."""


def read_id(records: Iterable[str]) -> str:
    """The id in the TXT records of `_mta-sts.domain`; empty when there is no policy (§3.1)."""
    #  Others may stand there; with two that begin like this there is none.
    ours = [record for record in records if re.match(r"v=STSv1[ \t]*(;|\Z)", record)]
    if len(ours) != 1:
        return ""
    for field in ours[0].split(";")[1:]:
        key, _, value = field.partition("=")
        if key.strip() == "id":
            return value.strip() if _ID.match(value.strip()) else ""
    return ""


def parse_policy(text: bytes) -> Policy:
    """The policy in the file (§3.2). Raises PolicyError."""
    try:
        lines = text.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise PolicyError("it is not UTF-8") from None
    fields: dict[str, list[str]] = {}
    for line in lines:
        key, colon, value = line.partition(":")
        if line.strip() and not colon:
            raise PolicyError("it has a line without a colon")
        fields.setdefault(key.strip(), []).append(value.strip())
    if fields.get("version", [""])[0] != "STSv1":
        raise PolicyError("its version is not STSv1")
    try:
        mode = Mode(fields.get("mode", [""])[0])
    except ValueError:
        raise PolicyError("its mode is not enforce, testing or none") from None
    age = fields.get("max_age", [""])[0]
    if not _AGE.match(age):
        raise PolicyError("its max_age is not a number of seconds")
    hosts = tuple(host.lower().rstrip(".") for host in fields.get("mx", []))[:MOST_HOSTS]
    if not all(map(_HOST.match, hosts)):
        raise PolicyError("one of its mx is not the name of a host")
    if not hosts and mode is not Mode.NONE:
        raise PolicyError("it names no mx")
    return Policy(mode, hosts, min(int(age), LONGEST_AGE))
