"""Group commit: what is acknowledged is durable, one failure is one file's, and nobody is left waiting."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.syscalls import failing, spied

from shared.maildir.batch import WHOLE_FROM, Job, Landing, commit_batch
from shared.maildir.committer import LARGEST_BATCH, PATIENT_BATCH, Committer
from shared.maildir.file_system import FileSystem
from shared.maildir.tree import make_maildir


class Answers:
    """The `done` of many submits, by name, in the order of the answers."""

    def __init__(self) -> None:
        self.by_name: dict[str, OSError | None] = {}

    def of(self, name: str) -> Callable[[OSError | None], None]:
        def done(error: OSError | None) -> None:
            assert name not in self.by_name, "answered twice"
            self.by_name[name] = error

        return done


@pytest.fixture
def box(tmp_path: Path) -> Path:
    make_maildir(tmp_path / "box")
    return tmp_path / "box"


@pytest.fixture
def answers() -> Answers:
    return Answers()


def job(answers: Answers, name: str, *landings: Landing) -> Job:
    return Job(landings, answers.of(name))


def run(*jobs: Job) -> None:
    commit_batch(jobs)
    for each in jobs:
        each.done(each.error)


def files(box: Path, part: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (box / part).iterdir()}


def test_files_stand_in_new_with_their_content_and_nothing_in_tmp(box: Path, answers: Answers) -> None:
    run(
        job(answers, "a", Landing(str(box), "one", [b"first ", b"letter"])),
        job(answers, "b", Landing(str(box), "two")),
    )
    assert files(box, "new") == {"one": b"first letter", "two": b""}
    assert files(box, "tmp") == {}
    assert answers.by_name == {"a": None, "b": None}
    assert (box / "new" / "one").stat().st_mode & 0o777 == 0o600


def test_the_order_is_write_sync_rename_sync_folder(box: Path, answers: Answers) -> None:
    jobs = [job(answers, name, Landing(str(box), name, [b"x"])) for name in "abc"]
    with spied(0, failing(0)) as calls:
        run(*jobs)
    writes = ["open", "writev"] * 3
    syncs = ["fsync", "close"] * 3
    assert calls.made == [*writes, *syncs, *["rename"] * 3, "open", "fsync", "close"]


def test_each_folder_is_synced_once(tmp_path: Path, box: Path, answers: Answers) -> None:
    make_maildir(tmp_path / "other")
    jobs = [
        job(answers, "both", Landing(str(box), "m", [b"x"]), Landing(str(tmp_path / "other"), "m", [b"x"])),
        job(answers, "one", Landing(str(box), "n", [b"x"])),
    ]
    synced = []
    real = os.fsync
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda fd: (synced.append(os.readlink(f"/proc/self/fd/{fd}")), real(fd)))
        run(*jobs)
    assert sorted(path for path in synced if path.endswith("/new")) == [f"{box}/new", f"{tmp_path}/other/new"]


def test_the_time_is_set_before_the_file_is_visible(box: Path, answers: Answers) -> None:
    with spied(0, failing(0)) as calls:
        run(job(answers, "a", Landing(str(box), "one", [b"x"], mtime=1234.5)))
    assert (box / "new" / "one").stat().st_mtime == 1234.5
    assert calls.made.index("utime") < calls.made.index("fsync")


def test_a_written_file_lands_with_or_without_its_descriptor(box: Path, answers: Answers) -> None:
    for name in ("one", "two"):
        (box / "tmp" / name).write_bytes(name.encode())
    descriptor = os.open(box / "tmp" / "two", os.O_RDWR)
    run(
        job(answers, "a", Landing(str(box), "one.final", tmp=f"{box}/tmp/one")),
        job(answers, "b", Landing(str(box), "two.final", tmp=f"{box}/tmp/two", descriptor=descriptor)),
    )
    assert files(box, "new") == {"one.final": b"one", "two.final": b"two"}
    with pytest.raises(OSError):
        os.fstat(descriptor)


def test_a_name_that_is_taken_in_tmp_is_refused_and_the_other_file_stays(box: Path, answers: Answers) -> None:
    (box / "tmp" / "one").write_bytes(b"somebody else's")
    run(job(answers, "a", Landing(str(box), "one", [b"x"])), job(answers, "b", Landing(str(box), "two", [b"x"])))
    assert isinstance(answers.by_name["a"], FileExistsError) and answers.by_name["b"] is None
    assert files(box, "tmp") == {"one": b"somebody else's"}


def test_a_link_in_the_place_of_the_tmp_file_is_not_followed(box: Path, tmp_path: Path, answers: Answers) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    (box / "tmp" / "one").symlink_to(tmp_path / "precious")
    (box / "tmp" / "two").symlink_to(tmp_path / "precious")
    run(
        job(answers, "a", Landing(str(box), "one", [b"x"])),
        job(answers, "b", Landing(str(box), "two", tmp=f"{box}/tmp/two")),
    )
    assert answers.by_name["a"] is not None and answers.by_name["b"] is not None
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert files(box, "new") == {}


def calls_of_a_batch(box: Path, answers: Answers) -> int:
    with spied(0, failing(0)) as calls:
        run(*three_jobs(box, answers, "dry"))
    return len(calls.made)


def three_jobs(box: Path, answers: Answers, tag: str) -> list[Job]:
    spilled = box / "tmp" / f"{tag}.spilled"
    spilled.write_bytes(b"large")
    return [
        job(answers, "small", Landing(str(box), f"{tag}.small", [b"x" * 10])),
        job(answers, "pair", Landing(str(box), f"{tag}.left", [b"y"]), Landing(str(box), f"{tag}.right", [b"z"])),
        job(answers, "large", Landing(str(box), f"{tag}.large", tmp=str(spilled), mtime=5.0)),
    ]


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.EINTR])
def test_an_error_at_any_call_is_never_acknowledged_and_leaves_nothing(
    tmp_path: Path, box: Path, answers: Answers, number: int
) -> None:
    """Whoever was told None has his files in new/, whole; whoever was told an error has none anywhere."""
    expected = {"small": {"small"}, "pair": {"left", "right"}, "large": {"large"}}
    failures = 0
    for at in range(1, calls_of_a_batch(box, answers) + 1):
        make_maildir(tmp_path / f"box{at}")
        answers.by_name.clear()
        jobs = three_jobs(tmp_path / f"box{at}", answers, "m")
        with spied(at, failing(number)):
            run(*jobs)
        there = {name.removeprefix("m.") for name in files(tmp_path / f"box{at}", "new")}
        wanted = {name for key, error in answers.by_name.items() if error is None for name in expected[key]}
        assert there == wanted, f"call {at}"
        assert files(tmp_path / f"box{at}", "tmp") == {}, f"call {at}"
        failures += any(error is not None for error in answers.by_name.values())
    assert failures == at  #  No call's error is overlooked, not even that of close.


def test_a_failed_sync_is_never_tried_again_on_the_same_file(box: Path, answers: Answers) -> None:
    synced: list[str] = []

    def fsync(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        raise OSError(errno.EIO, "Input/output error")

    jobs = three_jobs(box, answers, "m")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        run(*jobs)
    assert len(synced) == len(set(synced)) == 3  #  of the pair only the first is tried
    assert all(error is not None for error in answers.by_name.values())
    assert files(box, "new") == files(box, "tmp") == {}


def test_a_fault_of_ours_in_one_job_is_that_jobs_error(box: Path, answers: Answers) -> None:
    run(
        job(answers, "bad", Landing(str(box), "nul\0", [b"x"])),
        job(answers, "good", Landing(str(box), "good", [b"x"])),
    )
    assert isinstance(answers.by_name["bad"], OSError) and answers.by_name["good"] is None
    assert set(files(box, "new")) == {"good"}


# One sync for all of a file system.


class FakeFileSystem(FileSystem):
    """Everything below `box` is on it. Its sync counts among the calls, and may fail."""

    def __init__(self, box: Path) -> None:
        self._below = str(box)
        self.syncs = 0

    def sync(self) -> None:
        self.syncs += 1
        os.write(-1, b"")


def synced_by(monkeypatch: pytest.MonkeyPatch, calls: list[str]) -> None:
    real = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda fd: (calls.append(Path(os.readlink(f"/proc/self/fd/{fd}")).name), real(fd))
    )


@pytest.fixture
def whole(box: Path, monkeypatch: pytest.MonkeyPatch) -> FakeFileSystem:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: 0 if fd == -1 else real(fd, data))
    return FakeFileSystem(box)


def run_whole(whole: FileSystem, *jobs: Job) -> None:
    commit_batch(jobs, whole)
    for each in jobs:
        each.done(each.error)


def fresh(box: Path, answers: Answers, names: str) -> list[Job]:
    return [job(answers, name, Landing(str(box), name, [b"x"])) for name in names]


def test_one_sync_of_the_whole_stands_between_writing_and_the_names(
    box: Path, answers: Answers, whole: FakeFileSystem
) -> None:
    with spied(0, failing(0)) as calls:
        run_whole(whole, *fresh(box, answers, "abcd"))
    assert whole.syncs == 1 and WHOLE_FROM == 4
    writes = ["open", "writev"] * 4
    assert calls.made == [*writes, "write", *["close"] * 4, *["rename"] * 4, "open", "fsync", "close"]
    assert set(files(box, "new")) == set("abcd") and set(answers.by_name.values()) == {None}


def test_few_files_are_synced_one_by_one(
    box: Path, answers: Answers, whole: FakeFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    synced_by(monkeypatch, calls)
    run_whole(whole, *fresh(box, answers, "abc"))
    assert whole.syncs == 0 and calls == ["a", "b", "c", "new"]


def test_what_came_written_and_what_lies_elsewhere_is_synced_by_itself(
    tmp_path: Path, box: Path, answers: Answers, whole: FakeFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_maildir(tmp_path / "other")
    (box / "tmp" / "large").write_bytes(b"large")
    calls: list[str] = []
    synced_by(monkeypatch, calls)
    run_whole(
        whole,
        *fresh(box, answers, "abcd"),
        job(answers, "large", Landing(str(box), "large", tmp=f"{box}/tmp/large")),
        job(answers, "mixed", Landing(str(box), "e", [b"x"]), Landing(str(tmp_path / "other"), "e", [b"x"])),
    )
    assert whole.syncs == 1 and calls == ["large", "e", "new", "new"]
    assert set(answers.by_name.values()) == {None}
    assert set(files(box, "new")) == {*"abcde", "large"} and set(files(tmp_path / "other", "new")) == {"e"}


def test_after_a_failed_sync_of_the_whole_each_file_answers_for_itself(
    box: Path, answers: Answers, whole: FakeFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def fail() -> None:
        raise OSError(errno.EIO, "Input/output error")

    def fsync(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith("/tmp/b"):
            fail()
        real(descriptor)

    monkeypatch.setattr(whole, "sync", fail)
    monkeypatch.setattr(os, "fsync", fsync)
    run_whole(whole, *fresh(box, answers, "abcd"))
    assert [name for name, error in answers.by_name.items() if error] == ["b"]
    assert set(files(box, "new")) == set("acd") and files(box, "tmp") == {}


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_with_one_sync_an_error_at_any_call_is_never_acknowledged_and_leaves_nothing(
    tmp_path: Path, box: Path, answers: Answers, whole: FakeFileSystem, number: int
) -> None:
    expected = {"small": {"small"}, "pair": {"left", "right"}, "large": {"large"}, "more": {"more"}}

    def jobs_of(place: Path) -> list[Job]:
        more = job(answers, "more", Landing(str(place), "m.more", [b"x"]))
        return [*three_jobs(place, answers, "m"), more]

    at, made = 0, []
    while not at or len(made) >= at:
        at += 1
        place = tmp_path / f"box{at}"
        make_maildir(place)
        answers.by_name.clear()
        jobs = jobs_of(place)
        with spied(at, failing(number)) as calls:
            run_whole(FakeFileSystem(place), *jobs)
        made = calls.made
        there = {name.removeprefix("m.") for name in files(place, "new")}
        wanted = {name for key, error in answers.by_name.items() if error is None for name in expected[key]}
        assert there == wanted, f"call {at}"
        assert files(place, "tmp") == {}, f"call {at}"
        is_told = any(error is not None for error in answers.by_name.values())
        #  The sync of the whole may fail: those of the files tell the truth then.
        assert is_told or at > len(made) or made[at - 1] == "write", f"call {at}"
    assert at > 15


# The thread. `call_from_thread` runs the answers in the thread itself, and an event says when they are in.


class Threaded:
    def __init__(self) -> None:
        self.answered = threading.Semaphore(0)
        self.committer = Committer(self._call)

    def _call(self, call: Callable[..., object], *args: object) -> None:
        try:
            call(*args)
        finally:
            self.answered.release()


def test_the_thread_answers_what_was_submitted(box: Path, answers: Answers) -> None:
    threaded = Threaded()
    threaded.committer.start()
    threaded.committer.submit([Landing(str(box), "one", [b"x" * 100])], answers.of("a"))
    threaded.answered.acquire(timeout=30)
    assert answers.by_name == {"a": None}
    assert threaded.committer.backlog() == 0
    threaded.committer.stop()


def test_stop_drains_what_was_submitted(box: Path, answers: Answers) -> None:
    threaded = Threaded()
    for number in range(300):
        threaded.committer.submit([Landing(str(box), f"m{number}", [b"x"])], answers.of(str(number)))
    assert threaded.committer.backlog() == 300
    threaded.committer.start()
    threaded.committer.stop()
    assert len(files(box, "new")) == 300 == len(answers.by_name)
    assert threaded.committer.backlog() == 0


def test_batches_hold_no_more_descriptors_than_they_should(box: Path, answers: Answers) -> None:
    threaded = Threaded()
    for number in range(300):
        threaded.committer.submit([Landing(str(box), f"m{number}", [b"x"])], answers.of(str(number)))
    sizes = []
    running = True
    threaded.committer._queue.put(None)
    while running:
        jobs, running = threaded.committer._next_batch()
        sizes.append(len(jobs))
    assert sizes == [128, 128, 44]


def patient(committer: Committer, box: Path, answers: Answers, *names: str) -> None:
    for name in names:
        committer.submit([Landing(str(box), name, [b"x"])], answers.of(name), is_patient=True)


def named(jobs: list[Job]) -> list[str]:
    return [file.landing.name for job in jobs for file in job.files]


def test_what_is_patient_goes_at_once_when_there_is_nothing_else(box: Path, answers: Answers) -> None:
    threaded = Threaded()
    threaded.committer.start()
    patient(threaded.committer, box, answers, "one")
    assert threaded.answered.acquire(timeout=30)
    assert answers.by_name == {"one": None}
    threaded.committer.stop()


def test_what_is_patient_lets_others_go_first_until_it_is_many(
    box: Path, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.maildir.committer.PATIENCE", 3600.0)
    committer = Threaded().committer
    names = [f"p{number}" for number in range(PATIENT_BATCH)]
    for name in "ab":
        committer.submit([Landing(str(box), name, [b"x"])], answers.of(name))
    patient(committer, box, answers, *names[:-1])
    assert named(committer._next_batch()[0]) == ["a", "b"]
    committer.submit([Landing(str(box), "c", [b"x"])], answers.of("c"))
    assert named(committer._next_batch()[0]) == ["c"]
    patient(committer, box, answers, names[-1])
    committer.submit([Landing(str(box), "d", [b"x"])], answers.of("d"))
    assert named(committer._next_batch()[0]) == ["d", *names]


def test_what_is_patient_goes_along_with_a_full_batch_too(
    box: Path, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much is received, mail is delivered."""
    monkeypatch.setattr("shared.maildir.committer.PATIENCE", 3600.0)
    committer = Threaded().committer
    names = [f"p{number}" for number in range(PATIENT_BATCH)]
    patient(committer, box, answers, *names)
    for number in range(300):
        committer.submit([Landing(str(box), f"m{number}", [b"x"])], answers.of(str(number)))
    assert [len(committer._next_batch()[0]) for _ in range(3)] == [LARGEST_BATCH + PATIENT_BATCH, LARGEST_BATCH, 44]


def test_what_is_patient_has_patience_for_so_long(
    box: Path, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread waits for others as long as that, and then takes what there is."""
    monkeypatch.setattr("shared.maildir.committer.PATIENCE", 0.001)
    committer = Threaded().committer
    for name in "ab":
        committer.submit([Landing(str(box), name, [b"x"])], answers.of(name))
    assert named(committer._next_batch()[0]) == ["a", "b"]
    patient(committer, box, answers, "one", "two")
    taken: list[str] = []
    while len(taken) < 2:
        taken += named(committer._next_batch()[0])
    assert taken == ["one", "two"]


def test_stop_waits_for_the_patient_too(box: Path, answers: Answers) -> None:
    threaded = Threaded()
    for number in range(300):
        threaded.committer.submit([Landing(str(box), f"m{number}", [b"x"])], answers.of(str(number)), is_patient=True)
    threaded.committer.start()
    threaded.committer.stop()
    assert len(files(box, "new")) == 300 == len(answers.by_name)
    assert threaded.committer.backlog() == 0


def test_after_stop_a_submit_is_refused_and_answered(box: Path, answers: Answers) -> None:
    threaded = Threaded()
    threaded.committer.start()
    threaded.committer.stop()
    (box / "tmp" / "large").write_bytes(b"x")
    threaded.committer.submit([Landing(str(box), "late", tmp=f"{box}/tmp/large")], answers.of("late"))
    assert isinstance(answers.by_name["late"], OSError)
    assert files(box, "new") == files(box, "tmp") == {}


def test_a_fault_in_the_thread_leaves_nobody_waiting_and_the_thread_alive(
    box: Path, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(jobs: object) -> None:
        raise MemoryError("no more")

    threaded = Threaded()
    with monkeypatch.context() as patch:
        patch.setattr("shared.maildir.committer.commit_batch", broken)
        threaded.committer.start()
        threaded.committer.submit([Landing(str(box), "one", [b"x"])], answers.of("a"))
        threaded.answered.acquire(timeout=30)
    threaded.committer.submit([Landing(str(box), "two", [b"x"])], answers.of("b"))
    threaded.answered.acquire(timeout=30)
    threaded.committer.stop()
    assert isinstance(answers.by_name["a"], OSError) and answers.by_name["b"] is None
    assert set(files(box, "new")) == {"two"}


def test_a_done_that_raises_does_not_keep_others_from_hearing(box: Path, answers: Answers) -> None:
    heard: list[Exception] = []

    def call(function: Callable[..., object], *args: object) -> None:
        try:
            function(*args)
        except Exception as error:
            heard.append(error)

    def broken(error: OSError | None) -> None:
        raise ZeroDivisionError

    committer = Committer(call)
    committer.submit([Landing(str(box), "one", [b"x"])], broken)
    committer.submit([Landing(str(box), "two", [b"x"])], answers.of("b"))
    committer.start()
    committer.stop()
    assert answers.by_name == {"b": None}
    assert len(heard) == 1 and isinstance(heard[0], ExceptionGroup)


def test_a_loop_that_is_closed_does_not_end_the_thread(box: Path, answers: Answers) -> None:
    def closed(function: Callable[..., object], *args: object) -> None:
        raise RuntimeError("Event loop is closed")

    committer = Committer(closed)
    committer.start()
    committer.submit([Landing(str(box), "one", [b"x"])], answers.of("a"))
    committer.stop()
    assert set(files(box, "new")) == {"one"} and answers.by_name == {}


# Gathering: what one wave of the loop brings is one batch.


class Turns:
    """The loop's turns, taken by hand."""

    def __init__(self) -> None:
        self.asked: list[Callable[[], None]] = []
        self.committer = Committer(lambda call, *args: call(*args), self.asked.append)

    def turn(self) -> None:
        asked, self.asked[:] = list(self.asked), []
        for call in asked:
            call()

    def batch(self) -> int:
        """How many jobs the thread would take now; 0 when nothing was handed over."""
        return 0 if self.committer._queue.empty() else len(self.committer._next_batch()[0])


def test_what_comes_in_following_turns_is_gathered_until_a_turn_brings_nothing(box: Path, answers: Answers) -> None:
    turns = Turns()
    for number in range(3):
        turns.committer.submit([Landing(str(box), f"m{number}", [b"x"])], answers.of(str(number)))
        turns.turn()
        assert turns.batch() == 0, "this turn brought something, so another is waited for"
    turns.turn()
    assert turns.batch() == 3
    assert turns.asked == []


def test_a_lone_submit_waits_for_one_turn_that_brings_nothing(box: Path, answers: Answers) -> None:
    turns = Turns()
    turns.committer.submit([Landing(str(box), "one", [b"x"])], answers.of("a"))
    turns.turn()
    turns.turn()
    assert turns.batch() == 1


def test_a_full_batch_waits_for_no_turn_more(box: Path, answers: Answers) -> None:
    turns = Turns()
    for number in range(LARGEST_BATCH):
        turns.committer.submit([Landing(str(box), f"m{number}", [b"x"])], answers.of(str(number)))
    turns.turn()
    assert turns.batch() == LARGEST_BATCH


def test_stop_does_not_forget_what_is_being_gathered(box: Path, answers: Answers) -> None:
    turns = Turns()
    turns.committer.start()
    turns.committer.submit([Landing(str(box), "one", [b"x"])], answers.of("a"))
    turns.committer.stop()
    assert answers.by_name == {"a": None}
