"""Many fsyncs at once: each has an answer, and what cannot be tried is synced by itself."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from fakes.syscalls import failing, spied

from shared.maildir.batch import Job, Landing, commit_batch
from shared.maildir.syncs import NotTried, Syncs
from shared.maildir.tree import make_maildir


@pytest.fixture
def syncs() -> Iterator[Syncs]:
    made = Syncs()
    yield made
    made.close()


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Callable[[int], list[int]]]:
    opened: list[int] = []

    def some(count: int) -> list[int]:
        for _ in range(count):
            opened.append(os.open(tmp_path / str(len(opened)), os.O_RDWR | os.O_CREAT))
            os.write(opened[-1], b"x")
        return opened[-count:]

    yield some
    for each in opened:
        os.close(each)


@pytest.mark.parametrize("count", [0, 1, 2, 128, 300])
def test_each_file_has_its_answer(syncs: Syncs, files: Callable[[int], list[int]], count: int) -> None:
    for _ in range(2):
        assert syncs.sync(files(count) if count else []) == [None] * count


def test_folders_too(syncs: Syncs, tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert syncs.sync([folder, folder]) == [None, None]
    finally:
        os.close(folder)


def test_what_has_no_sync_is_not_tried_and_the_others_are(syncs: Syncs, files: Callable[[int], list[int]]) -> None:
    """A pipe ends the submission of what comes behind it, as the kernel takes requests in order."""
    reader, writer = os.pipe()
    one, two = files(2)
    try:
        answers = syncs.sync([one, writer, two])
    finally:
        os.close(reader)
        os.close(writer)
    assert answers[0] is None
    assert all(isinstance(answer, NotTried) for answer in answers[1:])
    assert syncs.sync([one, two]) == [None, None]


def test_a_machine_without_it_has_tried_nothing(
    files: Callable[[int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.maildir.syncs._CALLS", {})
    syncs = Syncs()
    assert all(isinstance(answer, NotTried) for answer in syncs.sync(files(3)))
    syncs.close()


def test_after_close_it_begins_anew(syncs: Syncs, files: Callable[[int], list[int]]) -> None:
    assert syncs.sync(files(2)) == [None, None]
    syncs.close()
    assert syncs.sync(files(2)) == [None, None]


class Says(Syncs):
    """What the kernel would say of the files and of the folders of a batch."""

    def __init__(self, *answers: Sequence[OSError | None]) -> None:
        super().__init__()
        self.answers = list(answers)
        self.asked: list[list[str]] = []

    def sync(self, descriptors: Sequence[int]) -> list[OSError | None]:
        self.asked.append([os.readlink(f"/proc/self/fd/{each}") for each in descriptors])
        return list(self.answers.pop(0))


@pytest.fixture
def boxes(tmp_path: Path) -> list[Path]:
    for name in "abc":
        make_maildir(tmp_path / name)
    return [tmp_path / name for name in "abc"]


def batch(boxes: list[Path]) -> list[Job]:
    return [Job([Landing(str(box), "letter", [b"x"])], lambda error: None) for box in boxes]


def test_a_batch_is_synced_side_by_side_and_then_its_folders(boxes: list[Path], syncs: Syncs) -> None:
    says = Says([None] * 3, [None] * 3)
    jobs = batch(boxes)
    with spied(0, failing(0)) as calls:
        commit_batch(jobs, None, says)
    assert [job.error for job in jobs] == [None] * 3
    assert says.asked == [[f"{box}/tmp/letter" for box in boxes], [f"{box}/new" for box in boxes]]
    assert "fsync" not in calls.made

    real = batch(boxes)
    for job in real:
        job.files[0].landing.name = "other"
    with spied(0, failing(0)) as calls:
        commit_batch(real, None, syncs)
    assert [job.error for job in real] == [None] * 3 and "fsync" not in calls.made
    assert all((box / "new" / "other").read_bytes() == b"x" for box in boxes)


def test_one_file_is_synced_by_itself(boxes: list[Path]) -> None:
    says = Says()
    with spied(0, failing(0)) as calls:
        commit_batch(batch(boxes[:1]), None, says)
    assert says.asked == [] and calls.made.count("fsync") == 2


def test_an_error_is_that_of_one_file_and_nothing_of_it_stays(boxes: list[Path]) -> None:
    bad = OSError(errno.EIO, "the disk")
    jobs = batch(boxes)
    commit_batch(jobs, None, Says([None, bad, None], [None, None]))
    assert [job.error for job in jobs] == [None, bad, None]
    assert [len(list(box.rglob("letter"))) for box in boxes] == [1, 0, 1]


def test_what_was_not_tried_is_synced_by_itself(boxes: list[Path]) -> None:
    untried = NotTried(errno.ENOSYS, "not tried")
    jobs = batch(boxes)
    with spied(0, failing(0)) as calls:
        commit_batch(jobs, None, Says([None, untried, untried], [untried, None, untried]))
    assert [job.error for job in jobs] == [None] * 3
    assert calls.made.count("fsync") == 4


def test_a_folder_that_fails_takes_back_what_stands_in_it(boxes: list[Path]) -> None:
    bad = OSError(errno.EIO, "the disk")
    jobs = batch(boxes)
    commit_batch(jobs, None, Says([None] * 3, [None, None, bad]))
    assert [job.error for job in jobs] == [None, None, bad]
    assert [len(list(box.rglob("letter"))) for box in boxes] == [1, 1, 0]


def test_answers_that_never_come_are_errors_and_it_is_not_used_again(
    syncs: Syncs, files: Callable[[int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that the kernel does not know stands for one that fails for good."""
    assert syncs.sync(files(2)) == [None, None]
    setup, submit, _, destroy = syncs._calls
    monkeypatch.setattr(syncs, "_calls", (setup, submit, 100_000, destroy))
    answers = syncs.sync(files(2))
    assert [type(answer) for answer in answers] == [OSError, OSError]
    assert all(isinstance(answer, NotTried) for answer in syncs.sync(files(2)))
