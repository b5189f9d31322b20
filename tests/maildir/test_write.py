"""Everything is written, however little a single call takes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.maildir.write import start_write_back, write_pieces


def written(path: Path, pieces: list[bytes]) -> bytes:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        write_pieces(descriptor, pieces)
        start_write_back(descriptor)
    finally:
        os.close(descriptor)
    return path.read_bytes()


def test_more_pieces_than_one_call_takes(tmp_path: Path) -> None:
    pieces = [b"%d," % number for number in range(5000)]
    assert written(tmp_path / "file", pieces) == b"".join(pieces)


def test_nothing_is_written_of_nothing(tmp_path: Path) -> None:
    assert written(tmp_path / "file", []) == b""
    assert written(tmp_path / "file", [b"", b""]) == b""


@settings(derandomize=True, max_examples=60)
@given(pieces=st.lists(st.binary(max_size=9), max_size=6), takes=st.integers(min_value=1, max_value=4))
def test_short_writes_leave_nothing_out(
    pieces: list[bytes], takes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    real_writev, real_write = os.writev, os.write

    def writev(descriptor: int, group: list[bytes]) -> int:
        return real_write(descriptor, b"".join(group)[:takes])

    def write(descriptor: int, data: bytes) -> int:
        return real_write(descriptor, bytes(data)[:takes])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "writev", writev)
        patch.setattr(os, "write", write)
        assert written(tmp_path_factory.getbasetemp() / "short", pieces) == b"".join(pieces)
    assert os.writev is real_writev
