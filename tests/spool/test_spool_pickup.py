"""The pickup folder: what is put is found again as it was put, and nobody speaks in the name of another."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mail.handwritten import Wish
from shared.spool.pickup import PickupFault, PickupFolder, parse_wish, render_wish

MOST = 1_000_000


@pytest.fixture
def folder(tmp_path: Path) -> PickupFolder:
    made = PickupFolder(tmp_path / "pickup")
    made.prepare()
    return made


def test_what_was_put_is_picked(folder: PickupFolder) -> None:
    wish = Wish(("anna@hq.example", "ä@hq.example"), "", True, "Anna Ä", "never", "full", "x1")
    folder.put(wish, b"Subject: x\n\nMercury-To: not.an@envelope.example\n")
    [name] = folder.names()
    picked = folder.read(name, MOST)
    assert picked is not None
    assert (picked.uid, picked.wish) == (os.getuid(), wish)
    assert picked.message == b"Subject: x\n\nMercury-To: not.an@envelope.example\n"
    folder.remove(name)
    assert folder.read(name, MOST) is None


def test_a_file_without_an_envelope_goes_where_its_header_says() -> None:
    assert parse_wish(b"To: a@b.example\n\nx\n") == (Wish(by_header=True), b"To: a@b.example\n\nx\n")


def test_everybody_may_put_and_nobody_may_look(folder: PickupFolder) -> None:
    for part in ("tmp", "new"):
        assert stat.S_IMODE((folder.root / part).stat().st_mode) == 0o3733
    assert stat.S_IMODE(folder.root.stat().st_mode) == 0o711
    assert stat.S_IMODE((folder.root / "refused").stat().st_mode) == 0o700


def test_a_wrong_mode_is_put_right(folder: PickupFolder) -> None:
    (folder.root / "new").chmod(0o700)
    folder.prepare()
    assert stat.S_IMODE((folder.root / "new").stat().st_mode) == 0o3733


def test_links_and_what_is_no_file_is_refused(folder: PickupFolder, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("To: a@b.example\n\nsecret\n")
    os.symlink(secret, folder.root / "new/soft")
    os.link(secret, folder.root / "new/hard")
    os.mkfifo(folder.root / "new/pipe")
    (folder.root / "new/folder").mkdir()
    (folder.root / "new/large").write_bytes(b"x" * 101)
    for name, reason in [
        ("soft", "opened"),
        ("hard", "another name"),
        ("pipe", "regular"),
        ("folder", "regular"),
        ("large", "larger"),
    ]:
        with pytest.raises(PickupFault, match=reason):
            folder.read(name, 100)
        folder.refuse(name)
    assert not list(folder.names())
    assert len(list((folder.root / "refused").iterdir())) == 5


def test_what_was_never_finished_is_swept(folder: PickupFolder) -> None:
    (folder.root / "tmp/old").write_text("x")
    os.utime(folder.root / "tmp/old", (1000, 1000))
    (folder.root / "tmp/young").write_text("x")
    assert folder.sweep(2000) == 1
    assert os.listdir(folder.root / "tmp") == ["young"]


def test_a_failed_put_leaves_nothing(folder: PickupFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "no space")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError):
        folder.put(Wish(("a@b.example",)), b"x")
    assert not os.listdir(folder.root / "tmp") + os.listdir(folder.root / "new")


@pytest.mark.parametrize(
    "data",
    [
        b"Mercury-Pickup: 1\nMercury-To: a@b.example\n",
        b"Mercury-Pickup: 1\nnonsense\n\nx",
        b"Mercury-Pickup: 1\nMercury-Wish: x\n\nx",
    ],
)
def test_a_broken_envelope_is_refused(data: bytes) -> None:
    with pytest.raises(PickupFault):
        parse_wish(data)


@settings(derandomize=True, deadline=None)
@given(st.text(), st.text(), st.binary())
def test_no_word_can_end_its_line(sender: str, recipient: str, message: bytes) -> None:
    sender = sender.encode("utf-8", "ignore").decode()
    wish, rest = parse_wish(render_wish(Wish((recipient.encode("utf-8", "ignore").decode(),), sender)) + message)
    assert rest == message
    assert len(wish.recipients) == 1 and wish.sender is not None
