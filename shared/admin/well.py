"""Is everything well, and if not, what to do: what `mercury status` says first.

Each trouble is one sentence and the command that helps. Facts come from status.py; here they are judged, but for the
certificates, which are read.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from shared.admin.output import age, count_text, octets
from shared.admin.smarthosts import smarthost_facts
from shared.admin.trouble import Trouble
from shared.admin.well_queue import of_the_queue
from shared.config.model import Config
from shared.oauth.standing import Word
from shared.service.status_file import REFUSED, UNUSABLE_KEYS, WANTS_RESTART
from shared.smtp.judge import End
from shared.spool.spool import Spool
from shared.survey.needed import needed_daemons

#  Certificates are renewed a month before their end; one this near to it was not.
SOON_DAYS = 14
#  A daemon says every few seconds how it is; one that was silent for so long hangs.
_SILENCE = 60.0
#  The history leaves so much of its disk free (shared/history), and is not kept on without it.
_STATE_FREE = 64 * 2**20
_FEW_FILES = 1000
#  A trouble that nobody's mail has met for so long is not asked about any more.
MEMORY = 1800.0


def troubles(
    config: Config,
    spool: Spool,
    daemons: Mapping[str, Mapping[str, Any]],
    lanes: Mapping[str, Mapping[str, Any]],
    free: int | None,
    accounts: Mapping[str, Mapping[str, Any]],
) -> Iterator[Trouble]:
    """The gravest first."""
    now = time.time()
    yield from _of_daemons(config, daemons, lanes, now)
    is_readable = all(lane["entries"] is not None for lane in lanes.values())
    yield from _of_the_disk(config, spool, free if is_readable else None)
    yield from _of_other_disks(config, spool)
    yield from _of_certificates(config)
    yield from _of_accounts(accounts)
    yield from _of_smarthosts(config, bool(lanes["relay"]["entries"]), now)
    yield from of_the_queue(config, spool, lanes, now)


def _of_daemons(
    config: Config,
    daemons: Mapping[str, Mapping[str, Any]],
    lanes: Mapping[str, Mapping[str, Any]],
    now: float,
) -> Iterator[Trouble]:
    drained_by = {"mercury-s": "local", "mercury-c": "relay", "mercury-e": "direct"}
    for name, state in daemons.items():
        waits = lanes[drained_by[name]]["entries"] if name in drained_by else 0
        is_needed = name in needed_daemons(config) or name not in drained_by or waits
        if state["running"] is False and is_needed:
            waiting = f", and {count_text(waits)} for it wait{'s' if waits == 1 else ''}" if waits else ""
            yield Trouble(
                f"{name} does not run{waiting}", f"systemctl start {name}; journalctl -u {name} says why it ended"
            )
        elif state["at"] and now - state["at"] > _SILENCE:
            yield Trouble(
                f"{name} runs and has said nothing for {age(now - state['at'])}: it hangs",
                f"systemctl restart {name}; no mail is lost by it",
            )
        else:
            yield from _of_words(name, str(state["text"]))


def _of_words(name: str, text: str) -> Iterator[Trouble]:
    """What a daemon says of itself that wants somebody."""
    if REFUSED in text:
        yield Trouble(f"{name} works by an old configuration, as the new one has errors", "mercury config check")
    if WANTS_RESTART in text:
        settings = text.partition(WANTS_RESTART)[2].partition(";")[0].strip()
        ports = (
            "; before it mercury setup (--relay, --direct or --auto), for new ports"
            if "receive.listeners" in settings
            else ""
        )
        yield Trouble(f"a restart of {name} puts in force: {settings}", f"systemctl restart {name}{ports}")
    if UNUSABLE_KEYS in text:
        keys = text.partition(UNUSABLE_KEYS)[2].partition(";")[0].strip()
        yield Trouble(
            f"{name} cannot sign mail with the DKIM key {keys}",
            f"mercury dkim check; systemctl restart {name}, where systemd hands it over",
        )


def _of_the_disk(config: Config, spool: Spool, free: int | None) -> Iterator[Trouble]:
    if free is None and not spool.root.exists() and os.access(_nearest(spool.root), os.X_OK):
        yield Trouble(
            f"there is no spool at {spool.root} yet",
            "the daemons make it when they start; is `spool` the right path?",
        )
    elif free is None:
        yield Trouble(
            f"the spool {spool.root} cannot be read by this account, and what waits in it is not known",
            "run this as root or as a member of the spool's group",
        )
    elif free < 2 * config.receive.max_message_size:
        yield Trouble(
            f"only {octets(free)} are free for the spool: mail is refused when it is full",
            f"make room on the file system of {spool.root}",
        )


def _of_other_disks(config: Config, spool: Spool) -> Iterator[Trouble]:
    """Those of the state and of the mailboxes, where they are others; and files that can be made."""
    mail = Path(str(config.local.maildir).partition("{")[0])
    seen: set[int] = set()
    for folder, least, then in (
        (spool.root, 0, "mail is refused when there are none"),
        (config.state, _STATE_FREE, "the history is not kept on"),
        (mail, 2 * config.receive.max_message_size, "local mail waits when it is full"),
    ):
        try:
            near = _nearest(folder)
            device, space = os.stat(near).st_dev, os.statvfs(near)
        except OSError:
            continue
        if device in seen:
            continue
        seen.add(device)
        if least and space.f_bavail * space.f_frsize < least:
            room = octets(space.f_bavail * space.f_frsize)
            yield Trouble(f"only {room} are free in {near}: {then}", f"make room on the file system of {near}")
        if space.f_files and space.f_favail < _FEW_FILES:
            yield Trouble(
                f"only {space.f_favail} more files can be made in {near}: {then}",
                f"df -i {near} tells how many there are",
            )


def _nearest(path: Path) -> Path:
    """Itself, or the folder above it that there is."""
    return next((folder for folder in (path, *path.parents) if folder.exists()), Path("/"))


def _of_certificates(config: Config) -> Iterator[Trouble]:
    if not config.tls.pairs:
        return
    for path, _ in config.tls.pairs:
        days = _days_left(path)
        if days is None:
            yield Trouble(f"the certificate {path} cannot be read", "mercury config check")
        elif days < SOON_DAYS:
            when = f"ends in {_days(days)}" if days >= 0 else f"has ended {_days(-days)} ago"
            yield Trouble(f"the certificate {path} {when}", "renew it; it is used as soon as the file is new")


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


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
                _remedy(fact),
            )


def _remedy(fact: Mapping[str, Any]) -> str:
    trouble, host = str(fact["trouble"]), fact["host"]
    if End.LOGIN.value in trouble:
        return (
            f"put the login of {fact['login']} right: its file is read again by itself, or by systemctl restart"
            " mercury-c where systemd hands it over; mercury trace c shows the dialogue"
        )
    if End.UNREACHABLE.value in trouble or End.SILENT.value in trouble:
        return f"mercury probe {host} tries it now; are name and port right, is the line up, a firewall between?"
    if End.TLS.value in trouble or End.NO_TLS.value in trouble:
        return f"mercury probe {host} shows its TLS and certificate; see `tls` and `pins` of the smarthost"
    return "it is asked again by itself; mercury trace c shows the dialogue, docs/troubleshooting.md what helps"
