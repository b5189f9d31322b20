"""Green, amber or red: what each finding about this host means for mail that it sends itself, and what to do. Pure.

Here: the verdicts. Not here: where findings come from (preflight.py), how they are shown (shared/admin/doctor.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from shared.dns.answers import Answer, Found, Trouble
from shared.mail.record import dataclass
from shared.vantage.dkim_key import Key
from shared.vantage.knock import Finding, Knock
from shared.vantage.spf import Result, Spf


class Light(StrEnum):
    """GREEN: as it should be. AMBER: it can be better, or nobody knows. RED: mail will be refused."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


@dataclass(frozen=True, slots=True)
class Check:
    """`about` is an address, a domain or a list; `says` what was found; `to_do` is empty when there is nothing."""

    light: Light
    name: str
    about: str
    says: str
    to_do: str = ""


def worst(checks: Iterable[Check]) -> Light:
    lights = [check.light for check in checks]
    return next((light for light in (Light.RED, Light.AMBER) if light in lights), Light.GREEN)


def judge_name(address: str, hostname: str, pointers: Answer[tuple[str, ...]], confirmed: Sequence[str]) -> Check:
    """PTR = EHLO name, and the name leads back. `confirmed`: the names that do."""
    if isinstance(pointers, Trouble):
        return _unknown("ptr", address, pointers.reason)
    names = pointers.values if isinstance(pointers, Found) else ()
    shown = ", ".join(names)
    ask = f"ask who gave you the address to name it {hostname} (PTR)"
    if not names:
        return Check(Light.RED, "ptr", address, "the address has no name (PTR)", ask)
    if hostname in confirmed:
        return Check(Light.GREEN, "ptr", address, f"{hostname}, which leads back to it")
    if hostname in names:
        do = f"publish the address of {hostname}: {'AAAA' if ':' in address else 'A'} {address}"
        return Check(Light.RED, "ptr", address, f"{hostname}, which does not lead back to it", do)
    if confirmed:
        do = f"set hostname to {confirmed[0]} in the configuration, or {ask}"
        return Check(Light.AMBER, "ptr", address, f"its name is {shown}, and we say EHLO {hostname}", do)
    return Check(Light.RED, "ptr", address, f"its name is {shown}, which does not lead back to it", ask)


def judge_spf(domain: str, address: str, spf: Spf) -> Check:
    about, network = f"{domain} from {address}", f"ip{6 if ':' in address else 4}:{address}"
    add = f"add {network} to the SPF record of {domain}"
    match spf.result:
        case Result.PASS:
            return Check(Light.GREEN, "spf", about, f"pass: {spf.why}")
        case Result.NONE:
            do = f'publish the TXT record {domain} "v=spf1 {network} -all", with all else that sends for it'
            return Check(Light.AMBER, "spf", about, spf.why, do)
        case Result.FAIL:
            return Check(Light.RED, "spf", about, f"fail: {spf.why}", add)
        case Result.SOFTFAIL | Result.NEUTRAL:
            return Check(Light.AMBER, "spf", about, f"{spf.result}: {spf.why}", add)
        case Result.TEMPERROR:
            return _unknown("spf", about, spf.why)
        case Result.PERMERROR:
            return Check(
                Light.RED, "spf", about, f"the record is wrong: {spf.why}", f"correct the record of {domain}"
            )


def judge_dkim(name: str, answer: Answer[tuple[str, ...]], keys: Sequence[Key], ours: str = "") -> Check:
    """`name`: selector._domainkey.domain. `keys`: what its TXT records hold. `ours`: the public key of the one that
    we sign with; empty when somebody else signs."""
    if isinstance(answer, Trouble):
        return _unknown("dkim", name, answer.reason)
    publish = "publish the key that signs; the program that signs shows the record"
    if ours:
        publish = "publish what `mercury dkim record` prints"
    if not isinstance(answer, Found) or not keys:
        return Check(Light.RED, "dkim", name, "no key is published", publish)
    if len(keys) > 1:
        return Check(Light.RED, "dkim", name, f"{len(keys)} records, of which none counts", "leave one of them")
    key = keys[0]
    if key.fault:
        return Check(Light.RED, "dkim", name, key.fault, publish)
    if ours and key.public != ours:
        return Check(Light.RED, "dkim", name, "another key is published than the one that signs here", publish)
    if key.kind == "rsa" and key.bits < 1024:
        return Check(Light.RED, "dkim", name, f"RSA with {key.bits} bits, which nobody believes", "use 2048 bits")
    if key.kind == "rsa" and key.bits < 2048:
        return Check(Light.AMBER, "dkim", name, f"RSA with {key.bits} bits", "use 2048 bits")
    if key.is_testing:
        return Check(Light.AMBER, "dkim", name, "marked as being tested (t=y)", "take t=y away when signing works")
    return Check(Light.GREEN, "dkim", name, f"{key.kind} with {key.bits} bits")


def judge_listing(
    address: str, zone: str, answer: Answer[tuple[str, ...]], texts: Sequence[str], is_alive: bool
) -> Check:
    """`is_alive`: the list has its test entry (RFC 5782 §5); without it, its silence says nothing."""
    about = f"{address} in {zone}"
    if isinstance(answer, Trouble):
        return _unknown("blocklist", about, answer.reason)
    codes = answer.values if isinstance(answer, Found) else ()
    listed = [code for code in codes if code.startswith("127.") and not code.startswith("127.255.255.")]
    if listed:
        why = f": {texts[0]}" if texts else ""
        do = f"read there why, end the cause, and ask {zone} to take it off"
        return Check(Light.RED, "blocklist", about, f"listed ({', '.join(listed)}){why}", do)
    if codes or not is_alive:
        do = "use a resolver of your own (dns.servers), or take the list out of preflight.blocklists"
        return Check(Light.AMBER, "blocklist", about, "the list does not answer us", do)
    return Check(Light.GREEN, "blocklist", about, "not listed")


def judge_port(port: int, knocks: Sequence[Knock]) -> Check:
    about = f"port {port}"
    said = "; ".join(f"{knock.host} {knock.finding}" for knock in knocks)
    if any(knock.finding is Finding.ANSWERS for knock in knocks):
        return Check(Light.GREEN, "port", about, f"open: {said}")
    if all(knock.finding is Finding.NO_ADDRESS for knock in knocks):
        return Check(
            Light.AMBER, "port", about, f"nobody could be asked: {said}", "look at dns.servers and auto.hosts"
        )
    do = f"ask the Internet provider to open port {port}, or relay: delivery relay or auto, with a smarthost"
    return Check(Light.RED, "port", about, f"no mail host answers: {said}", do)


def no_address(said: str) -> Check:
    do = "say which it is: --address, or preflight.addresses; or name a page that tells it in preflight.echo"
    return Check(Light.AMBER, "address", "this host", said, do)


def _unknown(name: str, about: str, reason: str) -> Check:
    do = "look at the name servers (dns.servers), and ask again"
    return Check(Light.AMBER, name, about, f"the name servers gave no answer: {reason}", do)
