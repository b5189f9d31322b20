"""Entries that went as they should leave the lane in groups, each one's end is said, and none is forgotten."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

from fakes.runs import run

from shared.delivery.errands import Errands
from shared.delivery.job import Job
from shared.delivery.retirement import Retirement
from shared.routing.lane import Lane


class Folder:
    """Keeps what it is told to retire; `stuck` cannot go."""

    lane = Lane.RELAY

    def __init__(self, stuck: str = "") -> None:
        self.stuck = stuck
        self.retired: list[str] = []

    def retire(self, claim: Any) -> None:
        if claim.name == self.stuck:
            raise OSError(28, "no space")
        self.retired.append(claim.name)


class Office:
    """A retirement and what is heard of it."""

    def __init__(self, executor: ThreadPoolExecutor, folder: Folder) -> None:
        self.folder, self.ended, self.insisted = folder, [], []  # type: ignore[var-annotated]
        self.said: list[tuple[str, str]] = []
        self.errands = Errands(executor)
        self.retirement = Retirement(folder, self.errands, self.report, self.ended.append, self.insist)  # type: ignore[arg-type]

    def report(self, event: str, **fields: Any) -> None:
        self.said.append((str(event), fields["id"]))

    async def insist(self, job: Job) -> None:
        self.insisted.append(job.claim.name)

    def job(self, name: str) -> Job:
        claim: Any = SimpleNamespace(name=name, envelope=SimpleNamespace(id=name.upper()))
        return Job(claim, is_settling=True)

    def put(self, *names: str) -> list[Job]:
        jobs = [self.job(name) for name in names]
        for job in jobs:
            self.retirement.put(job)
        return jobs


def test_a_group_goes_in_one_trip_and_who_comes_meanwhile_with_the_next() -> None:
    async def scene(executor: ThreadPoolExecutor) -> None:
        office = Office(executor, Folder())
        first = office.put("a", "b")
        await asyncio.sleep(0)
        later = office.put("c", "d")
        assert first[0].task is first[1].task and later[0].task is later[1].task
        assert first[0].task is not later[0].task and office.ended == []
        assert later[0].task is not None
        await later[0].task
        assert office.folder.retired == ["a", "b", "c", "d"]
        assert office.ended == [*first, *later]
        assert office.said == [("message-finished", name) for name in "ABCD"]

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(asyncio.wait_for(scene(executor), 20))


def test_one_that_the_disk_keeps_is_tried_by_itself_and_the_others_go() -> None:
    async def scene(executor: ThreadPoolExecutor) -> None:
        office = Office(executor, Folder(stuck="b"))
        jobs = office.put("a", "b", "c")
        assert jobs[0].task is not None
        await jobs[0].task
        assert office.ended == [jobs[0], jobs[2]] and jobs[1].task is not jobs[0].task
        assert jobs[1].task is not None
        await jobs[1].task
        assert office.insisted == ["b"]
        assert office.said == [("message-finished", "A"), ("spool-trouble", "B"), ("message-finished", "C")]

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(asyncio.wait_for(scene(executor), 20))


def test_called_off_the_entries_stay_claimed_and_nobody_waits_for_them() -> None:
    async def scene(executor: ThreadPoolExecutor) -> None:
        office = Office(executor, Folder())
        (job,) = office.put("a")
        assert job.task is not None
        await asyncio.sleep(0)
        job.task.cancel()
        await asyncio.wait((job.task,))
        assert office.ended == [job] and office.said == []
        (job,) = office.put("b")
        assert job.task is not None
        await job.task
        assert office.said == [("message-finished", "B")]

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(asyncio.wait_for(scene(executor), 20))


def test_a_stop_waits_for_what_is_being_retired() -> None:
    def fill(stage: Any) -> None:
        for number in range(100):
            stage.letter(f"u{number}@partner.example")

    async def stop_at_once(stage: Any) -> None:
        await asyncio.sleep(0.01)

    stage = run(stop_at_once, fill)
    carried = len(stage.carrier.carried)
    assert carried and carried == len(stage.said("message-finished"))
    assert stage.said("stop-cut-short") == [] and stage.spool.claimed(Lane.RELAY) == []
