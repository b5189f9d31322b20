"""`mercury config import MERCURY.INI`: what it takes over, that it says what it leaves, and that it keeps secrets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from shared.admin.command import mercury
from shared.admin.mercury_ini import decode, read_ini, read_lines
from shared.admin.proposal import Proposal, propose
from shared.config.load import parse
from shared.config.model import Config

DATA = Path(__file__).parent / "data"


def proposal(name: str) -> Proposal:
    return propose(read_ini((DATA / name).read_text()))


def configuration(text: str, folder: Path) -> Config:
    secret = folder / "secrets/mercury-c/smarthost"
    secret.parent.mkdir(parents=True)
    secret.write_text("sesame\n")
    secret.chmod(0o600)
    (folder / "tls").mkdir()
    for name in ("cert.pem", "key.pem"):
        (folder / "tls" / name).write_text("a certificate\n")
        (folder / "tls" / name).chmod(0o600)
    return parse(text, folder / "mercury.yaml")


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(mercury, ["config", "import", *map(str, words)], catch_exceptions=False)


def test_an_office_that_relays(tmp_path: Path) -> None:
    config = configuration(proposal("relay.ini").text, tmp_path)
    site = config.sites["office"]
    assert config.hostname == "mail.hq.example"
    assert config.local.domains == ("hq.example", "mail.hq.example", "anna.example")
    assert site.delivery == "relay"
    assert [(s.host, s.port, s.login, s.helo) for s in site.smarthosts] == [
        ("smtp.isp.example", 587, "office", "hq.example"),
        ("backup.isp.example", 587, "office", "hq.example"),
    ]
    assert [str(network) for network in site.networks] == ["192.168.1.0/24", "10.9.0.7/32"]
    assert [(one.port, one.address) for one in config.receive.listeners] == [
        (25, "192.168.1.5"),
        (587, "192.168.1.5"),
    ]
    assert config.receive.max_message_size == 20971520
    assert [str(network) for network in config.receive.rules[0].networks] == ["203.0.113.0/26"]


def test_an_office_that_delivers_directly(tmp_path: Path) -> None:
    config = configuration(proposal("direct.ini").text, tmp_path)
    assert config.sites["office"].delivery == "direct"
    assert config.hostname == "gate.branch.example"
    assert config.local.domains == ("branch.example",)
    assert "192.0.2.53" in str(config.dns.servers)
    assert [str(network) for network in config.sites["office"].networks] == ["172.16.4.0/24"]


def lines_named(notes: tuple[str, ...]) -> set[int]:
    """Of notes that begin with `line 3: ` or `lines 3, 5-9: `."""
    named: set[int] = set()
    for note in notes:
        if found := re.match(r"lines? ([0-9, -]+): ", note):
            for span in found[1].split(", "):
                first, _, last = span.partition("-")
                named.update(range(int(first), int(last or first) + 1))
    return named


def test_what_is_left_is_named_with_its_line_and_the_reason() -> None:
    notes = proposal("relay.ini").notes
    text = (DATA / "relay.ini").read_text().splitlines()
    said = "\n".join(notes)
    for word, reason in (
        ("mailqueue", "`spool`"), ("retry_period", "`retry`"), ("MERCURYP.DLL", "Dovecot"),
        ("MERCURYD.DLL", "fetchmail"), ("Aliasfile", "aliases"), ("Listfile", "local.lists"), ("Poll", "nothing is to be done"),
        ("Strict_Relay", "logins"), ("SMTP_Auth", "passwd"), ("Everyone", "alias"), ("mercury: mercury", "domain"),
    ):  # fmt: skip
        number = next(number for number, line in enumerate(text, 1) if line.startswith(word))
        assert any(number in lines_named((note,)) and reason in note for note in notes), (word, said)
    assert "put into the file aliases: postmaster: Admin" in notes
    assert "put into the file aliases: @anna.example: anna" in notes
    assert any("1.2.3 - 4" in note for note in proposal("direct.ini").notes)


def test_a_password_is_shown_nowhere(tmp_path: Path) -> None:
    done = run(DATA / "relay.ini")
    assert "s3same" not in done.stdout + done.stderr
    assert "secrets/mercury-c/smarthost" in done.stderr


def test_each_line_is_taken_over_or_named() -> None:
    """A line that is made up is in the notes, wherever it stands."""
    lines = (DATA / "relay.ini").read_text().splitlines()
    for at in range(3, len(lines)):
        changed = [*lines[:at], "Frobnicate: 7", *lines[at:]]
        notes = propose(read_ini("\n".join(changed))).notes
        if not lines[at - 1].startswith("[Domains]") and "[Domains]" not in lines[:at]:
            assert at + 1 in lines_named(notes), at


def test_a_file_as_setup_of_version_4_writes_it(tmp_path: Path) -> None:
    """All its sections and words: what matters is taken over, nothing is unknown, and the rest is few lines to read."""
    done = propose(read_ini(decode((DATA / "setup4.ini").read_bytes())))
    config = configuration(done.text, tmp_path)
    assert config.hostname == "mail.school.example"
    assert config.local.domains == ("school.example",)
    assert config.sites["office"].delivery == "direct"
    assert [str(network) for network in config.sites["office"].networks] == ["192.168.1.0/24"]
    assert [(one.port, one.address) for one in config.receive.listeners] == [(25, "192.168.1.5")]
    assert "put into the file aliases: postmaster: Müller" in done.notes
    assert not any("not known" in note for note in done.notes)
    written = (DATA / "setup4.ini").read_bytes().split(b"\r\n")
    assert len(done.notes) < sum(b":" in line for line in written) / 2
    left = [
        number for number, line in enumerate(written, 1) if line.startswith((b"Maint_", b"RetryPeriod", b"MERCURYW"))
    ]
    assert len(left) == 4 and lines_named(done.notes) >= set(left)


def test_an_unknown_word_is_named_as_it_is_written() -> None:
    (note,) = [
        note for note in propose(read_ini("[MercuryS]\r\n\r\nFrob_Nicate = s3same\r\n")).notes if "Frob" in note
    ]
    assert note == "line 3: [MercuryS] Frob_Nicate: not known here, and not taken over"


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "utf-8", "utf-8-sig", "utf-16"])
def test_any_encoding_of_its_time_is_read(encoding: str) -> None:
    text = "[General]\r\nmyname : mail.hq.example  # Büro ü\r\n[Mercury]\r\n\tPostmaster:Jürgen#x\r\n"
    octets = text.encode(encoding) + (b"\x1a" if encoding == "cp437" else b"")
    draft = read_ini(decode(octets))
    assert (draft.hostname, draft.aliases, draft.left) == ("mail.hq.example", ["postmaster: Jürgen"], {})


def test_odd_spacing_and_comments() -> None:
    draft = read_ini(
        " [ MercuryC ] \n  HOST=smtp.isp.example; backup.isp.example #not this\n; Port : 9\n\tTCP port\t:\t465\n"
    )
    assert (draft.smarthosts, draft.port) == (["smtp.isp.example", "backup.isp.example"], "465")


def test_a_range_of_all_clients_is_its_network() -> None:
    draft = read_ini(
        "[MercuryS]\nAllow: 10.0.0.1-10.0.0.254, 2\nAllow: 10.9.0.1 - 10.9.0.6\nRefuse: 10.8.0.2-10.8.0.3\n"
    )
    assert (draft.networks, draft.refused) == (["10.0.0.0/24", "10.9.0.0/29"], ["10.8.0.2/31"])


def test_it_writes_a_file_once(tmp_path: Path) -> None:
    path = tmp_path / "mercury.yaml"
    done = run(DATA / "direct.ini", "--output", path)
    assert (done.exit_code, done.stdout) == (0, "")
    assert path.read_text() == proposal("direct.ini").text
    again = run(DATA / "direct.ini", "--output", path)
    assert again.exit_code == 2
    assert "there already" in again.stderr


def test_what_is_missing_for_a_configuration_without_errors_is_said() -> None:
    done = run(DATA / "relay.ini")
    assert done.exit_code == 1
    assert "does not exist: write the password into it" in done.stderr


@given(st.text(alphabet="[]:=#; \n\\aDomainsMercuryCSE.0-9/\"'{", max_size=200))
def test_any_text_gives_a_proposal(text: str) -> None:
    assert len(list(read_lines(text))) <= len(text.split("\n"))
    assert propose(read_ini(text)).text.startswith("# Proposed")
