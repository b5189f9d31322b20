"""mercury-sendmail as programs call it: its options, where the message goes, the code it ends with."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
import yaml

from shared.admin.mailq import render_queue
from shared.admin.sendmail import Stop, read_call, read_message, run
from shared.mail.handwritten import Wish
from shared.spool.pickup import PickupFolder
from shared.spool.record import parse_record
from shared.spool.spool import Spool


class Host:
    """A host with a spool, or with a pickup folder only."""

    def __init__(self, root: Path, has_spool: bool) -> None:
        self.root = root
        self.config = root / "mercury.yaml"
        self.config.write_text(
            yaml.safe_dump(
                {
                    "hostname": "mail.hq.example",
                    "spool": str(root / "spool"),
                    "state": str(root / "state"),
                    "local": {"domains": ["hq.example"]},
                }
            )
        )
        if has_spool:
            Spool(root / "spool", "test").prepare()
        self.pickup = PickupFolder(root / "spool-pickup")
        self.said: list[str] = []
        self.out = b""

    def sendmail(self, *arguments: str, given: bytes = b"") -> int:
        out = io.BytesIO()
        code = run(["--config", str(self.config), *arguments], io.BytesIO(given), out, self.said.append)
        self.out = out.getvalue()
        return code

    def entries(self) -> list[tuple[str, list[str], bytes]]:
        """Sender, recipients, message."""
        found = []
        for path in sorted((self.root / "spool").glob(".*/new/*")):
            data = path.read_bytes()
            envelope, offset = parse_record(data)
            found.append((envelope.sender_text, [str(one.address) for one in envelope.recipients], data[offset:]))
        return found


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path, has_spool=True)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("a@b.example c", Wish(("a@b.example", "c"))),
        ("-t", Wish(by_header=True)),
        ("-ti", Wish(by_header=True)),
        ("-oi -oem -odb -t", Wish(by_header=True)),
        ("-fx@y.example a", Wish(("a",), "x@y.example")),
        ("-f x@y.example a", Wish(("a",), "x@y.example")),
        ("-r x a", Wish(("a",), "x")),
        ("-f <> a", Wish(("a",), "<>")),
        ("-FAnna a", Wish(("a",), full_name="Anna")),
        ("-N never -R hdrs -V e1 a", Wish(("a",), notify="never", ret="hdrs", envid="e1")),
        ("-B 8BITMIME -L tag -v a", Wish(("a",))),
        ("-i -- -a", Wish(("-a",))),
        ("-bm -C /etc/x a", Wish(("a",))),
        ("-G -U -A c a", Wish(("c", "a"))),
    ],
)
def test_options_as_sendmail_has_them(arguments: str, expected: Wish) -> None:
    assert read_call(arguments.split()).wish == expected


@pytest.mark.parametrize("arguments", ["-b", "-bd", "-f", "-Z"])
def test_what_is_not_known_is_a_usage_error(arguments: str) -> None:
    with pytest.raises(Stop) as stop:
        read_call([arguments])
    assert stop.value.code == 64


def test_a_dot_ends_the_message_unless_told_otherwise() -> None:
    given = b"a\n.\nb\n"
    assert read_message(io.BytesIO(given), ends_at_dot=True) == b"a\n"
    assert read_message(io.BytesIO(given), ends_at_dot=False) == given
    assert read_call(["-i", "a"]).ends_at_dot is read_call(["-oi", "a"]).ends_at_dot is False


def test_into_the_spool(host: Host) -> None:
    assert host.sendmail("-t", "-f", "x@hq.example", given=b"To: anna@hq.example\nBcc: bert@hq.example\n\nhi\n") == 0
    [(sender, recipients, message)] = host.entries()
    assert (sender, recipients) == ("x@hq.example", ["anna@hq.example", "bert@hq.example"])
    assert message.startswith(b"Received: by mail.hq.example (Mercury) id ")
    assert b"bert" not in message and message.endswith(b"\r\n\r\nhi\r\n")
    assert "message-accepted" in (host.root / "state/events/mercury-sendmail.jsonl").read_text()


def test_into_the_pickup_folder_when_the_spool_is_not_ours(tmp_path: Path) -> None:
    host = Host(tmp_path, has_spool=False)
    host.pickup.prepare()
    assert host.sendmail("-i", "anna", given=b"Subject: x\n\nhi\n") == 0
    [name] = host.pickup.names()
    picked = host.pickup.read(name, 1000)
    assert picked is not None
    assert (picked.wish, picked.message) == (Wish(("anna",)), b"Subject: x\n\nhi\n")


def test_codes_that_programs_understand(host: Host) -> None:
    assert host.sendmail(given=b"x") == 64
    assert host.sendmail("-t", given=b"Subject: nobody\n\n") == 65
    assert host.sendmail("a@-.x", given=b"x") == 65
    assert host.sendmail("-bi") == host.sendmail("-q") == host.sendmail("-q30m") == 0
    (host.root / "spool/ids").unlink()
    (host.root / "spool/ids").mkdir()
    assert host.sendmail("anna", given=b"x") == 75
    host.config.write_text("hostnam: x\n")
    assert host.sendmail("anna", given=b"x") == 78
    assert all(line.startswith("mercury-sendmail: ") and "\n" not in line for line in host.said)


def test_no_folder_at_all_is_try_again(tmp_path: Path) -> None:
    host = Host(tmp_path, has_spool=False)
    assert host.sendmail("anna", given=b"x") == 75
    assert "makes the folder" in host.said[0]


def test_smtp_on_standard_input(host: Host) -> None:
    talk = (
        b"EHLO prog\r\nMAIL FROM:<x@hq.example>\r\nRCPT TO:<anna@hq.example>\r\nRCPT TO:<bert@hq.example>\r\n"
        b"DATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<carl@hq.example>\r\nBDAT 4 LAST\r\nhi\r\n"
        b"NOOP\r\nQUIT\r\n"
    )
    assert host.sendmail("-bs", given=talk) == 0
    codes = [line[:3] for line in host.out.split(b"\r\n") if line[3:4] == b" "]
    assert codes == [b"220", b"250", b"250", b"250", b"250", b"354", b"250", b"250", b"250", b"250", b"250", b"221"]
    assert sorted((sender, to) for sender, to, _ in host.entries()) == [
        ("", ["carl@hq.example"]),
        ("x@hq.example", ["anna@hq.example", "bert@hq.example"]),
    ]
    assert any(message.endswith(b"\r\n\r\n.dot\r\n") for _, _, message in host.entries())


def test_smtp_that_ends_in_the_middle_sends_nothing(host: Host) -> None:
    assert (
        host.sendmail("-bs", given=b"EHLO p\r\nMAIL FROM:<a@hq.example>\r\nRCPT TO:<b@hq.example>\r\nDATA\r\nhalf")
        == 0
    )
    assert host.entries() == []


def test_smtp_refuses_what_the_counter_refuses(host: Host) -> None:
    talk = (
        b"HELO p\r\nMAIL FROM:<a@hq.example>\r\nRCPT TO:<b@hq.example>\r\nDATA\r\n"
        + b"Received: x\r\n" * 101
        + b"\r\n.\r\nQUIT\r\n"
    )
    host.sendmail("-bs", given=talk)
    assert b"554 5.6.0" in host.out and host.entries() == []


def test_the_queue_as_mailq_shows_it(host: Host) -> None:
    assert host.sendmail("-bp") == 0
    assert host.out == b"Mail queue is empty\n" == render_queue([]).encode()
    host.sendmail("-f", "x@hq.example", "far@away.example", given=b"Subject: x\n\n")
    host.sendmail("-bp")
    lines = host.out.decode().splitlines()
    assert lines[0].startswith("-Queue ID-") and lines[-1].endswith("in 1 Request.")
    assert "!" in lines[1] and lines[1].endswith("x@hq.example") and lines[2].strip() == "far@away.example"


def test_where_it_would_go(host: Host) -> None:
    assert host.sendmail("-bv", "anna", "x@away.example") == 0
    assert host.out.startswith(b"anna@hq.example: local: ") and b"x@away.example: hold: " in host.out
    assert host.entries() == []


def test_ids_are_not_wasted(host: Host) -> None:
    for _ in range(2):
        host.sendmail("anna", given=b"x")
    first, second = sorted(os.listdir(host.root / "spool/.local/new"))
    assert first.split(".")[1] != second.split(".")[1]
