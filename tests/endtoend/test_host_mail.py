"""Programs of this host send mail while no daemon runs; it is there when the daemons are."""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from deadline import eventually
from mailsite import ROOT, Site
from peers import FarEnd
from setting import Stage

NOBODY = 65534


def sendmail(site: Site, *arguments: str, given: bytes = b"Subject: x\n\n") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "shared.admin.sendmail", *arguments],
        input=given,
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "MERCURY_CONFIG": str(site.config_path)},
        timeout=60,
    )


def load_all_of_ours() -> None:
    """What the command imports when it needs it, and what that imports again."""
    import shared

    for module in pkgutil.walk_packages(shared.__path__, "shared."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def sendmail_as(uid: int, site: Site, *arguments: str, given: bytes) -> int:
    """The same as another account, which may see neither our interpreter nor the checkout: so in a child of this process, with
    everything imported."""
    from shared.admin.sendmail import run

    load_all_of_ours()
    reader, writer = os.pipe()
    os.write(writer, given)
    os.close(writer)
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            os.environ["MERCURY_PICKUP"] = f"{site.config['spool']}-pickup"
            with os.fdopen(reader, "rb") as source, open(os.devnull, "wb") as out:
                os._exit(run(["--config", str(site.config_path), *arguments], source, out, print))
        except BaseException as error:
            print(repr(error), file=sys.stderr)
        os._exit(99)
    os.close(reader)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_while_the_daemons_are_down(site: Site, far_end: FarEnd) -> None:
    site.relay_to(far_end.hop)
    site.write_config()
    site.start("s")
    site.stop("s")
    assert (
        sendmail(site, "-t", "-i", given=b"To: anna@hq.example\nBcc: bert@hq.example\nSubject: one\n\n.\n").returncode
        == 0
    )
    assert sendmail(site, "-f", "anna@hq.example", "-F", "Anna", "x@away.example").returncode == 0
    talk = b"HELO p\r\nMAIL FROM:<anna@hq.example>\r\nRCPT TO:<bert@hq.example>\r\nDATA\r\nSubject: two\r\n\r\n.\r\nQUIT\r\n"
    assert b"queued as" in sendmail(site, "-bs", given=talk).stdout
    listing = sendmail(site, "-bp").stdout.decode()
    assert "x@away.example" in listing and listing.count("@hq.example") >= 4 and "in 3 Requests" in listing
    assert site.mercury("sendmail", "-bp").stdout == listing
    site.start("sc")
    eventually(lambda: far_end.count() == 1 and site.is_empty(), what="everything is delivered")
    assert len(site.mailbox("anna")) == 1 and len(site.mailbox("bert")) == 2
    assert b"Bcc" not in site.mailbox("anna")[0]
    [kept] = far_end.kept()
    assert kept.content.count(b"From: Anna <anna@hq.example>") == 1
    assert b"mail queue is empty" in sendmail(site, "-bp").stdout.lower()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """To which an account without rights can come. Not pytest's: that is closed again by each test run that begins."""
    with tempfile.TemporaryDirectory(prefix="mercury-", dir="/tmp") as name:
        os.chmod(name, 0o711)
        yield Path(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can send as another account")
def test_an_account_without_rights_by_the_pickup_folder(open_folder: Path, stage: Stage) -> None:
    site = stage.site(open_folder)
    site.write_config()
    site.add_users("anna")
    site.config_path.chmod(0o600)
    site.start("s")
    site.stop("s")
    given = b"From: Boss <boss@hq.example>\nTo: anna@hq.example\nSubject: from nobody\n\nhello\n"
    assert sendmail_as(NOBODY, site, "-t", "-f", "boss@hq.example", given=given) == 0
    waiting = list((open_folder / "spool-pickup/new").iterdir())
    assert len(waiting) == 1 and waiting[0].stat().st_uid == NOBODY
    assert sendmail_as(NOBODY, site, "-bp", given=b"") == 77
    site.start("s")
    eventually(lambda: site.mailbox("anna"), what="delivery of what waited")
    assert sendmail_as(NOBODY, site, "anna", given=b"Subject: while it runs\n\n") == 0
    eventually(lambda: len(site.mailbox("anna")) == 2, what="delivery while it runs")
    first = site.mailbox("anna")[0]
    assert first.startswith(b"Return-Path: <nobody@hq.example>\n")
    assert b"(from uid 65534, nobody)" in first and b"From: Boss" in first
    assert not list((open_folder / "spool-pickup/new").iterdir())
    stage.clear()  #  before the folder goes


def test_a_file_dropped_by_hand_goes_where_its_header_says(site: Site, tmp_path: Path) -> None:
    site.start("s")
    folder = tmp_path / "spool-pickup"
    for name, text in (
        ("good", "To: anna@hq.example\nSubject: dropped\n\nhello\n"),
        ("bad", "Subject: to nobody\n\n"),
    ):
        (folder / "tmp" / name).write_text(text)
        os.rename(folder / "tmp" / name, folder / "new" / name)
    eventually(lambda: site.mailbox("anna"), what="delivery")
    eventually(lambda: (folder / "refused/bad").exists(), what="the other is put aside")
    eventually(lambda: site.events("pickup-refused"), what="the event")
