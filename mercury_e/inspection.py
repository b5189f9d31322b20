"""What MercuryE would meet at a destination: MX, addresses, MTA-STS, DANE, TLS, certificate, extensions, and RCPT.

`python -m mercury_e.inspection --config FILE DOMAIN|HOST` tells it as JSON lines; `mercury probe` and `mercury route`
start it. The way is planned and dialled by what the daemon uses (route.py, shared/transport), so what is told is what
mail would meet. No message is sent: after RCPT comes QUIT.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mercury_e.interfaces import own_addresses
from mercury_e.policies import Policies
from mercury_e.policy_page import PolicyPages
from mercury_e.reach import Reach
from mercury_e.route import EndToEndPlanner
from shared.config.load import ConfigErrors, load
from shared.config.model import Config
from shared.config.scalars import is_ip
from shared.dns.answers import Found
from shared.dns.resolver import Resolver
from shared.mail.address import Address, AddressError, parse_address
from shared.mail.envelope import Envelope, Recipient
from shared.routing.leg import Leg
from shared.routing.next_hop import NextHop, Tls
from shared.service.once import run_once
from shared.service.site_words import table_in_force
from shared.tls.client import ClientTls, TrustUnusable
from shared.transport.connection import SmtpConnection
from shared.transport.dial import MOST_ADDRESSES, Dialer, Unreached

EXIT_DONE, EXIT_FAILED, EXIT_CONFIG = 0, 1, 2
_ANSWER_SECONDS = 60.0

Tell = Callable[[Mapping[str, Any]], None]


class Inspection:
    """`tell` is given each finding, one flat object, as soon as it is known."""

    def __init__(self, config: Config, reactor: Any, folder: Path, tell: Tell) -> None:
        self._config = config
        self._tell = tell
        self._resolver = Resolver(config.dns.servers, config.dns.timeout, is_trusted=config.dns.trust_ad)
        direct, own = config.direct, own_addresses(config.preflight.addresses)
        tls = ClientTls(direct.authorities)
        pages = PolicyPages(reactor, tls, direct.mta_sts_port)
        order = Reach(own, direct.allow_addresses).order_foreign
        #  What is learned here is forgotten: the daemon's policies are the daemon's.
        self._policies = Policies(folder, self._resolver, pages.fetch, order, time.time) if direct.mta_sts else None
        self._planner = EndToEndPlanner(
            self._resolver,
            table_in_force(config),
            port=direct.port,
            allowed=direct.allow_addresses,
            own_addresses=own,
            dane=direct.dane,
            policies=self._policies,
        )
        self._dialer = Dialer(
            reactor=reactor,
            helo=config.hostname,
            resolver=self._resolver,
            tls=tls,
            read_secret=_no_secret,
            make_nonce=lambda: secrets.token_urlsafe(18),
        )

    async def of_domain(self, address: Address, connects: bool, asks: bool) -> bool:
        """The way of mail for `address`; `asks`: whether it is taken there. True when a host would take mail."""
        begun = time.monotonic()
        await self._tell_dns(address.ascii_domain)
        recipient = Recipient(address)
        plan = await self._planner.plan(Envelope("PROBE", None, (recipient,), time.time()), [recipient])
        for outcome in plan.settled.values():
            self._tell({"step": "route", "outcome": type(outcome).__name__.lower(), "reason": str(outcome.reply)})
        for leg in plan.legs:
            self._tell_leg(leg, time.monotonic() - begun)
        hops = [hop for leg in plan.legs for hop in leg.hops]
        if not connects:
            return bool(hops)
        return await self._visit(hops, str(address) if asks else "")

    async def of_host(self, host: str, port: int, rcpt: str) -> bool:
        """One host by its name or address, as by a route that demands nothing of TLS."""
        hop = NextHop(host, port, Tls.OPPORTUNISTIC, implicit_tls=port == 465)
        if not is_ip(host):
            found = await self._resolver.addresses(host)
            if not isinstance(found, Found):
                self._tell({"step": "route", "outcome": "deferred", "reason": f"{host} has no address: {found}"})
                return False
            hop = replace(hop, addresses=found.values)
        return await self._visit([hop], rcpt)

    async def _tell_dns(self, domain: str) -> None:
        answer = await self._resolver.mx(domain)
        if isinstance(answer, Found):
            hosts = [f"{record.preference} {record.host}" for record in sorted(answer.values)]
            self._tell({"step": "mx", "domain": domain, "hosts": hosts, "dnssec": answer.authenticated})
        else:
            self._tell({"step": "mx", "domain": domain, "hosts": [], "answer": type(answer).__name__})
        policy = await self._policies.policy(domain) if self._policies is not None else None
        if policy is not None:
            said = {"mode": policy.mode.value, "hosts": list(policy.hosts), "max_age": policy.max_age}
            self._tell({"step": "mta-sts", **said})
        elif self._policies is not None:
            self._tell({"step": "mta-sts", "mode": None})

    def _tell_leg(self, leg: Leg, seconds: float) -> None:
        self._tell({"step": "route", "outcome": "goes", "reason": leg.reason, "seconds": round(seconds, 3)})
        for hop in leg.hops:
            fact = {"step": "host", "host": hop.host, "port": hop.port, "addresses": list(hop.addresses)}
            self._tell({**fact, "tls": hop.tls.value, "tlsa": len(hop.trust.associations)})

    async def _visit(self, hops: list[NextHop], rcpt: str) -> bool:
        """Every address of every host, in their order."""
        is_taken = False
        for hop in hops:
            for address in hop.addresses[:MOST_ADDRESSES] or (hop.host,):
                is_taken |= await self._knock(replace(hop, addresses=(address,)), rcpt)
        return is_taken

    async def _knock(self, hop: NextHop, rcpt: str) -> bool:
        begun = time.monotonic()
        fact: dict[str, Any] = {"step": "visit", "host": hop.host, "address": hop.addresses[0], "port": hop.port}
        result = await self._dialer.dial(hop)
        fact["seconds"] = round(time.monotonic() - begun, 3)
        if isinstance(result, Unreached):
            ended = result.ended
            why = " ".join(filter(None, (ended.detail, str(ended.reply) if ended.reply else "")))
            self._tell({**fact, "ready": False, "failed": ended.end.value, "reason": why})
            return False
        offer, security = result.offer, result.security
        fact |= {"ready": True, "tls": str(security) if security else None, "size": offer.size or None}
        self._tell({**fact, "extensions": sorted(offer.keywords), **_certificate(result)})
        return await self._ask(result, fact["address"], rcpt) if rcpt else _leave(result)

    async def _ask(self, connection: SmtpConnection, address: str, rcpt: str) -> bool:
        """Up to RCPT. The conversation is over for us: its next answers are read here."""
        answers = _Answers(connection)
        is_taken = True
        for command in ("MAIL FROM:<>", f"RCPT TO:<{rcpt}>"):
            begun = time.monotonic()
            reply = await answers.ask(command)
            seconds = round(time.monotonic() - begun, 3)
            self._tell({"step": "reply", "address": address, "command": command, "reply": reply, "seconds": seconds})
            is_taken = reply.startswith("2")
            if not is_taken:
                break
        await answers.ask("QUIT")
        connection.abort("asked enough")
        return is_taken


class _Answers:
    """The replies on a connection that is ready for a message, line by line."""

    def __init__(self, connection: SmtpConnection) -> None:
        self._transport: Any = connection.transport
        self._heard = b""
        self._news = asyncio.Event()
        #  From here on Twisted gives us what it would give to the conversation.
        setattr(connection, "dataReceived", self._receive)  # noqa: B010 - mypy would not have it

    def _receive(self, data: bytes) -> None:
        self._heard = (self._heard + data)[-65536:]
        self._news.set()

    async def ask(self, command: str) -> str:
        """The reply on one line; empty when none comes."""
        self._heard = b""
        self._transport.write(command.encode("utf-8") + b"\r\n")
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                while not _is_whole(self._heard):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return ""
        return " ".join(self._heard.decode("utf-8", "replace").split())


def _is_whole(heard: bytes) -> bool:
    lines = heard.split(b"\r\n")
    return len(lines) > 1 and lines[-2][3:4] != b"-"


def _leave(connection: SmtpConnection) -> bool:
    connection.quit()
    return True


def _certificate(connection: SmtpConnection) -> dict[str, Any]:
    transport: Any = connection.transport
    get = getattr(transport.getHandle(), "get_peer_certificate", None)
    certificate = get(as_cryptography=True) if get else None
    if certificate is None:
        return {"certificate": None}
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        known = [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
    except (x509.ExtensionNotFound, ValueError):
        known = []
    left = certificate.not_valid_after_utc.timestamp() - time.time()
    return {
        "certificate": {
            "names": known,
            "subject": certificate.subject.rfc4514_string(),
            "issuer": certificate.issuer.rfc4514_string(),
            "expires": round(certificate.not_valid_after_utc.timestamp()),
            "days": int(left // 86400),
        }
    }


def _no_secret(path: str) -> str:
    raise ValueError("nobody logs in to be told something")


def _tell(fact: Mapping[str, Any]) -> None:
    print(json.dumps(fact), flush=True)


async def inspect(config: Config, reactor: Any, given: argparse.Namespace) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        inspection = Inspection(config, reactor, Path(folder), _tell)
        host, _, port = given.target.rpartition(":") if given.host else ("", "", "")
        if given.host:
            if not host or not port.isdecimal():
                host, port = given.target, str(config.direct.port)
            rcpt = str(parse_address(given.rcpt)) if given.rcpt else ""
            return await inspection.of_host(host.strip("[]"), int(port), rcpt)
        text = given.rcpt or f"postmaster@{given.target}"
        return await inspection.of_domain(parse_address(text), not given.dns_only, bool(given.rcpt))


def main() -> int:
    parser = argparse.ArgumentParser(prog="mercury-e inspection", description="What mail for DOMAIN would meet.")
    parser.add_argument("--config", required=True, type=Path)
    parser.add_argument("--host", action="store_true", help="the target is a host, with or without :port")
    parser.add_argument("--dns-only", action="store_true", help="connect to nobody")
    parser.add_argument("--rcpt", default="", help="ask whether this address is taken")
    parser.add_argument("target")
    given = parser.parse_args()
    try:
        config = load(given.config)
        return EXIT_DONE if run_once(lambda reactor: inspect(config, reactor, given)) else EXIT_FAILED
    except ConfigErrors as errors:
        print("\n".join(map(str, errors.problems)), file=sys.stderr)
        return EXIT_CONFIG
    except (OSError, ValueError, AddressError, TrustUnusable) as error:
        print(f"mercury: {error}", file=sys.stderr)
        return EXIT_CONFIG


if __name__ == "__main__":
    sys.exit(main())
