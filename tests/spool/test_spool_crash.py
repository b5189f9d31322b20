"""The process dies at each system call of depositing and of settling, one after the other: docs/spool.md, row by row.

Nothing acknowledged is lost, no half file is ever in new/, what is left in tmp/ is swept, and a recipient who is
settled durably is not tried again.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.spools import MESSAGE, NOW, TestSpool
from fakes.syscalls import CHANGING, READING, CrashNow, crash, spied

from shared.mail.envelope import Envelope
from shared.routing.lane import Lane
from shared.spool.deposit import Letter
from shared.spool.lane import LaneFolder
from shared.spool.record import parse_record
from shared.spool.sweep import LEFTOVER_AFTER
from shared.spool.trail import TrailRecord

CALLS = CHANGING + READING
RECIPIENTS = ("a@x.example", "b@x.example", "c@x.example")
LATER = 4e9  #  Every leftover is old by then.
LARGE = b"Subject: large\r\n\r\n" + b"0123456789abcde\n" * 20_000


class Process:
    """One life of a daemon on the spool: what it acknowledged and delivered before it died."""

    def __init__(self, root: Path) -> None:
        self.place = TestSpool(root)
        self.acknowledged: list[tuple[Lane, str]] = []
        self.delivered: Counter[str] = Counter()
        self.settled: set[str] = set()
        self.place.depositor.next_id()  #  Reserves a block of ids, which has a test of its own.

    def die(self) -> None:
        """The kernel closes what a dead process had open."""
        descriptor, self.place.owner._descriptor = self.place.owner._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def deposit(self, envelope: Envelope, message: bytes, *lanes: Lane) -> None:
        draft = self.place.depositor.draft([Letter(lane, envelope) for lane in lanes])
        for start in range(0, len(message), 50_000):
            draft.write(message[start : start + 50_000])

        def done(error: OSError | None) -> None:
            assert error is None
            self.acknowledged += [(lane, envelope.id) for lane in lanes]

        draft.commit(done)

    def deliver(self, lane: LaneFolder, name: str, *recipients: str, defer: str = "") -> bool:
        """One attempt, as a daemon makes it; all who are left unless named. True when the entry was there."""
        claim = lane.claim(name)
        if claim is None:
            return False
        for recipient in claim.unfinished:
            text = str(recipient.address)
            if text == defer:
                claim.trail.append([TrailRecord(NOW, "t", "deferred", text)], durable=False)
            elif not recipients or text in recipients:
                self.delivered[text] += 1
                claim.trail.append([TrailRecord(NOW, "t", "delivered", text)], durable=True)
                self.settled.add(text)
        if claim.unfinished:
            lane.postpone(claim, NOW + 300)
        else:
            lane.retire(claim)
        return True


def whole_entries(place: TestSpool) -> dict[tuple[Lane, str], bytes]:
    """What is in new/ of every lane, by queue id; each file is checked to be whole."""
    entries = {}
    for lane in Lane:
        for name in place.names(lane):
            data = (place.spool.folder(lane) / "new" / name).read_bytes()
            assert name.endswith(f",S={len(data)}") or f",S={len(data)},L=" in name
            envelope, offset = parse_record(data)
            assert data[offset:] in (MESSAGE, LARGE), "a half file is visible"
            entries[lane, envelope.id] = data
    return entries


def sweep(place: TestSpool) -> None:
    for lane in Lane:
        folder = place.lane(lane)
        folder.sweep(NOW - LEFTOVER_AFTER)  #  Too early: must not matter to what is in new/.
        for _ in range(2):  #  A trail goes when two sweeps have seen no entry of it.
            folder.sweep(LATER)
        assert place.names(lane, "tmp") == []


def crashes(life: Callable[[Process], None], root: Path, prepare: bool = False) -> list[Process]:
    """`life` lived again and again, dying one system call later each time; the last one lives on.

    `prepare`: an entry for RECIPIENTS is in .relay before the counting begins.
    """
    processes = []
    for at in range(1, 2000):
        process = Process(root / str(at))
        if prepare:
            process.place.deposit(process.place.envelope(*RECIPIENTS))
        try:
            with spied(at, crash, CALLS):
                life(process)
        except CrashNow:
            process.die()
            processes.append(process)
            continue
        processes.append(process)
        return processes
    raise AssertionError("it never came to an end")


@pytest.mark.parametrize("message", [MESSAGE, LARGE], ids=["small", "large"])
def test_dying_while_depositing(tmp_path: Path, message: bytes) -> None:
    def life(process: Process) -> None:
        process.deposit(process.place.envelope(), message, Lane.RELAY, Lane.LOCAL)
        process.deposit(process.place.envelope(), message, Lane.RELAY)

    processes = crashes(life, tmp_path)
    assert len(processes) >= 20
    for process in processes:
        entries = whole_entries(process.place)
        assert set(process.acknowledged) <= set(entries)
        after = TestSpool(process.place.spool.root.parent)
        sweep(after)
        assert whole_entries(after) == entries
        assert after.spool.root == process.place.spool.root and list(after.spool.corrupt.iterdir()) == []
        after.deposit()
    assert processes[0].acknowledged == [] and len(processes[-1].acknowledged) == 3
    counts = [len(whole_entries(process.place)) for process in processes]
    assert counts == sorted(counts) and counts[0] == 1  #  The one that was deposited after the crash.


def finish(process: Process) -> None:
    """The next life: adopt, deliver what is left, sweep."""
    process.place = TestSpool(process.place.spool.root.parent)
    for lane in Lane:
        folder = process.place.lane(lane)
        folder.adopt()
        for name, _ in list(folder.scan()):
            assert process.deliver(folder, name)
    sweep(process.place)


def check_all_had_it(processes: list[Process]) -> None:
    twice = 0
    for number, process in enumerate(processes):
        before = set(process.settled)
        copies = process.delivered.copy()
        finish(process)
        assert set(process.delivered) == set(RECIPIENTS), f"crash {number}: somebody has nothing"
        for recipient, count in process.delivered.items():
            assert count <= 2, f"crash {number}"
            assert count == copies[recipient] or recipient not in before, f"crash {number}: settled and tried again"
        twice += sum(count == 2 for count in process.delivered.values())
        assert process.place.files() == [], f"crash {number}"
    assert twice > 0, "crashes between delivery and trail were among them"


def test_dying_while_delivering_and_settling(tmp_path: Path) -> None:
    """One recipient at first, another deferred; the rest at the second attempt; the entry retired."""

    def life(process: Process) -> None:
        folder = process.place.lane()
        (name,) = process.place.names()
        assert process.deliver(folder, name, RECIPIENTS[0], defer=RECIPIENTS[1])
        assert process.deliver(folder, name)

    processes = crashes(life, tmp_path, prepare=True)
    assert len(processes) >= 30
    check_all_had_it(processes)


def test_dying_while_moving_to_another_lane(tmp_path: Path) -> None:
    def life(process: Process) -> None:
        folder = process.place.lane()
        (name,) = process.place.names()
        assert process.deliver(folder, name, RECIPIENTS[0], RECIPIENTS[1])
        claim = folder.claim(name)
        assert claim is not None
        folder.move(claim, Lane.DIRECT, NOW)

    processes = crashes(life, tmp_path, prepare=True)
    assert len(processes) >= 30
    check_all_had_it(processes)


def test_dying_while_adopting_and_sweeping_after_a_death(tmp_path: Path) -> None:
    """Starting again is no exception: it dies too, and the third life finds everything."""

    def life(process: Process) -> None:
        folder = process.place.lane()
        (name,) = process.place.names()
        claim = folder.claim(name)
        assert claim is not None
        process.delivered[RECIPIENTS[0]] += 1
        claim.trail.append([TrailRecord(NOW, "t", "delivered", RECIPIENTS[0])], durable=True)
        process.settled.add(RECIPIENTS[0])
        process.die()
        second = TestSpool(process.place.spool.root.parent)
        process.place = second
        again = second.lane()
        assert again.adopt() == 1
        again.sweep(LATER)
        assert process.deliver(again, name, RECIPIENTS[1])

    processes = crashes(life, tmp_path, prepare=True)
    assert len(processes) >= 50
    check_all_had_it(processes)
