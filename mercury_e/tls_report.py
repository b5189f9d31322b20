"""TLS reports (RFC 8460): what is counted on a day, and how it is told to the domain it is about. Pure.

A hand-over of a message counts as a session: connections are shared by messages and by domains. Not here: where the
counts come from and who gets them (report_desk.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mercury_e.mta_sts import Mode, Policy
from shared.routing.next_hop import NextHop
from shared.smtp.client_events import Ended, Finished
from shared.smtp.judge import End

MOST_DOMAINS = 10_000
MOST_FAILURES = 100  #  kinds of them, for one policy of one domain
MOST_LINES = 100  #  of a policy, that are shown
MOST_ADDRESSES = 4  #  of those that a domain wants its reports at


@dataclass(slots=True)
class Count:
    """`failures`: result type, host and address (empty where none was dialled) and words → how often. `policy` is as
    the report shows it."""

    policy: dict[str, Any]
    successes: int = 0
    failures: dict[tuple[str, str, str, str], int] = field(default_factory=dict)

    def add(self, failure: tuple[str, str, str, str] | None) -> None:
        if failure is None:
            self.successes += 1
        elif failure in self.failures or len(self.failures) < MOST_FAILURES:
            self.failures[failure] = self.failures.get(failure, 0) + 1


@dataclass(slots=True)
class DayBook:
    """`day` is a date of UTC, 2026-11-23."""

    day: str
    domains: dict[str, dict[str, Count]] = field(default_factory=dict)

    def note(self, domain: str, policy: dict[str, Any], failure: tuple[str, str, str, str] | None) -> None:
        if domain not in self.domains and len(self.domains) >= MOST_DOMAINS:
            return
        key = json.dumps(policy)
        self.domains.setdefault(domain, {}).setdefault(key, Count(policy)).add(failure)

    def as_text(self) -> str:
        domains = {
            name: [[count.policy, count.successes, [[*what, often] for what, often in count.failures.items()]]
                   for count in counts.values()]
            for name, counts in self.domains.items()
        }  # fmt: skip
        return json.dumps({"day": self.day, "domains": domains})

    @classmethod
    def from_text(cls, text: str) -> DayBook:
        """Raises ValueError, KeyError or TypeError when it is none."""
        kept = json.loads(text)
        book = cls(str(kept["day"]))
        for name, counts in kept["domains"].items():
            for policy, successes, failures in counts:
                failed = {(kind, host, address, why): int(often) for kind, host, address, why, often in failures}
                book.domains.setdefault(name, {})[json.dumps(policy)] = Count(policy, int(successes), failed)
        return book


def shown_policy(domain: str, hop: NextHop, policy: Policy | None, text: str = "") -> dict[str, Any]:
    """The policy that a session was held to (RFC 8460 §4.2); `text` is the file of the MTA-STS policy."""
    if hop.trust.associations:
        records = [
            f"{usage} {selector} {kind} {data.hex()}" for usage, selector, kind, data in hop.trust.associations
        ]
        return {"policy-type": "tlsa", "policy-string": records, "policy-domain": hop.certified_name or hop.host}
    if hop.trust.unusable:
        return {"policy-type": "tlsa", "policy-string": [], "policy-domain": hop.trust.unusable}
    if policy is not None and policy.mode is not Mode.NONE:
        return {
            "policy-type": "sts",
            "policy-string": text.splitlines()[:MOST_LINES],
            "policy-domain": domain,
            "mx-host": list(policy.hosts[:MOST_LINES]),
        }
    return {"policy-type": "no-policy-found", "policy-domain": domain}


def failure_of(ended: Ended) -> tuple[str, str] | None:
    """The result type (§4.3) of a connection that came to nothing, and its words; None when TLS was not the
    reason."""
    if ended.end is End.NO_TLS:
        return "starttls-not-supported", ""
    return (_kind(ended.detail), ended.detail[:200]) if ended.end is End.TLS else None


def failure_in(finished: Finished, is_held: bool) -> tuple[str, str] | None:
    """The same of one that mail went over. `is_held`: a policy in testing would have wanted a verified server."""
    if finished.security is None:
        words = next((outcome.detail for outcome in finished.outcomes.values()), "")
        if words.startswith("in clear: TLS failed"):
            return _kind(words), words[:200]
        return "starttls-not-supported", ""
    doubt = finished.security.doubt
    return (_kind(doubt), doubt[:200]) if is_held and doubt else None


#  What OpenSSL says of authorities that nobody here believes, and what shared/tls/dane.py says.
_NOT_TRUSTED = ("self-signed", "self signed", "unable to get", "unable to verify", "does not lead to the authority")


def _kind(words: str) -> str:
    if "expired" in words:
        return "certificate-expired"
    if "does not name" in words:
        return "certificate-host-mismatch"
    if any(part in words for part in _NOT_TRUSTED):
        return "certificate-not-trusted"
    return "validation-failure"


def read_addresses(records: Iterable[str]) -> tuple[str, ...]:
    """Where the TXT records of `_smtp._tls.domain` want reports: `mailto:` and `https:` addresses (§3)."""
    ours = [record for record in records if record.replace(" ", "").startswith("v=TLSRPTv1;")]
    if len(ours) != 1:
        return ()
    for part in ours[0].split(";")[1:]:
        key, _, value = part.strip().partition("=")
        if key.strip() == "rua":
            wanted = (address.strip() for address in value.split(","))
            known = [address for address in wanted if address.lower().startswith(("mailto:", "https://"))]
            return tuple(address for address in known if address.isascii() and address.isprintable())[:MOST_ADDRESSES]
    return ()


def render_report(day: str, counts: Mapping[str, Count], sender: str, contact: str, id: str) -> bytes:
    """The report about one domain (§4.4), as JSON."""
    policies = []
    for count in counts.values():
        told: dict[str, Any] = {
            "policy": count.policy,
            "summary": {
                "total-successful-session-count": count.successes,
                "total-failure-session-count": sum(count.failures.values()),
            },
        }
        if count.failures:
            told["failure-details"] = [_told(what, often) for what, often in count.failures.items()]
        policies.append(told)
    report = {
        "organization-name": sender,
        "date-range": {"start-datetime": f"{day}T00:00:00Z", "end-datetime": f"{day}T23:59:59Z"},
        "contact-info": contact,
        "report-id": id,
        "policies": policies,
    }
    return json.dumps(report, indent=1).encode("ascii")


def _told(what: tuple[str, str, str, str], often: int) -> dict[str, Any]:
    kind, host, address, words = what
    told: dict[str, Any] = {"result-type": kind, "failed-session-count": often}
    if host:
        told["receiving-mx-hostname"] = host
    if address:
        told["receiving-ip"] = address
    if words:
        told["failure-reason-code"] = words
    return told
