"""Failed logins: the delay grows, the client is blocked, the name never is, and memory is bounded."""

from __future__ import annotations

import pytest

from mercury_s.auth import failures as module
from mercury_s.auth.failures import Failures, network_of


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_delay_grows_with_each_failure_of_a_client() -> None:
    failures = Failures(Clock())
    assert [failures.note("192.0.2.1", f"name{n}") for n in range(6)] == [1, 2, 4, 8, 8, 8]


def test_the_delay_grows_with_each_failure_of_a_name_from_wherever() -> None:
    failures = Failures(Clock())
    assert [failures.note(f"192.0.2.{n}", "Anna") for n in range(4)] == [1, 2, 4, 8]
    assert failures.note("192.0.2.9", "ANNA") == 8
    assert not any(failures.is_blocked(f"192.0.2.{n}") for n in range(20))


def test_ten_minutes_later_all_is_forgotten() -> None:
    clock = Clock()
    failures = Failures(clock)
    for _ in range(9):
        failures.note("192.0.2.1", "anna")
    clock.now = 600.0
    assert failures.note("192.0.2.1", "anna") == 1
    assert not failures.is_blocked("192.0.2.1")


def test_ten_failures_block_for_ten_minutes() -> None:
    clock = Clock()
    failures = Failures(clock)
    for clock.now in range(10):
        assert not failures.is_blocked("192.0.2.1")
        failures.note("192.0.2.1", "anna")
    for clock.now, expected in [(9.0, True), (608.9, True), (609.0, False)]:
        assert failures.is_blocked("192.0.2.1") is expected


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:0:0:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("unix", "unix", True),
        ("unix", "other", False),
    ],
)
def test_what_counts_as_one_client(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEPT", 5)
    failures = Failures(Clock())
    for n in range(20):
        for _ in range(10):
            failures.note(f"192.0.2.{n}", f"name{n}")
    assert [failures.is_blocked(f"192.0.2.{n}") for n in range(20)] == [False] * 15 + [True] * 5
    assert failures.note("198.51.100.1", "name0") == 1
    assert failures.note("198.51.100.2", "name19") == 8
