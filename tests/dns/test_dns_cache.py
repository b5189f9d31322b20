"""shared/dns/cache.py: how long answers are believed, by a clock in the test's hand."""

from __future__ import annotations

import asyncio

import pytest

from shared.dns.answers import Found, NoData, NoSuchName, Trouble
from shared.dns.cache import LONGEST, LONGEST_NEGATIVE, SHORTEST, STALE_LIMIT, STALE_RETRY, TROUBLE, Cache


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Server:
    """Answers in turn with what it was given; the last one for ever."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self):
        self.asked += 1
        await asyncio.sleep(0)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def ask(cache, server, question="q"):
    return asyncio.run(cache.answer(question, server))


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (Found(("a",), 300), 300),
        (Found(("a",), 0), SHORTEST),
        (Found(("a",), 2**31), LONGEST),
        (NoData(0), SHORTEST),
        (NoData(2**31), LONGEST_NEGATIVE),
        (NoSuchName(600), 600),
        (NoSuchName(86400), LONGEST_NEGATIVE),
        (Trouble("timed out"), TROUBLE),
    ],
)
def test_an_answer_is_believed_for_its_time_within_bounds(answer, seconds):
    """D-10: TTL 0 and TTL 2^31."""
    clock, server = Clock(), Server(answer)
    cache = Cache(clock)
    assert ask(cache, server) == answer
    clock.now += seconds - 0.1
    assert ask(cache, server) == answer == cache.known("q")
    assert server.asked == 1
    clock.now += 0.2
    assert cache.known("q") is None
    ask(cache, server)
    assert server.asked == 2


@pytest.mark.parametrize("old", [Found(("a",), 300), NoData(300)])
def test_an_old_answer_is_used_and_marked_while_nobody_answers(old):
    clock = Clock()
    server = Server(old, Trouble("timed out"), Trouble("timed out"), Found(("new",), 300))
    cache = Cache(clock)
    ask(cache, server)
    clock.now += 301
    stale = ask(cache, server)
    assert type(stale) is type(old) and stale.stale
    clock.now += STALE_RETRY - 1
    assert ask(cache, server) == stale
    assert server.asked == 2
    clock.now += 2
    assert ask(cache, server) == stale
    assert server.asked == 3
    clock.now += STALE_RETRY + 1
    assert ask(cache, server) == Found(("new",), 300)


def test_nothing_is_so_old_for_ever():
    clock, server = Clock(), Server(Found(("a",), 300), Trouble("timed out"))
    cache = Cache(clock)
    ask(cache, server)
    clock.now += 300 + STALE_LIMIT - 1
    assert ask(cache, server).stale
    clock.now += STALE_RETRY + 1
    assert ask(cache, server) == Trouble("timed out")


def test_that_a_name_does_not_exist_is_never_said_from_an_old_answer():
    clock, server = Clock(), Server(NoSuchName(300), Trouble("SERVFAIL"))
    cache = Cache(clock)
    ask(cache, server)
    clock.now += 301
    assert ask(cache, server) == Trouble("SERVFAIL")


def test_those_who_ask_the_same_share_one_question_and_others_do_not():
    server = Server(Found(("a",), 300))

    async def many():
        cache = Cache(Clock())
        answers = await asyncio.gather(
            *(cache.answer(question, server) for question in ("one", "two") for _ in range(50))
        )
        assert answers == [Found(("a",), 300)] * 100

    asyncio.run(many())
    assert server.asked == 2


def test_one_who_gives_up_does_not_take_the_answer_from_the_others():
    server = Server(Found(("a",), 300))

    async def two():
        cache = Cache(Clock())
        first = asyncio.ensure_future(cache.answer("q", server))
        second = asyncio.ensure_future(cache.answer("q", server))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == Found(("a",), 300)
        assert first.cancelled()

    asyncio.run(two())
    assert server.asked == 1


def test_a_question_that_breaks_is_asked_again():
    async def breaking():
        raise RuntimeError("a fault of ours")

    cache = Cache(Clock())
    with pytest.raises(RuntimeError):
        ask(cache, breaking)
    assert ask(cache, Server(NoData(60))) == NoData(60)


def test_closing_gives_up_what_is_under_way():
    async def never():
        await asyncio.Event().wait()

    async def close_it():
        cache = Cache(Clock())
        waiting = asyncio.ensure_future(cache.answer("q", never))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        cache.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(close_it())


def test_the_one_used_longest_ago_makes_room():
    cache = Cache(Clock(), capacity=3)
    for question in "abc":
        ask(cache, Server(Found((question,), 300)), question)
    assert cache.known("a") is not None
    ask(cache, Server(Found(("d",), 300)), "d")
    assert len(cache) == 3
    assert cache.known("b") is None and cache.known("a") is not None
