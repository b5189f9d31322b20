"""`mercury site`: what is in force at each site, and the operator's own word for a while.

An order is a line in the spool that the running daemons look at once a second, so it also counts for those that start
later. Not here: what it comes to (shared/routing/word.py), how port 25 is watched (mercury_e).
"""

from __future__ import annotations

import base64
import getpass
import hashlib
import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from shared.admin.caller import caller, owner_of
from shared.admin.command import SOME_FAILED, Office, PrefixGroup
from shared.admin.completing import complete_sites
from shared.admin.output import age, echo_json, echo_table, fail, moment
from shared.admin.smarthosts import smarthost_facts, smarthost_lines
from shared.config.model import Config
from shared.config.scalars import parse_duration
from shared.mail.reply import printable
from shared.routing.site import SiteWord
from shared.routing.word import Order, word_in_force
from shared.service.lock import lock_path, running_pid
from shared.state.audit import AuditLog
from shared.state.site_words import UnreadableWords, change_orders, read_detours, read_orders, read_port_25

WORDS = [*(word.value for word in SiteWord), "configured"]


@click.group(cls=PrefixGroup)
def site() -> None:
    """The sites: relay, direct, auto or hold, and why."""


@site.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_sites(office: Office, as_json: bool) -> None:
    """What is in force at each site."""
    facts = _facts(office.config)
    if as_json:
        for fact in facts:
            echo_json(fact)
    else:
        rows = [[fact["site"], fact["configured"], fact["delivery"], fact["why"]] for fact in facts]
        echo_table(["SITE", "CONFIGURED", "IN FORCE", "WHY"], rows)


@site.command()
@click.argument("name", required=False, shell_complete=complete_sites)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def show(office: Office, name: str | None, as_json: bool) -> None:
    """Everything about a site; without a name, about the one this host is in.

    With its smarthosts: how they are, what they take, how much of the budget is used and when it will be used up.
    """
    name = _known(office.config, name or office.config.site)
    fact, now = next(fact for fact in _facts(office.config) if fact["site"] == name), time.time()
    try:
        fact["smarthosts"] = smarthost_facts(office.config, name, now)
    except OSError as error:
        click.echo(printable(f"mercury: what is known of smarthosts cannot be read: {error}"), err=True)
        sys.exit(SOME_FAILED)
    if as_json:
        echo_json(fact)
        return
    for line in _lines(fact, now):
        click.echo(printable(line))


@site.command("set")
@click.argument("name", shell_complete=complete_sites)
@click.argument("word", type=click.Choice(WORDS))
@click.option("--for", "span", metavar="TIME", help="How long, like 2h or 1d. Without it, until further notice.")
@click.option("--reason", default="", help="Why; shown wherever the word is.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def set_word(office: Office, name: str, word: str, span: str | None, reason: str, as_json: bool) -> None:
    """Say relay, direct, auto or hold for site NAME; `configured` takes that back.

    Running daemons follow within a second or two, queued mail with them; it stays so over restarts.
    """
    name, now = _known(office.config, name), time.time()
    until = _until(span, now)
    if word in (SiteWord.RELAY, SiteWord.AUTO) and not _can_relay(office.config, name):
        raise click.UsageError(f"site {name} has nobody to relay to: name 'smarthosts' in {office.path}")
    if word == "configured" and until is not None:
        raise click.UsageError("--for goes with relay, direct, auto or hold")

    def change(orders: dict[str, Order]) -> None:
        orders.pop(name, None)
        if word != "configured":
            orders[name] = Order(SiteWord(word), now, until, reason, _who())

    try:
        _audit(office.config, f"{name} {word}" + (f" --for {span}" if span else ""), reason)
        change_orders(office.config.spool, change, now)
    except (OSError, UnreadableWords) as error:
        said = error.strerror if isinstance(error, OSError) else str(error)
        at = error.filename if isinstance(error, OSError) else None
        fail(f"{at or f'the spool {office.config.spool}'}: {said}", SOME_FAILED)
    fact = next(fact for fact in _facts(office.config) if fact["site"] == name)
    if as_json:
        echo_json(fact)
    else:
        until_text = f" until {moment(until)}" if until else ""
        click.echo(printable(f"site {name}: {fact['delivery']}{until_text}{_in_brackets(fact['why'])}"))
    _warn_of_nobody(office.config, fact["delivery"])


@site.command()
@click.argument("name", shell_complete=complete_sites)
@click.option("--for", "span", metavar="TIME", help="How long, like 2h or 1d. Without it, until it is resumed.")
@click.option("--reason", default="", help="Why; shown wherever the word is.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def pause(ctx: click.Context, name: str, span: str | None, reason: str, as_json: bool) -> None:
    """Hold the mail of site NAME to other domains; it is `set NAME hold`."""
    ctx.invoke(set_word, name=name, word=SiteWord.HOLD.value, span=span, reason=reason, as_json=as_json)


@site.command()
@click.argument("name", shell_complete=complete_sites)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def resume(ctx: click.Context, name: str, as_json: bool) -> None:
    """Have the mail of site NAME go as configured again, what was held with it; it is `set NAME configured`."""
    ctx.invoke(set_word, name=name, word="configured", span=None, reason="", as_json=as_json)


@site.command()
@click.argument("certificates", nargs=-1, metavar="[CERTIFICATE]...", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def pin(office: Office, certificates: tuple[Path, ...], as_json: bool) -> None:
    """The pins of this host's own certificates, for `overlay.pins` at the other sites.

    CERTIFICATE is a file in PEM; without one they are those that the configuration names.
    """
    paths = certificates or [path for path, _ in office.config.tls.pairs]
    if not paths:
        raise click.UsageError(f"{office.path} names no certificate below 'tls': say its file")
    for path in paths:
        try:
            pin_of = _pin_of(path)
        except (OSError, ValueError) as error:
            said = error.strerror if isinstance(error, OSError) else "it holds no certificate in PEM"
            fail(f"{path}: {said}", SOME_FAILED)
        if as_json:
            echo_json({"pin": pin_of, "certificate": str(path)})
        else:
            click.echo(f"{pin_of}  {printable(str(path))}")


def _warn_of_nobody(config: Config, delivery: str) -> None:
    """A host that was set up for one way has no daemon for the other."""
    daemon = {"relay": "mercury-c", "direct": "mercury-e"}.get(delivery)
    try:
        if daemon is None or running_pid(lock_path(config.spool, daemon)) is not None:
            return
    except OSError:
        return  #  Not ours to see.
    said = f"{daemon} does not run here, and such mail waits for it: `systemctl start {daemon}`, or for good"
    click.echo(f"{said} `mercury setup --auto`, which enables all three", err=True)


def _pin_of(path: Path) -> str:
    """The SHA-256 of the public key in base64 (RFC 7469 §2.4). Raises OSError, ValueError."""
    from cryptography import x509  # only here: it takes longer to load than all the rest
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = x509.load_pem_x509_certificate(path.read_bytes()).public_key()
    encoded = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(encoded).digest()).decode()


def _known(config: Config, name: str) -> str:
    if name in config.sites:
        return name
    raise click.UsageError(f"there is no site {name!r}; there is {', '.join(config.sites) or 'none'}")


def _can_relay(config: Config, name: str) -> bool:
    return any(config.sites[one].smarthosts for one in (name, config.site) if one in config.sites)


def _until(span: str | None, now: float) -> float | None:
    if span is None:
        return None
    try:
        return now + parse_duration(span)
    except ValueError as error:
        raise click.UsageError(f"--for: {error}") from None


def _audit(config: Config, what: str, reason: str) -> None:
    """On disk before the word counts; a word that is taken back leaves no other trace. Raises OSError."""
    log = AuditLog(config.state, time.time, owner_of(config.spool))
    try:
        log.begin(caller(), "site set", what, reason)
    finally:
        log.close()


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _facts(config: Config) -> list[dict[str, Any]]:
    """What there is to know of each site, for programs."""
    now = time.time()
    try:
        orders, detours = read_orders(config.spool, now), read_detours(config.spool)
        port_25 = read_port_25(config.spool)
    except (OSError, UnreadableWords) as error:
        said = f"{config.spool}: {error.strerror}" if isinstance(error, OSError) else str(error)
        click.echo(printable(f"mercury: what is in force now cannot be read: {said}"), err=True)
        sys.exit(SOME_FAILED)
    facts = []
    for name, settings in config.sites.items():
        order = orders.get(name)
        word = word_in_force(settings.delivery, order, detours.get(name))
        fact: dict[str, Any] = {
            "site": name,
            "configured": settings.delivery.value,
            "delivery": word.delivery.value,
            "why": word.why,
            "order": None,
            "port_25": None,
            "smarthosts": [f"{hop.host}:{hop.port}" if hop.port else hop.host for hop in settings.smarthosts],
        }
        if order is not None:
            fact["order"] = {
                "word": order.word.value,
                "since": order.since,
                "until": order.until,
                "reason": order.reason,
                "by": order.by,
            }
        if (order.word if order else settings.delivery) is SiteWord.AUTO and port_25:
            fact["port_25"] = {
                "at": port_25.get("at"),
                "host": port_25.get("node"),
                "knocks": port_25.get("knocks", []),
                "circuit": port_25.get("sites", {}).get(name),
            }
        facts.append(fact)
    return facts


def _lines(fact: dict[str, Any], now: float) -> list[str]:
    lines = [
        f"site        {fact['site']}",
        f"in force    {fact['delivery']}{_in_brackets(fact['why'])}",
        f"configured  {fact['configured']}",
    ]
    if (order := fact["order"]) is not None:
        end = f"until {moment(order['until'])}" if order["until"] else "until further notice"
        reason = f", because: {order['reason']}" if order["reason"] else ""
        lines.append(f"by hand     {order['word']} by {order['by']} at {moment(order['since'])}, {end}{reason}")
    lines += smarthost_lines(fact["smarthosts"], now)
    if (port_25 := fact["port_25"]) is not None:
        lines += _port_25_lines(port_25, now)
    return lines


def _port_25_lines(port_25: dict[str, Any], now: float) -> list[str]:
    circuit, lines = port_25["circuit"], []
    if circuit is not None:
        way = "relays" if circuit["is_relaying"] else "direct"
        since = f" since {moment(circuit['since'])}" if circuit["since"] else ""
        doubt = f"; rounds in a row: {circuit['bad']} bad, {circuit['good']} good"
        lines.append(f"auto        {way}{since}{doubt}")
    if port_25["at"]:
        lines.append(f"port 25     knocked {age(now - port_25['at'])} ago from {port_25['host']}")
    for knock in port_25["knocks"]:
        detail = f": {knock['detail']}" if knock["detail"] else ""
        lines.append(f"  {knock['host']}  {knock['finding']}{detail}")
    return lines


def _in_brackets(why: str) -> str:
    return f" ({why})" if why else ""
