"""Local mail by LMTP: a real Dovecot takes it and shows it over IMAP; and its quota file is ours, too."""

from __future__ import annotations

import os
import re
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest
from clients import send
from deadline import eventually
from dovecot import Dovecot
from mailsite import Site
from setting import Stage

ANNA, BERT, CARLA, DORA = (f"{name}@hq.example" for name in ("anna", "bert", "carla", "dora"))


@pytest.fixture
def dovecot() -> Iterator[Dovecot]:
    dovecot = Dovecot()
    yield dovecot
    dovecot.clear()


@pytest.fixture
def post(stage: Stage, tmp_path: Path, dovecot: Dovecot) -> Site:
    """A site that delivers by LMTP. Dovecot knows anna, bert and dora, who has little room; carla it does not know."""
    for address, storage in ((ANNA, ""), (BERT, ""), (DORA, "20k")):
        dovecot.add(address, storage=storage)
    dovecot.start()
    site = stage.site(tmp_path)
    site.config["local"]["lmtp"] = f"unix:{dovecot.socket}"
    (tmp_path / "aliases").write_text("postmaster: anna\nboth: anna, bert\n")
    site.write_config()
    site.add_users("anna", "bert", "carla", "dora")
    return site


def message(token: str, size: int = 100) -> bytes:
    return (
        f"Subject: {token}\r\n\r\n.dot\r\n".encode() + b"x" * 70 + b"\r\n" * 1 + (b"y" * 76 + b"\r\n") * (size // 78)
    )


def shown(dovecot: Dovecot, address: str, token: str) -> list[bytes]:
    return [copy for copy in dovecot.inbox(address) if token.encode() in copy]


def test_dovecot_shows_what_was_sent(post: Site, dovecot: Dovecot) -> None:
    post.start("s")
    send(post.port, "who@far.example", [ANNA, "both@hq.example"], message("token-lmtp-."))
    eventually(lambda: shown(dovecot, BERT, "token-lmtp-."), what="mail for bert")
    (copy,) = shown(dovecot, BERT, "token-lmtp-.")
    assert copy.endswith(b"\r\n\r\n.dot\r\n" + b"x" * 70 + b"\r\n" + b"y" * 76 + b"\r\n")
    assert b"Return-Path: <who@far.example>" in copy
    assert eventually(lambda: len(shown(dovecot, ANNA, "token-lmtp-.")) == 2, what="by name and by the alias")
    eventually(post.is_empty, what="an empty queue")
    assert not post.mailbox("anna"), "nothing is written to Maildirs of ours"


def test_each_mailbox_answers_for_itself(post: Site, dovecot: Dovecot) -> None:
    post.config["local"]["quota"] = {"over": "bounce"}
    post.write_config()
    post.start("s")
    send(post.port, BERT, [ANNA, CARLA, DORA], message("token-each-.", 40_000))
    eventually(lambda: shown(dovecot, ANNA, "token-each-."), what="mail for anna")
    report = eventually(lambda: shown(dovecot, BERT, "multipart/report"), what="a report")[0].decode()
    assert re.findall(r"Final-Recipient: rfc822; ?(\S+)", report) == [CARLA, DORA]
    assert "User doesn't exist" in report and "5.2.2" in report
    eventually(post.is_empty, what="an empty queue")


def test_connections_are_used_again_and_large_mail_passes(post: Site, dovecot: Dovecot) -> None:
    post.start("s")
    for number in range(5):
        token = f"token-again-{number}-."
        send(post.port, "who@far.example", [ANNA], message(token, 3_000_000 if number == 4 else 100))
        eventually(lambda token=token: shown(dovecot, ANNA, token), what=token)  # type: ignore[misc]
    assert len(shown(dovecot, ANNA, "token-again-4-.")[0]) > 2_900_000
    assert dovecot.log().count("Connect from local") == 1, dovecot.log()


def test_mail_waits_for_a_dovecot_that_is_down_and_tcp_does_as_well(post: Site, dovecot: Dovecot) -> None:
    dovecot.stop()
    post.config["local"]["lmtp"] = f"127.0.0.1:{dovecot.lmtp_port}"
    post.write_config()
    post.start("s")
    send(post.port, "who@far.example", [ANNA], message("token-wait-."))
    eventually(lambda: post.events("recipient-deferred"), what="a deferral")
    assert not post.is_empty()
    dovecot.start()
    eventually(lambda: shown(dovecot, ANNA, "token-wait-."), what="the mail")
    eventually(post.is_empty, what="an empty queue")


def test_dovecot_reads_the_quota_that_we_count(site: Site, dovecot: Dovecot) -> None:
    """The Maildirs are ours here. What we have counted Dovecot shows, and what Dovecot says is full is full."""
    for address in (ANNA, BERT):
        assert site.mercury("user", "set", address, "--quota", "20K").returncode == 0
    site.config["local"]["quota"] = {"over": "bounce"}
    site.config["local"]["maildir"] = str(site.root / "mail" / "{domain}" / "{user}" / "Maildir")
    site.write_config()
    site.start("s")
    home = site.root / "mail" / "hq.example" / "anna"
    box = home / "Maildir"
    send(site.port, "who@far.example", [ANNA], message("token-quota-1-.", 9000))
    send(site.port, "who@far.example", [ANNA], message("token-quota-2-.", 9000))
    eventually(lambda: len(list(box.glob("new/*"))) == 2, what="two messages")
    octets = sum(path.stat().st_size for path in box.glob("new/*"))
    eventually(lambda: (box / "maildirsize").read_bytes().count(b"\n") == 4, what="a count of both")
    head, *lines = (box / "maildirsize").read_text().splitlines()
    assert head == "20480S" and sum(int(line.split()[0]) for line in lines) == octets
    _give(site.root, home, dovecot)
    dovecot.add(ANNA, home, "20k")
    dovecot.start()
    with dovecot.imap(ANNA) as client:
        _, (_, quota) = client.getquotaroot("INBOX")
        assert re.search(rb"STORAGE (\d+) 20\b", quota[0])[1] == b"%d" % -(-octets // 1024)  # type: ignore[index]
    assert (box / "maildirsize").read_text().startswith("20480S\n"), "Dovecot had no reason to count again"
    send(site.port, "who@far.example", [ANNA], message("token-quota-3-.", 9000))
    eventually(lambda: site.events("recipient-failed"), what="a full mailbox")
    full = site.root / "mail" / "hq.example" / "bert" / "Maildir"
    full.mkdir(parents=True)
    (full / "maildirsize").write_text("20480S\n20480 7\n")
    assert _refusal(site.port, BERT).startswith("552 5.2.2")


def _give(root: Path, home: Path, dovecot: Dovecot) -> None:
    """Dovecot reads mail as somebody else when it was started by root."""
    if os.getuid() != 0:
        return
    for path in (home, *home.rglob("*")):
        os.chown(path, dovecot.owner.pw_uid, dovecot.owner.pw_gid)
    for folder in (home.parent, home.parent.parent, *root.parents, root):
        if folder.stat().st_uid == 0 and folder.is_relative_to("/tmp") and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o011)


def _refusal(port: int, address: str) -> str:
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example") as client:
        client.ehlo()
        client.mail("who@far.example")
        code, text = client.rcpt(address)
        return f"{code} {text.decode()}"
