"""What waits, counted by site, age and reason, and as a list."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from shared.mail.address import parse_address
from shared.mail.envelope import Envelope, Recipient
from shared.routing.lane import Lane
from shared.spool.names import EntryName, claimed_name
from shared.spool.record import render_record
from shared.spool.spool import Spool
from shared.spool.trail import Trail, TrailRecord
from shared.survey.listing import Listing, describe
from shared.survey.waiting import Waiting

NOW = 1_790_000_000.0
GREY, FULL = "451 4.7.1 Greylisted for {} seconds", "452 4.2.2 <joe{}@x.example> is full"


class Queue:
    def __init__(self, root: Path) -> None:
        self.spool = Spool(root / "spool", "mail")
        self.spool.prepare()
        self.now = NOW
        self._count = 0

    def put(self, site: str, age: float, error: str = "", lane: Lane = Lane.RELAY, active: bool = False) -> str:
        self._count += 1
        queue_id = f"0000-{self._count:04d}"
        arrived = NOW - age
        to = (Recipient(parse_address(f"joe{self._count}@x.example")),)
        sender = parse_address("anna@hq.example")
        envelope = Envelope(id=queue_id, sender=sender, recipients=to, arrived=arrived, site=site, client="192.0.2.1")
        data = render_record(envelope) + b"Subject: x\r\n\r\n"
        name = str(EntryName(int(arrived), queue_id, "mail", len(data)))
        folder = self.spool.folder(lane)
        path = folder / "cur" / claimed_name(name, "mercury-c.1") if active else folder / "new" / name
        path.write_bytes(data)
        os.utime(path, (NOW + 60 * self._count, NOW + 60 * self._count))
        if error:
            recipient = str(to[0].address)
            line = TrailRecord(arrived + 1, "mercury-c", "deferred", recipient, error.format(self._count))
            Trail(f"{folder}/trail/{name}").append([line], durable=False)
        return queue_id

    def look(self) -> dict[str, Any]:
        return Waiting(self.spool, lambda: self.now).look()

    def ids(self, limit: int = 100, **wanted: Any) -> list[str]:
        return [entry.id for entry in Listing(**wanted).read(self.spool, limit, NOW)[0]]


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path)


def test_sites_ages_and_reasons(queue: Queue) -> None:
    queue.put("hq", 10)
    queue.put("hq", 7200, GREY)
    queue.put("hq", 7300, GREY)
    queue.put("branch", 400_000, GREY, active=True)
    queue.put("branch", 20, FULL, Lane.DIRECT)
    queue.put("hq", 20, lane=Lane.TRASH)
    seen = queue.look()
    assert seen["sites"] == [
        {"site": "branch", "counts": [1, 0, 0, 0, 0, 0, 1]},
        {"site": "hq", "counts": [1, 0, 0, 2, 0, 0, 0]},
    ]
    assert (seen["lanes"]["relay"]["entries"], seen["lanes"]["relay"]["active"]) == (4, 1)
    assert seen["lanes"]["trash"]["entries"] == 1 and seen["entries"] == seen["known"] == 5
    problems = {(each["site"], each["group"]): each for each in seen["problems"]}
    assert {key: each["count"] for key, each in problems.items()} == {
        ("hq", "451 4.7.1 Greylisted for … seconds"): 2,
        ("branch", "451 4.7.1 Greylisted for … seconds"): 1,
        ("branch", "452 4.2.2 … is full"): 1,
    }
    first = problems["hq", "451 4.7.1 Greylisted for … seconds"]
    assert first["next"] == NOW + 120 and first["domains"] == ["x.example"]


def test_a_long_queue_becomes_known_bit_by_bit(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.survey.waiting.READ_AT_ONCE", 4)
    for _ in range(10):
        queue.put("hq", 10)
    waiting = Waiting(queue.spool, lambda: queue.now)
    known = []
    for _ in range(4):
        known.append(waiting.look()["known"])
        queue.now += 1000
    assert known == [4, 8, 10, 10]
    assert waiting.look()["sites"][-1]["site"] == "hq"


def test_of_a_queue_without_end_the_rest_is_only_counted(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.survey.waiting.REMEMBERED", 3)
    for _ in range(5):
        queue.put("hq", 10)
    seen = queue.look()
    assert (seen["known"], seen["entries"], seen["lanes"]["relay"]["entries"]) == (3, 5, 5)
    assert [(row["site"], row["counts"][0]) for row in seen["sites"]] == [("?", 2), ("hq", 3)]


def test_a_look_is_good_for_a_moment_and_forgets_what_is_gone(queue: Queue) -> None:
    queue.put("hq", 10, GREY)
    waiting = Waiting(queue.spool, lambda: queue.now)
    assert waiting.look()["entries"] == 1
    for path in (queue.spool.folder(Lane.RELAY) / "new").iterdir():
        path.unlink()
    assert waiting.look()["entries"] == 1
    queue.now += 1000
    seen = waiting.look()
    assert (seen["entries"], seen["known"], seen["problems"]) == (0, 0, [])


def test_a_list_by_each_way_to_narrow_it(queue: Queue) -> None:
    fresh = queue.put("hq", 10)
    grey = queue.put("hq", 7200, GREY)
    full = queue.put("branch", 7200, FULL, Lane.DIRECT)
    gone = queue.put("branch", 20, lane=Lane.TRASH)
    assert queue.ids() == [grey, fresh, full]
    assert queue.ids(site="branch") == [full] and queue.ids(site="") == []
    assert queue.ids(step=0) == [fresh] and queue.ids(step=3) == [grey, full]
    assert queue.ids(group="451 4.7.1 Greylisted for … seconds") == [grey]
    assert queue.ids(text="FULL") == [full] and queue.ids(text="joe2@") == [grey] and queue.ids(text=fresh) == [fresh]
    assert queue.ids(lanes=(Lane.TRASH,)) == [gone]
    assert Listing().read(queue.spool, 2, NOW)[1] and not Listing().read(queue.spool, 3, NOW)[1]


def test_what_is_told_of_an_entry_is_no_path(queue: Queue) -> None:
    queue.put("hq", 10)
    (entry,), _ = Listing().read(queue.spool, 10, NOW)
    told = describe(entry)
    assert (told["site"], told["client"]) == ("hq", "192.0.2.1") and "path" not in told
