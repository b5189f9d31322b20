"""A login lasts as long as it was said to, and no longer than the rights it began with."""

from __future__ import annotations

from people import ANNA, BERT, CARL, People, account

from shared.config.account import Account
from shared.config.passwords import hash_password
from shared.config.web import WebSettings
from shared.web.session import MOST, Role, Sessions


def opened() -> tuple[People, Sessions]:
    people = People()
    return people, Sessions(lambda: people.settings, people.lookup, people.clock)


def test_roles_are_those_of_the_configuration() -> None:
    people, sessions = opened()
    for person, role in ((ANNA, Role.OPERATOR), (BERT, Role.VIEWER)):
        found = sessions.find(sessions.begin(people.known[person]))
        assert found is not None and (found[0].person, found[1]) == (person, role)
    assert sessions.find(sessions.begin(people.known[CARL])) is None
    assert sessions.find("") is None and sessions.find("guess") is None


def test_every_login_has_its_own_cookie_and_token_and_neither_is_shown() -> None:
    people, sessions = opened()
    cookies = {sessions.begin(people.known[ANNA]) for _ in range(5)}
    found = [sessions.find(cookie) for cookie in cookies]
    tokens = {each[0].token for each in found if each}
    assert len(cookies) == len(tokens) == 5 and not cookies & tokens
    session = next(each[0] for each in found if each)
    assert session.has_token(session.token) and not session.has_token(None) and not session.has_token("")
    assert session.token not in repr(session) and "scrypt" not in repr(session)


def test_it_ends_by_time_and_by_logging_out() -> None:
    people, sessions = opened()
    cookie, other = sessions.begin(people.known[ANNA]), sessions.begin(people.known[ANNA])
    sessions.end(other)
    assert sessions.find(other) is None
    people.now += 3599
    assert sessions.find(cookie)
    people.now += 1
    assert sessions.find(cookie) is None


def test_it_ends_with_the_role_the_account_or_the_password() -> None:
    def changed(change: object) -> bool:
        people, sessions = opened()
        cookie = sessions.begin(people.known[ANNA])
        assert sessions.find(cookie)
        change(people)  # type: ignore[operator]
        return sessions.find(cookie) is None

    def without_a_role(people: People) -> None:
        people.settings = WebSettings(viewers=(BERT,))

    def disabled(people: People) -> None:
        people.known[ANNA] = account(ANNA, disabled=True)

    def gone(people: People) -> None:
        del people.known[ANNA]

    def new_password(people: People) -> None:
        people.known[ANNA] = Account(people.known[ANNA].address, hash_password("another", b"0123456789abcdef"))

    def no_password(people: People) -> None:
        people.known[ANNA] = Account(people.known[ANNA].address)

    assert all(changed(change) for change in (without_a_role, disabled, gone, new_password, no_password))
    assert not changed(lambda people: None)


def test_there_are_never_too_many() -> None:
    people, sessions = opened()
    first = sessions.begin(people.known[ANNA])
    for _ in range(MOST):
        last = sessions.begin(people.known[ANNA])
    assert sessions.find(first) is None and sessions.find(last)
