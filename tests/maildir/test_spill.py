"""Files that grow while they arrive: nothing is lost or left, and the one who writes never waits."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from fakes.spools import PromptWriter
from fakes.syscalls import failing, spied

from shared.maildir.spill import DRAINED, Spill, Writer


class Held(Writer):
    """A writer that does nothing until it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: list = []  # type: ignore[type-arg]

    def put(self, task) -> bool:  # type: ignore[no-untyped-def]
        self.tasks.append(task)
        return True

    def work(self, tasks: int = 1000) -> None:
        for task in self.tasks[:tasks]:
            task()
        del self.tasks[:tasks]


class Finish:
    def __init__(self) -> None:
        self.calls: list[tuple[OSError | None, list[tuple[str, int]]]] = []

    def __call__(self, error: OSError | None, files: Sequence[tuple[str, int]]) -> None:
        self.calls.append((error, list(files)))

    def close(self) -> None:
        for _, files in self.calls:
            for _, descriptor in files:
                os.close(descriptor)


def spill(writer: Writer, folder: Path) -> Spill:
    return Spill(writer, lambda call, *args: call(*args), [(f"{folder}/a", b"head a|"), (f"{folder}/b", b"head b|")])


def test_every_file_gets_its_head_and_the_same_content(tmp_path: Path) -> None:
    finish = Finish()
    one = spill(PromptWriter(), tmp_path)
    one.write([b"first ", b"second "])
    one.write([b"third"])
    one.finish(finish)
    finish.close()
    assert (tmp_path / "a").read_bytes() == b"head a|first second third"
    assert (tmp_path / "b").read_bytes() == b"head b|first second third"
    ((error, files),) = finish.calls
    assert error is None and [path for path, _ in files] == [f"{tmp_path}/a", f"{tmp_path}/b"]


def test_writing_never_waits_and_the_backlog_says_how_far_behind_it_is(tmp_path: Path) -> None:
    writer, finish = Held(), Finish()
    one = spill(writer, tmp_path)
    for _ in range(10):
        one.write([b"x" * 100_000])
    assert one.backlog() == 1_000_000 and not (tmp_path / "a").exists()
    writer.work()
    assert one.backlog() == 0
    one.finish(finish)
    writer.work()
    finish.close()
    assert (tmp_path / "a").stat().st_size == 7 + 1_000_000


def test_drained_is_told_once_when_little_is_left(tmp_path: Path) -> None:
    writer = Held()
    one = spill(writer, tmp_path)
    told: list[int] = []
    for _ in range(10):
        one.write([b"x" * 100_000])
    one.on_drained(lambda: told.append(one.backlog()))
    writer.work(5)  #  The first opens the files.
    assert told == []
    writer.work(1)
    assert told == [500_000] and told[0] < DRAINED
    writer.work()
    assert len(told) == 1
    one.give_up()
    writer.work()


def test_drained_is_told_soon_when_little_is_waiting_now(tmp_path: Path) -> None:
    told: list[None] = []
    one = spill(Held(), tmp_path)
    one.on_drained(lambda: told.append(None))
    assert told == [None]


def test_giving_up_removes_what_was_written_and_writes_no_more(tmp_path: Path) -> None:
    writer = Held()
    one = spill(writer, tmp_path)
    one.write([b"x"])
    writer.work()
    assert (tmp_path / "a").exists()
    one.write([b"y"])
    one.give_up()
    writer.work()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_an_error_at_any_call_is_told_at_the_end_and_leaves_nothing(tmp_path: Path, number: int) -> None:
    for at in range(1, 9):
        finish = Finish()
        with spied(at, failing(number), ("open", "writev", "write")) as calls:
            one = spill(PromptWriter(), tmp_path)
            one.write([b"x"])
            one.write([b"y"])
            one.finish(finish)
        ((error, files),) = finish.calls
        assert len(calls.made) >= at
        assert error is not None and error.errno == number and files == []
        assert one.backlog() == 0
        assert list(tmp_path.iterdir()) == [], f"call {at}"


def test_after_the_writer_has_stopped_the_end_is_an_error_and_not_silence(tmp_path: Path) -> None:
    writer, finish = Writer(), Finish()
    one = spill(writer, tmp_path)
    one.write([b"x"])
    writer.stop()
    one.write([b"y"])
    one.finish(finish)
    ((error, files),) = finish.calls
    assert isinstance(error, OSError) and files == []
    assert list(tmp_path.iterdir()) == [] and one.backlog() == 0


def test_the_thread_writes_in_order_and_stop_waits_for_it(tmp_path: Path) -> None:
    writer, finish = Writer(), Finish()
    threads: set[str] = set()
    one = spill(writer, tmp_path)
    for number in range(100):
        one.write([b"%d," % number])
    writer.put(lambda: threads.add(threading.current_thread().name))
    one.finish(finish)
    writer.stop()
    finish.close()
    assert (tmp_path / "a").read_bytes() == b"head a|" + b"".join(b"%d," % number for number in range(100))
    assert threads == {"writer"}
