"""The keeper files every line once, in turn, whatever happens to the files; trouble is said once and passes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.history.keeper import Keeper, Terms
from shared.history.search import History
from shared.history.segment import Reading, segments
from shared.history.selection import Row, block_of
from shared.observe import events
from shared.observe.log import EventLog
from shared.observe.sinks import RecordFile

NOW = 1_795_456_686.0
DAY = 86400.0


class House:
    """Records that are written, a keeper that files them, and what it complains of."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now = NOW
        self.said: list[str] = []
        self.free = 10**12
        self.log = EventLog(clock=lambda: self.now)
        self.records = RecordFile(root / "events" / "mercury-s.jsonl", rotate_at=2000)
        self.log.open("mercury-s", records=self.records)
        self.keeper = self.new_keeper()

    def new_keeper(self, terms: Terms = Terms()) -> Keeper:  # noqa: B008 - it is frozen
        return Keeper(
            self.root / "events", self.root / "history", ("mercury-s",), terms,
            lambda name, **fields: self.said.append(str(name)), lambda: self.now, lambda folder: self.free,
        )  # fmt: skip

    def accept(self, queue_id: str) -> None:
        self.log.event(events.MESSAGE_ACCEPTED, id=queue_id, sender="anna@hq.example", size=1)
        self.log.flush()

    @property
    def history(self) -> History:
        return History(self.root / "history", self.root / "events")

    def filed(self) -> list[str]:
        """Ids in the database files alone."""
        found = []
        for file in segments(self.root / "history"):
            if not file.is_damaged:
                with Reading(file.path) as reading:
                    found += [str(row[1]) for row in reading.holding((), 0, 9e9)]
        return found

    def blocks(self) -> list[bytes]:
        [file] = segments(self.root / "history")
        with sqlite3.connect(file.path) as database:
            return [lines for [lines] in database.execute("SELECT lines FROM block")]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_lines_are_filed_once_also_by_the_next_keeper(house: House) -> None:
    house.accept("0001-AAAA")
    house.keeper.round()
    house.keeper.round()
    house.accept("0002-AAAA")
    house.keeper.start()
    house.keeper.stop(60)
    house.new_keeper().round()
    assert house.filed() == ["0001-AAAA", "0002-AAAA"]
    [[at, queue_id, line]] = house.history.about("0002-AAAA")
    assert (at, queue_id) == (NOW, "0002-AAAA")
    assert json.loads(line)["sender"] == "anna@hq.example"


def test_what_is_not_filed_yet_is_found_in_the_records(house: House) -> None:
    house.accept("0001-AAAA")
    house.keeper.round()
    house.accept("0002-AAAA")
    assert [row[1] for row in house.history.holding(("anna",))] == ["0002-AAAA", "0001-AAAA"]
    assert len(house.history.about("0001-AAAA")) == len(house.history.about("0002-AAAA")) == 1


def test_nothing_is_missed_when_the_records_are_turned_over(house: House) -> None:
    ids = [f"{number:04d}-AAAA" for number in range(80)]
    for number, queue_id in enumerate(ids):
        house.accept(queue_id)
        if number % 17 == 0:
            house.keeper.round()
    house.keeper.round()
    assert (house.root / "events" / "mercury-s.jsonl.3").exists()
    assert house.filed() == ids


def test_half_a_line_waits_for_its_end(house: House) -> None:
    line = f'{{"at":{NOW},"daemon":"mercury-s","event":"message-accepted","id":"0001-AAAA"}}\n'
    with (house.root / "events" / "mercury-s.jsonl").open("a") as file:
        file.write(line[:40])
        file.flush()
        house.keeper.round()
        assert house.filed() == []
        file.write(line[40:])
    house.keeper.round()
    assert house.filed() == ["0001-AAAA"]


def test_only_what_is_about_messages_and_refusals_is_kept(house: House) -> None:
    house.log.event(events.SESSION_OPENED, client="192.0.2.1")
    house.log.event(events.SESSION_REFUSED, client='192.0.2.1","id":"9999-AAAA', reply="554 5.7.1 No")
    house.log.event(events.MESSAGE_BOUNCED, id="0001-AAAA", report="0002-AAAA")
    house.log.flush()
    house.keeper.round()
    assert house.filed() == ["None", "0001-AAAA", "0002-AAAA"]


def test_what_is_filed_at_once_is_one_block(house: House) -> None:
    house.records = RecordFile(house.root / "events" / "mercury-s.jsonl")
    house.log.open("mercury-s", records=house.records)
    for number in range(500):
        house.log.event(events.MESSAGE_ACCEPTED, id=f"{number:04d}-AAAA")
        house.log.event(events.SESSION_CLOSED, client="192.0.2.1", reason="quit", messages=1)
    house.log.flush()
    house.keeper.round()
    [lines] = house.blocks()
    assert lines.count(b"\n") == 499 and b"session-closed" not in lines


def test_what_is_not_kept_is_not_read_again(house: House) -> None:
    house.log.event(events.SESSION_OPENED, client="192.0.2.1")
    house.log.flush()
    house.keeper.round()
    [file] = segments(house.root / "history")
    with Reading(file.path) as reading:
        assert reading.positions()["mercury-s"].offset == house.records.path.stat().st_size
    assert house.blocks() == []


def test_no_value_is_taken_for_a_queue_id() -> None:
    hostile = b'{"at":1.0,"daemon":"s","event":"session-opened","client":"x\\",\\"id\\":\\"9999-AAAA"}\n'
    torn = b'{"at":1.0,"daemon":"s","event":"mess'
    assert block_of(hostile + torn + b"\n") == ("", b"")
    good = b'{"at":1.0,"daemon":"s","event":"message-bounced","id":"0001-AAAA","report":"0002-AAAA"}'
    assert block_of(hostile + good + b"\n" + torn + b"\n") == ("0001-AAAA 0002-AAAA", good)


def test_many_messages_are_read_at_once(house: House) -> None:
    ids = [f"{number:04d}-AAAA" for number in range(40)]
    for number, queue_id in enumerate(ids):
        house.accept(queue_id)
        if number % 7 == 0 and number < 30:  # the last ones stand in the records alone
            house.now += DAY
            house.keeper.round()
    wanted = [*ids[::3], "9999-AAAA"]
    found = house.history.about_all(wanted)
    assert list(found) == wanted and found["9999-AAAA"] == []
    assert found == {queue_id: house.history.about(queue_id) for queue_id in wanted}
    assert {len(rows) for rows in found.values()} == {0, 1}


def test_half_a_line_is_not_found_before_its_end(house: House) -> None:
    house.accept("0001-AAAA")
    house.keeper.round()
    house.accept("0002-AAAA")
    line = house.records.path.read_text().splitlines(keepends=True)[-1].replace("0002", "0003")
    with house.records.path.open("a") as file:
        for part, ids in (
            (line[:-20], ["0002-AAAA", "0001-AAAA"]),
            (line[-20:], ["0002-AAAA", "0003-AAAA", "0001-AAAA"]),
        ):
            file.write(part)
            file.flush()
            assert [row[1] for row in house.history.holding(("anna",))] == ids


def test_records_that_were_turned_over_since_they_were_filed_are_found(house: House) -> None:
    ids = [f"{number:04d}-AAAA" for number in range(40)]
    for number, queue_id in enumerate(ids):
        house.accept(queue_id)
        if number == 5:
            house.keeper.round()
    assert (house.root / "events" / "mercury-s.jsonl.2").exists()
    assert sorted(str(row[1]) for row in house.history.holding(())) == ids
    assert [len(house.history.about(queue_id)) for queue_id in ids] == [1] * len(ids)


def test_what_is_filed_while_somebody_searches_is_not_missed(house: House) -> None:
    house.accept("0001-AAAA")
    house.keeper.round()
    house.accept("0002-AAAA")
    search = house.history

    def then_file(read: Callable[..., Iterator[Row]]) -> Callable[..., list[Row]]:
        def reading(*arguments: object) -> list[Row]:
            rows = list(read(*arguments))
            house.keeper.round()
            return rows

        return reading

    for name in ("_fresh", "_read"):
        setattr(search, name, then_file(getattr(search, name)))
    assert [row[1] for row in search.about("0002-AAAA")] == ["0002-AAAA"]


def test_old_files_go_whole(house: House) -> None:
    house.keeper.terms = Terms(keep=10 * DAY)
    for day in range(15):
        house.now = NOW + day * DAY + day
        house.accept(f"{day:04d}-AAAA")
        house.keeper.round()
    assert house.filed() == [f"{day:04d}-AAAA" for day in range(4, 15)]
    assert not list((house.root / "history").glob("*-wal"))[1:]


def test_the_oldest_go_when_there_is_no_room(house: House) -> None:
    house.records = RecordFile(house.root / "events" / "mercury-s.jsonl")
    house.log.open("mercury-s", records=house.records)
    house.keeper.terms = Terms(size=1024 * 1024)
    for batch in range(8):
        for number in range(1000):
            house.log.event(events.MESSAGE_ACCEPTED, id=f"{batch}{number:03d}-AAAA", sender="a" * 200)
        house.log.flush()
        house.now += 100
        house.keeper.round()
    filed = house.filed()
    assert filed[-1] == "7999-AAAA" and "0000-AAAA" not in filed
    assert sum(file.size for file in segments(house.root / "history")) < 2 * 1024 * 1024


def test_a_full_disk_is_said_once_and_nothing_is_lost(house: House) -> None:
    house.free = 1000
    for number in range(3):
        house.accept(f"{number:04d}-AAAA")
        house.keeper.round()
    assert house.said == ["history-trouble"] and house.filed() == []
    house.free = 10**12
    house.keeper.round()
    assert house.said == ["history-trouble", "history-back"]
    assert house.filed() == ["0000-AAAA", "0001-AAAA", "0002-AAAA"]


def test_a_folder_that_cannot_be_made_is_trouble_and_no_more(house: House) -> None:
    (house.root / "history").write_text("in the way")
    house.accept("0001-AAAA")
    house.keeper.round()
    assert house.said == ["history-trouble"]
    assert [row[1] for row in house.history.about("0001-AAAA")] == ["0001-AAAA"]


def test_a_damaged_file_is_set_aside(house: House) -> None:
    house.accept("0001-AAAA")
    house.keeper.start()
    house.keeper.stop(60)
    [file] = segments(house.root / "history")
    file.path.write_bytes(b"no database" * 1000)
    complaints: list[object] = []
    search = History(house.root / "history", house.root / "events", lambda path, error: complaints.append(error))
    assert [row[1] for row in search.about("0001-AAAA")] == ["0001-AAAA"]  # the records still have it
    assert isinstance(complaints[0], sqlite3.DatabaseError)
    keeper = house.new_keeper()
    keeper.round()
    keeper.round()
    assert house.said == ["history-trouble", "history-back"]
    assert house.filed() == ["0001-AAAA"]
    assert [file.is_damaged for file in segments(house.root / "history")].count(True) == 1
