"""Nothing that was acknowledged is lost: daemons killed at work, ended at work, disks that fill, entries that rot."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import socket
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clients import Load, Raw, send
from deadline import eventually
from mailsite import Site
from peers import FarEnd, NameServer
from process import free_port
from setting import FAR_ADDRESSES, Stage

TOKEN = re.compile(rb"load-\d+-\d+-\d+-\.")


def tokens(messages: list[bytes]) -> Counter[str]:
    return Counter(found[0].decode() for message in messages if (found := TOKEN.search(message[:2000])))


def at(far_end: FarEnd) -> Counter[str]:
    return tokens([kept.content for kept in far_end.kept()])


def check_nothing_lost(load: Load, arrived: Counter[str], doubles: int) -> None:
    """Every acknowledged message has arrived; at most `doubles` came twice, for those were in flight at the crash."""
    lost = load.acknowledged - set(arrived)
    assert not lost, f"{len(lost)} of {len(load.acknowledged)} lost: {sorted(lost)[:5]}"
    repeated = sum(count - 1 for count in arrived.values())
    assert repeated <= doubles, f"{repeated} duplicates"


@pytest.mark.parametrize("recipient", ["anna@hq.example", "x@elsewhere.example"], ids=["local", "relay"])
def test_the_server_is_killed_under_load(site: Site, far_end: FarEnd, recipient: str) -> None:
    site.relay_to(far_end.hop)
    site.write_config()
    site.start("sc")
    load = Load(site.port, recipient, 600).start()
    for goal in (60, 200, 350):
        eventually(lambda goal=goal: len(load.acknowledged) >= goal, 30, f"{goal} acknowledged")
        site.kill("s")
        site.start("s")
    load.join()
    assert len(load.acknowledged) == 600
    eventually(site.is_empty, 30, "an empty queue")
    arrived = tokens(site.mailbox("anna")) if "hq" in recipient else at(far_end)
    check_nothing_lost(load, arrived, doubles=3 * 8 + 3 * 16)


def test_the_relay_is_killed_at_work(site: Site, stage: Stage, tmp_path: Path) -> None:
    far_end = FarEnd(tmp_path, free_port("127.0.0.1"), ("127.0.0.1",), "--delay", "0.02")
    stage.peer(far_end)
    site.relay_to(far_end.hop)
    site.write_config()
    site.start("s")
    load = Load(site.port, "x@elsewhere.example", 200).start()
    load.join()
    assert len(site.entries("relay")) == 200
    site.start("c")
    for goal in (20, 80, 140):
        eventually(lambda goal=goal: far_end.count() >= goal, 30, f"{goal} relayed")
        site.kill("c")
        assert far_end.count() < 200, "killed too late to show anything"
        site.start("c")
    eventually(site.is_empty, 30, "an empty queue")
    check_nothing_lost(load, at(far_end), doubles=3 * 32)


def test_the_end_to_end_client_is_killed_at_work(
    site: Site, stage: Stage, tmp_path: Path, name_server: Callable[[dict[str, str]], NameServer]
) -> None:
    far_end = FarEnd(tmp_path, free_port(*FAR_ADDRESSES), FAR_ADDRESSES, "--delay", "0.02")
    stage.peer(far_end)
    server = name_server({"partner.example": "@ MX 10 mx\nmx A 127.0.0.21\n"})
    site.here["delivery"] = "direct"
    site.config["dns"] = {"servers": [f"127.0.0.1:{server.port}"]}
    site.config["direct"] = {"port": far_end.port, "allow_addresses": ["127.0.0.0/8"]}
    site.write_config()
    site.start("s")
    load = Load(site.port, "x@partner.example", 200).start()
    load.join()
    site.start("e")
    for goal in (20, 80):
        eventually(lambda goal=goal: far_end.count() >= goal, 30, f"{goal} delivered")
        site.kill("e")
        assert far_end.count() < 200, "killed too late to show anything"
        site.start("e")
    eventually(site.is_empty, 30, "an empty queue")
    check_nothing_lost(load, at(far_end), doubles=2 * 32)


def test_ending_under_load_loses_nothing(site: Site, far_end: FarEnd) -> None:
    """SIGTERM: what is in flight is finished, the exit code is 0 (Site.stop asks), the rest waits."""
    site.relay_to(far_end.hop)
    site.write_config()
    site.start("sc")
    load = Load(site.port, "x@elsewhere.example", 2000).start()
    eventually(lambda: len(load.acknowledged) >= 100, 30)
    site.stop("sc")
    load.end()
    load.join()
    site.start("sc")
    eventually(site.is_empty, 30, "an empty queue")
    check_nothing_lost(load, at(far_end), doubles=0)


def test_a_silent_smarthost_does_not_hold_up_the_end(site: Site) -> None:
    """Its port answers and it never says a word: SIGTERM is obeyed all the same, and the message stays."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        site.relay_to(silent.getsockname())
        site.write_config()
        site.start("sc")
        send(site.port, "bert@hq.example", ["x@elsewhere.example"], b"Subject: token-silent-.\r\n\r\n")
        eventually(lambda: list((site.root / "spool" / ".relay" / "cur").iterdir()), what="a claim")
        assert site.daemons["c"].stop(seconds=40) == 0
        assert len(list((site.root / "spool" / ".relay" / "new").iterdir())) == 1


def test_a_full_mailbox_disk_makes_local_mail_wait(site: Site, small_disk: Path) -> None:
    if not os.path.ismount(small_disk):
        small_disk.chmod(0o500)  #  we may not mount, so we are not root, and this is enough
    site.config["local"]["maildir"] = str(small_disk) + "/mail/{user}"
    site.write_config()
    ballast = small_disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    site.start("s")
    send(site.port, "bert@hq.example", ["anna@hq.example"], b"Subject: token-room-.\r\n\r\n" + b"x\r\n" * 9000)
    eventually(lambda: list((site.root / "spool" / ".local" / "trail").iterdir()), what="a deferral")
    assert len(site.entries("local")) == 1
    small_disk.chmod(0o700)
    ballast.unlink(missing_ok=True)
    eventually(lambda: list(small_disk.glob("mail/anna/new/*")), what="delivery")
    eventually(site.is_empty)
    assert len(list(small_disk.glob("mail/anna/new/*"))) == 1


def test_workers_do_not_outlive_their_daemon(site: Site) -> None:
    """Only the first process is killed, as the kernel does when memory is short: its port is free for the next."""
    site.config["receive"]["workers"] = 2
    site.write_config()
    site.start("s")
    os.kill(site.daemons["s"].pid, 9)
    site.daemons["s"].wait()
    site.start("s")
    send(site.port, "bert@hq.example", ["anna@hq.example"], b"Subject: token-orphan-.\r\n\r\n")
    eventually(lambda: site.mailbox("anna"), what="delivery")


def test_a_rotten_entry_is_set_aside_and_the_lane_goes_on(site: Site, far_end: FarEnd) -> None:
    site.relay_to(far_end.hop)
    site.write_config()
    site.start("s")
    for number in range(3):
        send(site.port, "bert@hq.example", ["x@elsewhere.example"], f"Subject: token-{number}-.\r\n\r\n".encode())
    victim = sorted(site.entries("relay"))[1]
    victim.write_bytes(b"\x00\xff no envelope at all\r\n")
    empty = victim.with_name(victim.name.replace(".", ".ZZZZ-", 1))
    empty.write_bytes(b"")
    site.start("c")
    eventually(lambda: far_end.count() == 2, what="the two others arrive")
    eventually(site.is_empty, what="an empty queue")
    aside = [path.name for path in (site.root / "spool" / "corrupt").rglob("*") if path.is_file()]
    assert len(aside) == 2, aside
    assert "aside" in site.daemons["c"].output()


def refusal(site: Site, octets: int) -> str:
    """The last reply of a transaction of that size."""
    with Raw(site.port) as raw:
        raw.say("EHLO client.example")
        said = raw.say("MAIL FROM:<bert@hq.example>")
        if said.startswith("250"):
            raw.say("RCPT TO:<x@elsewhere.example>")
            said = raw.say("DATA")
        if said.startswith("354"):
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                raw.send(b"Subject: large\r\n\r\n" + (b"x" * 76 + b"\r\n") * (octets // 78) + b".\r\n")
            said = raw.reply()
        return said


def test_a_failing_disk_is_452_and_the_listener_goes_on(site: Site) -> None:
    """No file of the daemon may grow beyond 1 MiB: a write fails in the middle of a message."""
    site.write_config()
    site.start("s", limit=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)))
    for _ in range(3):
        assert refusal(site, 3 << 20)[:3] in ("451", "452")
    assert refusal(site, 1000).startswith("250 ")
    assert len(site.entries("relay")) == 1
    eventually(lambda: not list((site.root / "spool").glob(".*/tmp/*")), what="nothing left in tmp")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB; where we may not mount one, a folder, and the daemon gets a limit instead."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(folder)], capture_output=True)
    yield folder
    if done.returncode == 0:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_452_until_there_is_room(site: Site, small_disk: Path) -> None:
    site.config["spool"] = str(small_disk / "spool")
    site.config["receive"]["max_message_size"] = "4M"
    site.write_config()
    limit = None
    if not os.path.ismount(small_disk):

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    site.start("s", limit=limit)
    ballast = small_disk / "ballast"
    if os.path.ismount(small_disk):
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    assert refusal(site, 2 << 20)[:3] in ("451", "452")
    assert refusal(site, 2 << 20)[:3] in ("451", "452")
    ballast.unlink(missing_ok=True)
    eventually(lambda: refusal(site, 100_000).startswith("250 "), what="mail is taken again")
