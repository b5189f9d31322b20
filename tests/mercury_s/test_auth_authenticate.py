"""Logins: who is let in, and that nobody learns from a refusal, not by its text and not by its time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import pytest

from mercury_s.auth.authenticate import Authenticator, Failure, Overloaded, Rejected, Verified
from mercury_s.auth.failures import Failures
from mercury_s.auth.users import UsersFileLogins
from shared.config.account import Account
from shared.config.passwords import NO_PASSWORD, PasswordHash, hash_password
from shared.mail.address import Address, parse_address

SALT = b"0123456789abcdef"
STORED = hash_password("secret", SALT)
ANNA = Account(parse_address("Anna@hq.example"), STORED)
ACCOUNTS = {
    account.key: account
    for account in (
        ANNA,
        Account(parse_address("gone@hq.example"), STORED, disabled=True),
        Account(parse_address("box@hq.example")),
        Account(Address("jürgen", "büro.example"), hash_password("Straße", SALT)),
    )
}


class Inline(Executor):
    """Runs in the caller's thread and remembers what was asked of it."""

    def __init__(self) -> None:
        self.hashes: list[PasswordHash] = []

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.hashes.append(args[0])
        future: Future[Any] = Future()
        future.set_result(function(*args))
        return future


class Never(Executor):
    """Ends nothing before it is told to."""

    def __init__(self) -> None:
        self.futures: list[Future[Any]] = []

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.futures.append(Future())
        return self.futures[-1]


async def turns() -> None:
    """Let everything run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


class Door:
    def __init__(self, executor: Executor | None = None) -> None:
        self.now = 0.0
        self.executor = executor or Inline()
        self.failures: list[Failure] = []
        self.door = Authenticator(
            UsersFileLogins(ACCOUNTS.get, "hq.example", self.executor),
            ACCOUNTS.get,
            "hq.example",
            Failures(lambda: self.now),
            self.failures.append,
        )

    def ask(self, login: str, password: str, client: str = "192.0.2.1", is_exempt: bool = False) -> object:
        return asyncio.run(self.door.verify(login, password, client, is_exempt))


@pytest.mark.parametrize("login", ["anna@hq.example", "ANNA@HQ.Example", "anna", "Anna", '"anna"@hq.example'])
def test_who_knows_the_password_is_let_in(login: str) -> None:
    house = Door()
    assert house.ask(login, "secret") == Verified(ANNA)
    assert house.failures == []


def test_names_and_passwords_need_not_be_ascii() -> None:
    assert isinstance(Door().ask("jürgen@xn--bro-hoa.example", "Straße"), Verified)


REFUSED = [
    ("anna", "Secret"), ("anna", "secret "), ("anna", "\udc80"), ("gone", "secret"), ("box", ""), ("box", "secret"),
    ("nobody", "secret"), ("anna@elsewhere.example", "secret"), ("anna+x", "secret"), ("../anna", "secret"), ("@", "secret"),
    ("anna@", "secret"), ("anna@hq.example@hq.example", "secret"), ("\udc80", "x"), ("x" * 300, "secret"), ("anna\0", "secret"),
]  # fmt: skip


@pytest.mark.parametrize(("login", "password"), REFUSED)
def test_a_refusal_is_the_same_for_all_and_costs_one_check(login: str, password: str) -> None:
    house = Door()
    assert house.ask(login, password) == Rejected(delay=1.0)
    assert isinstance(house.executor, Inline)
    (checked,) = house.executor.hashes
    assert (checked.n, checked.r, checked.p) == (NO_PASSWORD.n, NO_PASSWORD.r, NO_PASSWORD.p)


def test_a_failure_names_the_account_only_if_there_is_one() -> None:
    house = Door()
    house.ask("anna", "x")
    house.ask("hunter2", "x")
    assert [(failure.client, failure.account) for failure in house.failures] == [
        ("192.0.2.1", "anna@hq.example"),
        ("192.0.2.1", ""),
    ]
    assert "hunter2" not in repr(house.failures)


def test_who_fails_too_often_is_not_asked_any_more_and_only_he() -> None:
    house = Door()
    answers = [house.ask("anna", "x") for _ in range(10)]
    assert [answer.is_blocked for answer in answers if isinstance(answer, Rejected)] == [False] * 9 + [True]
    assert isinstance(house.executor, Inline)
    checks = len(house.executor.hashes)
    assert house.ask("anna", "secret") == Rejected(8.0, is_blocked=True)
    assert len(house.executor.hashes) == checks
    assert house.ask("anna", "secret", client="192.0.2.2") == Verified(ANNA)
    assert house.ask("anna", "secret", is_exempt=True) == Verified(ANNA)
    house.now = 601.0
    assert house.ask("anna", "secret") == Verified(ANNA)


def test_who_hangs_up_early_is_counted_all_the_same() -> None:
    executor = Never()
    house = Door(executor)

    async def run() -> None:
        task = asyncio.create_task(house.door.verify("anna", "x", "192.0.2.1"))
        await turns()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert house.failures == []
        executor.futures[0].set_result(False)
        await turns()
        assert len(house.failures) == 1

    asyncio.run(asyncio.wait_for(run(), 10))


def test_a_flood_of_logins_is_sent_away_before_it_costs_anything() -> None:
    executor = Never()
    house = Door(executor)

    async def run() -> list[object]:
        tasks = [asyncio.create_task(house.door.verify("anna", "secret", f"192.0.2.{n}")) for n in range(64)]
        await turns()
        late = await house.door.verify("anna", "secret", "192.0.2.99")
        for future in executor.futures:
            future.set_result(True)
        return [late, *await asyncio.gather(*tasks)]

    answers = asyncio.run(asyncio.wait_for(run(), 10))
    assert answers == [Overloaded()] + [Verified(ANNA)] * 64
    assert house.failures == []


def test_the_check_does_not_run_in_the_loops_thread() -> None:
    threads = set[threading.Thread]()

    class Watched(ThreadPoolExecutor):
        def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            def run() -> Any:
                threads.add(threading.current_thread())
                return function(*args)

            return super().submit(run)

    with Watched(1) as executor:
        assert Door(executor).ask("anna", "secret") == Verified(ANNA)
    assert threads and threading.current_thread() not in threads
