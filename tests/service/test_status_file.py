"""The status file: what was said last, by the process that is asked for, and never a reason to stop."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shared.service.status_file import StatusFile, read_status


def never(error: OSError) -> None:
    raise AssertionError(error)


def test_what_is_written_is_read_until_it_is_removed(tmp_path: Path) -> None:
    file = StatusFile(tmp_path / "run", "mercury-s", never, clock=lambda: 7.0)
    file.write("1 session")
    file.write("2 sessions")
    said = read_status(tmp_path / "run", "mercury-s", os.getpid())
    assert said == {"pid": os.getpid(), "since": 7.0, "at": 7.0, "status": "2 sessions"}
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mercury-s.json"]
    file.remove()
    assert read_status(tmp_path / "run", "mercury-s", os.getpid()) is None


def test_another_process_is_not_believed(tmp_path: Path) -> None:
    StatusFile(tmp_path, "mercury-s", never).write("x")
    assert read_status(tmp_path, "mercury-s", os.getpid() + 1) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"pid": 1}', '{"pid": 1, "status": 2}'])
def test_damage_is_silence(tmp_path: Path, text: str) -> None:
    (tmp_path / "mercury-s.json").write_text(text)
    assert read_status(tmp_path, "mercury-s", 1) is None


def test_a_folder_that_cannot_be_made_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    heard: list[OSError] = []
    file = StatusFile(tmp_path / "file" / "run", "mercury-s", heard.append)
    file.write("a")
    file.write("b")
    file.remove()
    assert len(heard) == 1
