"""What stands in the queue, as numbers: by lane, site and state."""

from __future__ import annotations

from pathlib import Path

from shared.mail.address import parse_address
from shared.mail.envelope import Envelope, Recipient
from shared.observe import metrics
from shared.observe.metrics import Counts, Labels
from shared.routing.lane import Lane
from shared.service import queue_gauges
from shared.service.queue_gauges import QueueGauges
from shared.spool.names import EntryName, claimed_name
from shared.spool.record import render_record
from shared.spool.spool import Spool

NOW = 1_790_000_000


class Yard:
    """A spool, and a clock that the gauges look at."""

    def __init__(self, root: Path) -> None:
        self.spool = Spool(root / "spool", "here")
        self.spool.prepare()
        self.now = float(NOW)
        self.gauges = QueueGauges(self.spool, lambda: self.now)
        self.count = 0

    def put(self, lane: Lane, site: str, age: int = 0, owner: str = "", is_tried: bool = False) -> None:
        self.count += 1
        identity = f"0000-{self.count:04d}"
        to = (Recipient(parse_address("joe@x.example")),)
        data = render_record(Envelope(identity, None, to, float(NOW - age), site=site))
        name = str(EntryName(NOW - age, identity, "here", len(data)))
        folder = self.spool.folder(lane)
        (folder / "cur" / claimed_name(name, owner) if owner else folder / "new" / name).write_bytes(data)
        if is_tried:
            (folder / "trail" / name).write_text("")

    def look(self) -> Counts:
        self.now += 10_000
        return self.gauges.look()


def queue(counts: Counts) -> dict[Labels, float]:
    return {labels: value for labels, value in counts.numbers[metrics.QUEUE].items() if value}


def test_by_lane_site_and_state(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    yard.put(Lane.RELAY, "hq")
    yard.put(Lane.RELAY, "hq", age=500, is_tried=True)
    yard.put(Lane.RELAY, "branch", owner="mercury-c-1")
    yard.put(Lane.HOLD, "branch")
    counts = yard.look()
    assert queue(counts) == {
        ("relay", "hq", "waiting"): 1,
        ("relay", "hq", "deferred"): 1,
        ("relay", "branch", "active"): 1,
        ("hold", "branch", "held"): 1,
    }
    assert counts.numbers[metrics.QUEUE_OLDEST][("relay",)] == 10_500
    assert counts.numbers[metrics.QUEUE_OLDEST][("local",)] == 0
    assert counts.numbers[metrics.QUEUE_OCTETS][("relay",)] > 300
    assert counts.numbers[metrics.FREE][()] > 0
    assert counts.numbers[metrics.QUEUE][("direct", "", "waiting")] == 0  # an empty lane has its zero


def test_sites_of_a_large_lane_are_shared_out_until_all_are_read(tmp_path: Path, monkeypatch: object) -> None:
    yard = Yard(tmp_path)
    for number in range(40):
        yard.put(Lane.RELAY, "hq" if number % 2 else "branch")
    before, queue_gauges.READ_AT_ONCE = queue_gauges.READ_AT_ONCE, 15
    try:
        assert sum(queue(yard.look()).values()) in (39, 40, 41)
        yard.look()
        assert queue(yard.look()) == {("relay", "hq", "waiting"): 20, ("relay", "branch", "waiting"): 20}
    finally:
        queue_gauges.READ_AT_ONCE = before


def test_a_look_is_good_for_a_while(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    first = yard.look()
    yard.put(Lane.LOCAL, "hq")
    assert yard.gauges.look() is first
    assert queue(yard.look()) == {("local", "hq", "waiting"): 1}
