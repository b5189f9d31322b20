"""Deposit: one entry in each lane with the same id, in memory or spilled, durable when acknowledged."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.spools import MESSAGE, NOW, PromptCommitter, TestSpool
from fakes.syscalls import failing, spied
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.maildir.spill import Writer
from shared.routing.lane import Lane
from shared.spool.deposit import Depositor, Letter, deposit
from shared.spool.ids import QueueIds
from shared.spool.record import parse_record, render_record


@pytest.fixture
def place(tmp_path: Path) -> TestSpool:
    return TestSpool(tmp_path)


def draft_of(place: TestSpool, message: bytes, *lanes: Lane, piece: int = 0) -> list[OSError | None]:
    draft = place.depositor.draft([Letter(lane, place.envelope()) for lane in lanes[:1]])
    if len(lanes) > 1:
        envelope = place.envelope()
        draft = place.depositor.draft([Letter(lane, envelope) for lane in lanes])
    for start in range(0, len(message), piece or len(message) or 1):
        draft.write(message[start : start + (piece or len(message))])
    assert draft.size == len(message)
    answers: list[OSError | None] = []
    draft.commit(answers.append)
    return answers


def test_the_file_is_record_and_message_and_the_name_says_how_long(place: TestSpool) -> None:
    envelope = place.envelope("berta@partner.example", "jürgen@bücher.example")
    name = place.deposit(envelope)
    data = (place.spool.folder(Lane.RELAY) / "new" / name).read_bytes()
    assert data == render_record(envelope) + MESSAGE
    assert name == f"{int(NOW)}.{envelope.id}.node.test,S={len(data)}"


def test_one_entry_in_each_lane_with_the_same_id_and_its_own_recipients(place: TestSpool) -> None:
    both = place.envelope("a@here.example", "b@there.example")
    local, relay = replace(both, recipients=both.recipients[:1]), replace(both, recipients=both.recipients[1:])
    draft = place.depositor.draft([Letter(Lane.LOCAL, local), Letter(Lane.RELAY, relay)])
    draft.write(MESSAGE)
    answers: list[OSError | None] = []
    draft.commit(answers.append)
    assert answers == [None]
    for lane, envelope in ((Lane.LOCAL, local), (Lane.RELAY, relay)):
        (name,) = place.names(lane)
        assert parse_record((place.spool.folder(lane) / "new" / name).read_bytes())[0] == envelope


@settings(derandomize=True, max_examples=25, deadline=None)
@given(
    size=st.one_of(st.integers(0, 10), st.integers(262_140, 262_150), st.integers(0, 900_000)),
    piece=st.sampled_from([1000, 4096, 65536, 1_000_000]),
)
def test_any_size_in_any_pieces_is_the_same_file(
    size: int, piece: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = TestSpool(tmp_path_factory.mktemp("sizes"))
    message = (bytes(range(256)) * (size // 256 + 1))[:size]
    assert draft_of(place, message, Lane.LOCAL, Lane.HOLD, piece=piece) == [None]
    for lane in (Lane.LOCAL, Lane.HOLD):
        (name,) = place.names(lane)
        path = place.spool.folder(lane) / "new" / name
        data = path.read_bytes()
        assert data[parse_record(data)[1] :] == message
        assert name.endswith(f",S={len(data)}") and path.stat().st_mode & 0o777 == 0o600
    assert len(place.files()) == 2


def test_byte_by_byte_is_the_same_file(place: TestSpool) -> None:
    message = bytes(range(256)) * 1200  #  spilled on the way
    assert draft_of(place, message, Lane.RELAY, piece=1) == [None]
    (name,) = place.names()
    assert (place.spool.folder(Lane.RELAY) / "new" / name).read_bytes().endswith(message)


def test_nothing_is_on_disk_before_the_commit_of_a_small_message(place: TestSpool) -> None:
    draft = place.depositor.draft([Letter(Lane.RELAY, place.envelope())])
    draft.write(b"x" * 256 * 1024)
    assert place.files() == [] and draft.backlog() == 0
    draft.abandon()
    assert place.files() == []


def test_an_abandoned_large_message_leaves_nothing(place: TestSpool) -> None:
    draft = place.depositor.draft([Letter(lane, place.envelope()) for lane in (Lane.RELAY,)])
    draft.write(b"x" * 300_000)
    assert [path.split("/")[:2] for path in place.files()] == [[".relay", "tmp"]]
    draft.abandon()
    draft.abandon()
    draft.write(b"too late")
    assert place.files() == []
    with pytest.raises(ValueError):
        draft.commit(lambda error: None)


def test_abandoning_after_the_commit_changes_nothing(place: TestSpool) -> None:
    draft = place.depositor.draft([Letter(Lane.RELAY, place.envelope())])
    draft.write(b"x" * 300_000)
    answers: list[OSError | None] = []
    draft.commit(answers.append)
    draft.abandon()
    assert answers == [None] and len(place.names()) == 1


@pytest.mark.parametrize("size", [100, 300_000])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EMFILE])
def test_an_error_at_any_call_is_told_and_leaves_nothing(place: TestSpool, number: int, size: int) -> None:
    place.envelope()  #  The block of ids is reserved before the counting begins.
    with spied(0, failing(0)) as calls:
        assert draft_of(place, b"x" * size, Lane.RELAY, Lane.DIRECT) == [None]
    before = place.files()
    for at in range(1, len(calls.made) + 1):
        with spied(at, failing(number)):
            (answer,) = draft_of(place, b"x" * size, Lane.RELAY, Lane.DIRECT)
        assert answer is not None and answer.errno == number, f"call {at}"
        assert place.files() == before, f"call {at}"
    assert draft_of(place, b"x" * size, Lane.RELAY) == [None]


def test_an_error_while_spilling_shows_before_the_end(place: TestSpool) -> None:
    draft = place.depositor.draft([Letter(Lane.RELAY, place.envelope())])
    assert draft.error is None
    with spied(1, failing(errno.ENOSPC), ("writev",)):
        draft.write(b"x" * 300_000)
    assert draft.error is not None and draft.error.errno == errno.ENOSPC
    assert draft.backlog() == 0


class SlowWriter(Writer):
    """Works when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: list[Callable[[], None]] = []

    def put(self, task: Callable[[], None]) -> bool:
        self.tasks.append(task)
        return True

    def work(self) -> None:
        tasks, self.tasks = self.tasks, []
        for task in tasks:
            task()


def test_writing_never_waits_for_the_disk(tmp_path: Path) -> None:
    place = TestSpool(tmp_path)
    writer = SlowWriter()
    place.committer.writer = writer
    draft = place.depositor.draft([Letter(Lane.RELAY, place.envelope())])
    drained: list[None] = []
    for _ in range(21):
        draft.write(b"x" * 65536)
    assert place.files() == [] and draft.backlog() == 21 * 65536
    draft.on_drained(lambda: drained.append(None))
    assert drained == []
    writer.work()
    assert drained == [None] and draft.backlog() == 0
    answers: list[OSError | None] = []
    draft.commit(answers.append)
    assert answers == [] and place.names() == []
    writer.work()
    assert answers == [None] and len(place.names()) == 1


def test_a_small_message_is_always_drained(place: TestSpool) -> None:
    drained: list[None] = []
    place.depositor.draft([Letter(Lane.RELAY, place.envelope())]).on_drained(lambda: drained.append(None))
    assert drained == [None]


def test_two_letters_to_one_lane_or_none_are_refused(place: TestSpool) -> None:
    letter = Letter(Lane.RELAY, place.envelope())
    for letters in ([], [letter, letter]):
        with pytest.raises(ValueError):
            place.depositor.draft(letters)


def test_a_second_deposit_under_one_id_never_takes_the_place_of_the_first(place: TestSpool) -> None:
    """What is split off an entry later has the id of its message, and may be of the same length too."""
    envelope = place.envelope()
    names = [place.deposit(envelope)]
    for count in (2, 3):
        draft = place.depositor.draft([Letter(Lane.RELAY, envelope)])
        draft.write(MESSAGE)
        draft.commit(lambda error: None)
        names = place.names()
        assert len(names) == count
    assert sum(",C=" in name for name in names) == 2


def test_ids_that_were_never_used_are_not_remembered_for_ever(place: TestSpool) -> None:
    old = place.envelope()
    for _ in range(10_001):
        place.depositor.next_id()
    assert ",C=" in place.deposit(old) and ",C=" not in place.deposit()
    assert len(place.depositor._unused) <= 10_000


def test_deposit_waits_until_it_is_durable(place: TestSpool) -> None:
    asyncio.run(deposit(place.depositor, [Letter(Lane.RELAY, place.envelope())], MESSAGE))
    assert len(place.names()) == 1


def test_deposit_raises_what_went_wrong(place: TestSpool) -> None:
    envelope = place.envelope()
    with spied(1, failing(errno.ENOSPC), ("fsync",)), pytest.raises(OSError) as caught:
        asyncio.run(deposit(place.depositor, [Letter(Lane.RELAY, envelope)], MESSAGE))
    assert caught.value.errno == errno.ENOSPC and place.files() == []


def test_a_deposit_that_nobody_waits_for_any_more_does_not_fail(tmp_path: Path) -> None:
    """Its answer comes after the task was cancelled."""
    place = TestSpool(tmp_path)

    class Later(PromptCommitter):
        def submit(self, landings, done):  # type: ignore[no-untyped-def]
            self.then = lambda: done(None)

    later = Later()
    depositor = Depositor(place.spool, later, QueueIds(place.spool.root))

    async def scene() -> None:
        task = asyncio.create_task(deposit(depositor, [Letter(Lane.RELAY, place.envelope())], MESSAGE))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        later.then()

    asyncio.run(scene())
