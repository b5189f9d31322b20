"""What goes wrong before a host is dialled, as TLS reports tell it (RFC 8460 §4.3): a host that is left out, a policy
that cannot be had.

Not here: who is left out (demand.py), how policies come (policies.py), the counting (report_desk.py).
"""

from __future__ import annotations

from typing import Any

from mercury_e.dane import Dane
from mercury_e.demand import Demand, Finding
from mercury_e.mta_sts import PolicyError
from mercury_e.policies import Known
from mercury_e.policy_page import PageUnusable
from mercury_e.tls_report import MOST_LINES
from shared.dns.answers import Trouble
from shared.routing.next_hop import Tls


def sts_policy(domain: str, known: Known | None) -> dict[str, Any]:
    """An MTA-STS policy as the report shows it; one that nobody has seen is empty."""
    shown: dict[str, Any] = {"policy-type": "sts", "policy-string": [], "policy-domain": domain}
    if known is not None:
        shown["policy-string"] = known.text.splitlines()[:MOST_LINES]
        shown["mx-host"] = list(known.policy.hosts[:MOST_LINES])
    return shown


def policy_of_host(domain: str, host: str, demand: Demand, finding: Finding, known: Known | None) -> dict[str, Any]:
    """The policy by which a host was left out (demand.decide_hop). The TLSA records are none that anybody can use."""
    if finding is None and demand.tls is not Tls.DANE:
        return sts_policy(domain, known)
    base = finding.base if isinstance(finding, Dane) else host
    return {"policy-type": "tlsa", "policy-string": [], "policy-domain": base}


def failure_of_host(demand: Demand, finding: Finding) -> str:
    """The result type of such a host (§4.3.2.1, §4.3.3)."""
    if isinstance(finding, Trouble):
        return "dnssec-invalid"
    if demand.tls is Tls.DANE:
        return "dane-required" if finding is None else "tlsa-invalid"
    return "validation-failure"  #  the MTA-STS policy does not name it


def failure_of_fetch(error: PageUnusable | PolicyError) -> str:
    """The result type of an MTA-STS policy that could not be had (§4.3.2.2)."""
    if isinstance(error, PolicyError):
        return "sts-policy-invalid"
    return "sts-webpki-invalid" if error.is_forged else "sts-policy-fetch-error"
