"""Passwords: who may read them, what is in them, and where they never appear."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shared.service.credentials import Credentials, SecretUnusable


def secret(tmp_path: Path, content: bytes = b"s3cret\n", mode: int = 0o600) -> str:
    path = tmp_path / "isp"
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize(
    ("content", "password"),
    [
        (b"s3cret", "s3cret"),
        (b"s3cret\n", "s3cret"),
        (b"s3cret\r\n", "s3cret"),
        (b" s3 cret \n", " s3 cret "),
        ("süß\n".encode(), "süß"),
    ],
)
def test_one_line_end_is_not_part_of_it(tmp_path: Path, content: bytes, password: str) -> None:
    assert Credentials({}).read(secret(tmp_path, content)) == password


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = secret(tmp_path, mode=mode)
    with pytest.raises(SecretUnusable, match=f"mode {mode:04o}.*chmod 600 {path}") as refusal:
        Credentials({}).read(path)
    assert "s3cret" not in str(refusal.value)


def test_the_folder_of_systemd_guards_itself(tmp_path: Path) -> None:
    path = secret(tmp_path, mode=0o440)
    assert Credentials({"CREDENTIALS_DIRECTORY": str(tmp_path)}).read(path) == "s3cret"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with pytest.raises(SecretUnusable):
        Credentials({"CREDENTIALS_DIRECTORY": str(elsewhere)}).read(path)
    with pytest.raises(SecretUnusable):
        Credentials({"CREDENTIALS_DIRECTORY": str(elsewhere)}).read(f"{elsewhere}/../isp")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\n", "empty"),
        (b"a\nb\n", "more than one line"),
        (b"a\0b", "more than one line"),
        (b"\xff\xfe", "UTF-8"),
        (b"x" * 70_000, "longer"),
    ],
)
def test_what_is_no_password(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(SecretUnusable, match=words):
        Credentials({}).read(secret(tmp_path, content))


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path / "absent", tmp_path, tmp_path / "pipe"):
        with pytest.raises(SecretUnusable, match=str(path)):
            Credentials({}).read(str(path))


def test_a_changed_file_is_read_anew_and_an_unchanged_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = Credentials({})
    path = secret(tmp_path)
    reads = []
    monkeypatch.setattr("shared.service.credentials.os.read", lambda *args: reads.append(args) or b"s3cret\n")
    assert [credentials.read(path) for _ in range(3)] == ["s3cret"] * 3
    assert len(reads) == 1
    os.utime(path, ns=(1, 1))
    credentials.read(path)
    assert len(reads) == 2
    Path(path).chmod(0o644)
    with pytest.raises(SecretUnusable):
        credentials.read(path)


def test_no_password_in_any_repr(tmp_path: Path) -> None:
    credentials = Credentials({})
    credentials.read(secret(tmp_path))
    assert "s3cret" not in repr(vars(credentials))
