"""The message of an entry, from memory or from its file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shared.spool.entry_content import LONGEST_HEAD, LargeContent


def content(tmp_path: Path, message: bytes) -> LargeContent:
    (tmp_path / "entry").write_bytes(b"Mercury-Envelope: ...\r\n" + message)
    return LargeContent(str(tmp_path / "entry"), 23, len(message))


def test_chunks_are_the_message_without_the_record(tmp_path: Path) -> None:
    message = b"Subject: x\r\n\r\n" + b"0123456789" * 1000
    one = content(tmp_path, message)
    for size in (1, 7, 65536):
        chunks = list(one.chunks(size))
        assert b"".join(chunks) == message and max(map(len, chunks)) <= size
    assert one.size == len(message)


def test_a_descriptor_stands_at_the_beginning_of_the_message(tmp_path: Path) -> None:
    descriptor = content(tmp_path, b"Subject: x\r\n\r\n").open()
    try:
        assert os.read(descriptor, 10) == b"Subject: x"
    finally:
        os.close(descriptor)


def test_the_descriptor_is_closed_by_a_reader_who_stops_early(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    chunks = content(tmp_path, b"x" * 100).chunks(10)
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_that_was_cut_off_since_is_an_error_and_not_half_a_message(tmp_path: Path) -> None:
    one = content(tmp_path, b"x" * 1000)
    os.truncate(one.path, 500)
    with pytest.raises(OSError):
        list(one.chunks())


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    one = content(tmp_path, b"x" * 1000)
    os.rename(one.path, tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", one.path)
    with pytest.raises(OSError):
        list(one.chunks())


@pytest.mark.parametrize("length", [10, 65526, 65527, 65528, 65529, 65530, 65536, 200_000])
def test_the_head_ends_with_the_empty_line_wherever_it_lies(tmp_path: Path, length: int) -> None:
    head = b"X: " + b"y" * length + b"\r\n\r\n"
    assert content(tmp_path, head + b"body\r\n\r\nmore" * 10000).head() == head


def test_without_an_empty_line_the_head_is_the_message(tmp_path: Path) -> None:
    assert content(tmp_path, b"Subject: x\r\n").head() == b"Subject: x\r\n"


def test_a_head_without_end_is_cut_at_a_line(tmp_path: Path) -> None:
    head = content(tmp_path, b"X: y\r\n" * (LONGEST_HEAD // 3)).head()
    assert len(head) <= LONGEST_HEAD + 65536 and head.endswith(b"X: y\r\n\r\n")
