"""R-26, R-31, R-32: rotten, foreign and hostile files in every folder of the spool, a mailbox that is broken, a second
instance."""

from __future__ import annotations

import ctypes
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from account import token_of, tokens_below
from clients import send
from deadline import eventually
from mailsite import NOBODY, Site
from peers import FarEnd
from sound import mend

NOBODY_ID = 65534
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2
FOLDERS = [
    f".{lane}/{part}"
    for lane in ("local", "relay", "direct", "hold", "trash")
    for part in ("new", "cur", "tmp", "trail")
]
FOLDERS += ["owners", "corrupt", "."]
SECRET = b"Subject: secret\r\n\r\nnever to leave this host\r\n"


def letter(number: int, lane: str) -> tuple[str, bytes]:
    token = f"tok-{lane}-{number}-."
    return token, f"Subject: {token}\r\n\r\nend {token}\r\n".encode()


def rot(
    folder: Path, model: Path, secret: Path, chance: random.Random
) -> Iterator[tuple[str, Callable[[Path], object]]]:
    """Names and what to make of them; `model` is a good entry."""
    data, name = model.read_bytes(), model.name
    torn = bytearray(data)
    torn[chance.randrange(80)] ^= 0x55

    def named(mark: str) -> str:
        stamp, rest = name.split(".", 1)
        return f"{int(stamp) + chance.randrange(1, 10**6)}.{rest}" if mark else name

    yield named("truncated"), lambda path: path.write_bytes(data[: len(data) // 2])
    yield named("empty"), lambda path: path.write_bytes(b"")
    yield named("flipped"), lambda path: path.write_bytes(bytes(torn))
    yield named("random"), lambda path: path.write_bytes(chance.randbytes(len(data)))
    yield named("zeros"), lambda path: path.write_bytes(bytes(len(data)))
    yield named("link"), lambda path: path.symlink_to(secret)
    yield named("dangling"), lambda path: path.symlink_to("/nowhere/at/all")
    yield named("folder"), lambda path: path.mkdir()
    yield named("pipe"), lambda path: os.mkfifo(path)
    yield "README", lambda path: path.write_text("a foreign file\n")
    yield f"\x1b[31m{chance.randrange(10**6)}\n", lambda path: path.write_bytes(data)
    yield "mbox link", lambda path: path.symlink_to(secret.parent)


@pytest.mark.timeout(240)
def test_rot_in_every_folder(site: Site, far_end: FarEnd, tmp_path: Path, tell: Callable[..., None]) -> None:
    site.relay_to(NOBODY)
    site.write_config()
    site.start("s")
    good = set()
    for number in range(5):
        token, message = letter(number, "good")
        good.add(token)
        send(site.port, "bert@hq.example", ["x@elsewhere.example"], message)
    site.stop("s")
    spool, secret = site.root / "spool", tmp_path / "secret" / "letter"
    secret.parent.mkdir()
    secret.write_bytes(SECRET)
    model = sorted((spool / ".relay" / "new").iterdir())[0]
    made, chance = 0, random.Random(26)
    for folder in FOLDERS:
        for name, make in rot(spool / folder, model, secret, chance):
            if not os.path.lexists(spool / folder / name):
                make(spool / folder / name)
                made += 1
    (spool / "ids").write_bytes(b"\xff rotten")
    site.relay_to(far_end.hop)
    site.write_config()
    site.start("sce")
    for number in range(5, 10):
        token, message = letter(number, "good")
        good.add(token)
        send(site.port, "bert@hq.example", ["anna@hq.example", "x@elsewhere.example"], message)

    def new_mail_is_through() -> bool:
        found, _ = tokens_below(site.root / "mail", far_end.folder)
        return good <= set(found)

    eventually(new_mail_is_through, 60, "good mail goes through")
    for lane in ("local", "relay", "direct"):
        eventually(lambda lane=lane: not list((spool / f".{lane}" / "new").iterdir()), 60, f"an empty {lane}/new")
    assert all(daemon.is_running for daemon in site.daemons.values())
    kept = [*far_end.kept()]
    assert all(token_of(each.content) for each in kept), "what the far end got is our letters and nothing else"
    assert secret.read_bytes() == SECRET and list(secret.parent.iterdir()) == [secret]
    found, _ = tokens_below(far_end.folder)
    #  One model under its own name with another time is a good copy of a good letter: nothing says it is not.
    assert set(found) == good
    for command in (["queue", "list"], ["queue", "summary"], ["status"]):
        done = site.mercury(*command)
        assert "Traceback" not in done.stderr and done.returncode in (0, 1), done.stderr
        assert "\x1b[31m" not in done.stdout
    reported = len(site.events("entry-set-aside"))
    tell(rotten_files=made, folders=len(FOLDERS), set_aside=reported, good_letters=len(good), lost=0)
    assert reported > 20
    site.stop("sce")
    tell(mended_by_queue_check=mend(site))


def give_up_reading_everything() -> None:
    """Between fork and exec: root without the right to pass over modes (prctl(2), capabilities(7))."""
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        if ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            raise OSError("the kernel does not let go of a capability")


@pytest.mark.timeout(120)
def test_files_that_may_not_be_read(far_end: FarEnd, site: Site, tell: Callable[..., None]) -> None:
    """The relay has no more rights than an account of its own; entries it may not read are set aside, the others go."""
    if os.getuid() != 0:
        pytest.skip("needs root, to give files to another account")
    site.relay_to(NOBODY)
    site.write_config()
    site.start("s")
    for number in range(4):
        send(site.port, "bert@hq.example", ["x@elsewhere.example"], letter(number, "rights")[1])
    site.stop("s")
    entries = sorted((site.root / "spool" / ".relay" / "new").iterdir())
    os.chown(entries[0], NOBODY_ID, NOBODY_ID)
    entries[0].chmod(0o600)
    entries[1].chmod(0)
    site.relay_to(far_end.hop)
    site.write_config()

    site.start("c", limit=give_up_reading_everything)
    eventually(lambda: far_end.count() == 2, 30, "the readable ones")
    eventually(lambda: len(site.events("entry-set-aside")) == 2, 30, "the others are set aside")
    assert len(list((site.root / "spool" / "corrupt").iterdir())) == 2
    tell(unreadable=2, delivered=2)
    site.stop("c")


@pytest.mark.timeout(120)
def test_one_mailbox_is_broken(site: Site, tell: Callable[..., None]) -> None:
    site.start("s")
    send(site.port, "x@outside.example", ["anna@hq.example"], letter(0, "first")[1])
    eventually(lambda: len(site.mailbox("anna")) == 1, what="delivery")
    box = site.root / "mail" / "hq.example" / "anna"
    shutil.rmtree(box / "tmp")
    (box / "tmp").write_text("no folder")
    for number in range(1, 6):
        send(site.port, "x@outside.example", ["anna@hq.example", "bert@hq.example"], letter(number, "rest")[1])
    eventually(lambda: len(site.mailbox("bert")) == 5, what="the other mailbox goes on")
    assert len(site.mailbox("anna")) == 1 and not site.events("message-bounced")
    (box / "tmp").unlink()
    (box / "tmp").mkdir()
    eventually(lambda: len(site.mailbox("anna")) == 6, 30, "all of it once the mailbox is mended")
    eventually(site.is_empty, what="an empty queue")
    assert len(site.mailbox("bert")) == 5
    tell(delivered=11, lost=0, twice=0)


@pytest.mark.timeout(120)
def test_a_second_instance_refuses(site: Site, tell: Callable[..., None]) -> None:
    site.start("sce")
    for letter_of_daemon in "ce":
        code, said = site.run_to_its_end(letter_of_daemon)
        assert code == 1 and len(said.strip().splitlines()) == 1, said
    site.config["receive"]["listeners"][0]["port"] += 1
    site.write_config()
    code, said = site.run_to_its_end("s")
    assert code == 1 and "already running" in said, said
    tell(refused=3)
