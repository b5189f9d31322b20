"""Is everything well, and if not, what to do: what `mercury status` says first.

Each trouble is one sentence and the command that helps. Facts come from status.py; here they are judged, but for the
certificates, which are read.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from shared.admin.output import age, count_text, octets
from shared.admin.smarthosts import smarthost_facts
from shared.config.model import Config
from shared.oauth.standing import Word
from shared.routing.lane import Lane
from shared.spool.queue_entry import list_entries
from shared.spool.spool import Spool
from shared.survey.needed import needed_daemons

#  Certificates are renewed a month before their end; one this near to it was not.
SOON_DAYS = 14
#  Reasons are looked for in so many entries that had an attempt; they repeat.
_LOOKED_AT = 200
_REASONS = 3
#  A trouble that nobody's mail has met for so long is not asked about any more.
MEMORY = 1800.0
_REFUSED = "configuration refused"


@dataclass(frozen=True, slots=True)
class Trouble:
    what: str
    do: str


def troubles(
    config: Config,
    spool: Spool,
    daemons: Mapping[str, Mapping[str, Any]],
    lanes: Mapping[str, Mapping[str, Any]],
    free: int | None,
    accounts: Mapping[str, Mapping[str, Any]],
) -> Iterator[Trouble]:
    """The gravest first."""
    yield from _of_daemons(config, daemons, lanes)
    yield from _of_the_disk(config, spool, free)
    yield from _of_certificates(config)
    yield from _of_accounts(accounts)
    yield from _of_smarthosts(config, bool(lanes["relay"]["entries"]), time.time())
    yield from _of_the_queue(config, spool, lanes)


def _of_daemons(
    config: Config, daemons: Mapping[str, Mapping[str, Any]], lanes: Mapping[str, Mapping[str, Any]]
) -> Iterator[Trouble]:
    drained_by = {"mercury-s": "local", "mercury-c": "relay", "mercury-e": "direct"}
    for name in daemons:
        state = daemons[name]
        waits = lanes[drained_by[name]]["entries"]
        if state["running"] is False and (name in needed_daemons(config) or waits):
            waiting = f", and {count_text(waits)} for it wait" if waits else ""
            yield Trouble(
                f"{name} does not run{waiting}", f"systemctl start {name}; journalctl -u {name} says why it ended"
            )
        elif _REFUSED in str(state["text"]):
            yield Trouble(f"{name} works by an old configuration, as the new one has errors", "mercury config check")


def _of_the_disk(config: Config, spool: Spool, free: int | None) -> Iterator[Trouble]:
    if free is None:
        yield Trouble(
            f"the spool {spool.root} cannot be read", "run this as root or as a member of the spool's group"
        )
    elif free < 2 * config.receive.max_message_size:
        yield Trouble(
            f"only {octets(free)} are free for the spool: mail is refused when it is full",
            f"make room on the file system of {spool.root}",
        )


def _of_certificates(config: Config) -> Iterator[Trouble]:
    if not config.tls.pairs:
        return
    for path, _ in config.tls.pairs:
        days = _days_left(path)
        if days is None:
            yield Trouble(f"the certificate {path} cannot be read", "mercury config check")
        elif days < SOON_DAYS:
            when = f"ends in {days} days" if days >= 0 else f"has ended {-days} days ago"
            yield Trouble(f"the certificate {path} {when}", "renew it; it is used as soon as the file is new")


def _days_left(path: Path) -> int | None:
    from cryptography import x509  # 50 ms, only where there is a certificate

    try:
        certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
    except (OSError, ValueError, IndexError):
        return None
    return int((certificate.not_valid_after_utc.timestamp() - time.time()) // 86400)


def _of_accounts(accounts: Mapping[str, Mapping[str, Any]]) -> Iterator[Trouble]:
    for name, state in accounts.items():
        if state["state"] in (Word.ABSENT.value, Word.LOST.value):
            yield Trouble(f"the account {name} has no token: {state['text']}", f"mercury login {name}")


def _of_smarthosts(config: Config, has_waiting: bool, now: float) -> Iterator[Trouble]:
    """Those that MercuryC is kept from now: it asks again while mail wants to go there, and then the book is true."""
    try:
        facts = smarthost_facts(config, config.site, now)
    except (OSError, KeyError):  # `mercury site show` says it
        return
    for fact in facts:
        if fact["trouble"] and (has_waiting or now - fact["since"] < MEMORY):
            since = age(now - fact["since"])
            yield Trouble(
                f"no mail can be handed to {fact['host']} since {since}: {fact['trouble']}",
                "it is asked again by itself; mercury trace c shows the dialogue, docs/troubleshooting.md what helps",
            )


def _of_the_queue(config: Config, spool: Spool, lanes: Mapping[str, Mapping[str, Any]]) -> Iterator[Trouble]:
    if held := lanes["hold"]["entries"]:
        yield Trouble(f"{count_text(held)} held until a person decides", "mercury queue list --lane hold")
    late = {
        word: lane
        for word, lane in lanes.items()
        if word in ("local", "relay", "direct")
        and lane["oldest"]
        and time.time() - lane["oldest"] > config.retry.warn_after
    }
    for word, lane in late.items():
        oldest = age(time.time() - lane["oldest"])
        yield Trouble(
            f"mail in the lane {word} waits since {oldest}", f"mercury queue list --lane {word}; mercury queue shape"
        )
    if late:
        for reason, count in _reasons(spool):
            yield Trouble(f"{count_text(count)}: {reason}", f"mercury queue list --error {reason.split()[0]!r}")


def _reasons(spool: Spool) -> list[tuple[str, int]]:
    """Why mail waits, the most frequent first."""
    entries = list_entries(spool, (Lane.LOCAL, Lane.RELAY, Lane.DIRECT))
    counted = Counter(entry.last_error for entry in islice(entries, _LOOKED_AT) if entry.last_error)
    return counted.most_common(_REASONS)
