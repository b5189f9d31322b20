"""A census counts by names, and tells from a sample what names do not say."""

from __future__ import annotations

from itertools import pairwise

import pytest
from desk import Desk

from shared.routing.lane import Lane
from shared.survey.census import SAMPLE, Census, _Sample, count_entries, take_census


@pytest.mark.parametrize("count", [1, 7, SAMPLE, SAMPLE + 1, 10 * SAMPLE + 3])
def test_a_sample_is_even_and_of_bounded_size(count: int) -> None:
    sample = _Sample()
    for number in range(count):
        sample.offer(number, "f", "new", str(number))
    assert min(count, SAMPLE // 2) <= len(sample.paths) <= SAMPLE
    numbers = [int(path.removeprefix("f/new/")) for path in sample.paths]
    strides = {after - before for before, after in pairwise(numbers)}
    assert len(strides) <= 1 and numbers[0] == 0


def test_a_large_lane_is_estimated(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.survey.census.SAMPLE", 4)
    for number in range(16):
        desk.put(f"0000-{number:04d}", to=("a@x.example",))
    census = take_census(desk.spool, Lane.RELAY)
    assert (census.entries, census.sampled) == (16, 4)
    assert census.domains == {"x.example": 16}
    assert "for about x.example 16" in desk.run("queue", "summary").stdout


def test_foreign_names_are_not_counted_and_nothing_is_opened_without_domains(desk: Desk) -> None:
    (desk.spool.folder(Lane.RELAY) / "new" / "notes.txt").write_text("x")
    assert take_census(desk.spool, Lane.RELAY) == Census()
    path = desk.spool.folder(Lane.RELAY) / "new" / "1790000000.0T3H-7K2V.mail,S=12"
    path.symlink_to("/nowhere")
    census = take_census(desk.spool, Lane.RELAY, with_domains=False)
    assert (census.entries, census.octets, census.sampled) == (1, 12, 0)


def test_a_large_lane_is_counted_by_two_processes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(9):
        desk.put(f"0000-{number:04d}", to=("a@x.example",))
    trails = desk.spool.folder(Lane.RELAY) / "trail"
    for path in list((desk.spool.folder(Lane.RELAY) / "new").iterdir())[:5]:
        (trails / path.name).write_text("{}\n")
    by_one = take_census(desk.spool, Lane.RELAY)
    monkeypatch.setattr("shared.survey.census.LARGE", 0)
    assert take_census(desk.spool, Lane.RELAY) == by_one
    assert (by_one.entries, by_one.deferred) == (9, 5)
    assert count_entries(desk.spool, Lane.RELAY).entries == 9


def test_what_the_second_process_cannot_read_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.put("0000-0001", to=("a@x.example",))
    trails = desk.spool.folder(Lane.RELAY) / "trail"
    trails.rmdir()
    trails.write_text("no folder")
    monkeypatch.setattr("shared.survey.census.LARGE", 0)
    with pytest.raises(NotADirectoryError):
        take_census(desk.spool, Lane.RELAY)
