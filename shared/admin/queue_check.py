"""`mercury queue check`: is the spool sound, and with `--repair` make it so. What is looked at is in
shared/spool/check; here is what the operator reads, and who did it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

import click

from shared.admin.caller import NAME, become_owner, caller, owner_of
from shared.admin.command import DONE, SOME_FAILED, Office
from shared.admin.output import echo_json
from shared.admin.progress import Progress
from shared.admin.selection import Measure
from shared.admin.spool import spool_of
from shared.config.scalars import parse_duration
from shared.mail.reply import printable
from shared.spool.check.mender import Finding, Mender
from shared.spool.check.whole import check_spool
from shared.spool.owner import Owner
from shared.spool.spool import Spool
from shared.spool.sweep import LEFTOVER_AFTER
from shared.state.audit import AuditLog


def _parse_age(value: object) -> float:
    """A duration, or none at all. Raises ValueError."""
    return 0.0 if value in ("0", "0s") else parse_duration(value)


@click.command()
@click.option("--repair", is_flag=True, help="Mend what can be mended. Nothing is thrown away but empty remains.")
@click.option(
    "--leftovers-after",
    type=Measure("time", _parse_age),
    default=f"{LEFTOVER_AFTER}s",
    metavar="TIME",
    help="When files of interrupted writes are remains: 36h; 0s when nothing that writes here runs.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def check(office: Office, repair: bool, leftovers_after: float, as_json: bool) -> None:
    """Look for damage in every folder of the spool: exit 0 when there is none, or none any more.

    Works with the daemons up or down. Damaged files are set aside in corrupt/, never deleted.
    """
    spool = spool_of(office)
    count = left = 0
    progress = Progress("looking through the spool", "files")
    with _mender(office, spool, repair, leftovers_after, progress.step) as (mender, audit):
        for finding in check_spool(mender):
            progress.clear()
            count += 1
            left += not finding.done
            if audit is not None:
                audit.did(asdict(finding))
            echo_json(asdict(finding)) if as_json else click.echo(_line(finding))
    progress.clear()
    if not as_json:
        click.echo(_sum(spool, count, left, repair), err=bool(left))
    sys.exit(SOME_FAILED if left else DONE)


def _line(finding: Finding) -> str:
    end = finding.done or finding.trouble
    return printable(f"{finding.path}: {finding.wrong}" + (f": {end}" if end else ""))


def _sum(spool: Spool, count: int, left: int, is_repairing: bool) -> str:
    if not count:
        return f"The spool {spool.root} is sound."
    found = "1 thing is wrong" if count == 1 else f"{count} things are wrong"
    if not is_repairing:
        return f"{found} in {spool.root}; `mercury queue check --repair` mends what can be mended."
    return f"{found} in {spool.root}: {count - left} mended, {left} left."


@contextmanager
def _mender(
    office: Office, spool: Spool, is_repairing: bool, leftovers_after: float, seen: Callable[[], object]
) -> Iterator[tuple[Mender, AuditLog | None]]:
    """Who only looks makes no file, an owner's neither."""
    owner = Owner(spool, NAME)
    mender = Mender(spool, owner, is_repairing, time.time(), leftovers_after, seen)
    if not is_repairing:
        yield mender, None
        return
    audit = AuditLog(office.config.state, time.time, owner_of(spool.root))
    try:
        audit.begin(caller(), "check --repair", "the whole spool", "")
        become_owner(spool.root)
        yield mender, audit
    finally:
        owner.end()
        audit.close()
