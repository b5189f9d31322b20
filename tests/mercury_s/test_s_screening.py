"""Filters in a session: what is logged, who is blacklisted, what a login and a skip change. What the client hears is in
tests/dialogues/filter_*."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

from fakes.doors import MemoryBlacklist, Visit, open_session

from mercury_s.door import ListenerTerms
from mercury_s.policy.client import Welcome
from mercury_s.policy.filters import Filters
from mercury_s.session import Session
from shared.config.load import parse
from shared.observe.log import log

HELLO = b"EHLO laptop.example\r\n"
MAIL = b"MAIL FROM:<a@elsewhere.example>\r\n"
RCPT = b"RCPT TO:<alice@test.example>\r\n"


def filters(*lines: str) -> Filters:
    text = "receive:\n  filters:\n" + "".join(f"    - {{{line}}}\n" for line in lines)
    return Filters(parse(text, Path("/m.yaml")).receive.filters)


def codes(sent: bytes) -> list[str]:
    return [line[:3].decode() for line in sent.split(b"\r\n") if line[3:4] == b" "]


def heard(visit: Visit, *pieces: bytes) -> list[tuple[str, dict[str, Any]]]:
    """The events while `pieces` are said."""
    events: list[tuple[str, dict[str, Any]]] = []
    with log.watched(lambda name, fields: events.append((str(name), dict(fields)))):
        visit.say(*pieces)
    return events


def test_a_filter_that_acts_is_in_the_log_with_its_place() -> None:
    visit = open_session(
        filters=filters("on: mail, match: '*', action: log", "on: mail, match: '/else/', action: fail")
    )
    visit.say(HELLO)
    events = heard(visit, MAIL)
    assert [(name, fields.get("rule")) for name, fields in events] == [
        ("filter-matched", "/m.yaml:3"),
        ("filter-matched", "/m.yaml:4"),
        ("sender-refused", None),
    ]
    assert events[0][1]["text"] == "a@elsewhere.example"
    assert events[2][1]["reason"] == "filter /m.yaml:4 says fail"


def test_blacklist_puts_the_client_on_the_list_for_the_usual_time() -> None:
    visit = open_session(filters=filters("on: rcpt, match: trap@test.example, action: blacklist"))
    visit.say(HELLO + MAIL + b"RCPT TO:<trap@test.example>\r\n")
    blacklist = visit.session._door.blacklist
    assert isinstance(blacklist, MemoryBlacklist)
    assert blacklist.entries == {"192.0.2.9": ("filter /m.yaml:3 says blacklist", 1800.0)}
    assert visit.wire.is_closed


def test_drop_leaves_nothing_of_a_transaction() -> None:
    visit = open_session(filters=filters("on: rcpt, match: trap@test.example, action: drop"))
    said = visit.say(HELLO + MAIL + RCPT + b"RCPT TO:<trap@test.example>\r\nDATA\r\n")
    assert codes(said) == ["250", "250", "250"]
    assert visit.wire.is_closed
    assert visit.depositor.messages == []


def test_a_dropped_message_is_answered_and_not_kept() -> None:
    visit = open_session(filters=filters("on: subject, match: bad, action: drop"))
    events = heard(visit, HELLO + MAIL + RCPT + b"DATA\r\nSubject: bad\r\n\r\n", b"x\r\n.\r\n")
    assert codes(visit.wire.sent)[-1] == "250"
    assert (visit.depositor.messages, visit.depositor.abandoned) == ([], 1)
    assert [name for name, _ in events][-1] == "message-dropped"
    visit.say(MAIL + RCPT + b"DATA\r\nSubject: good\r\n\r\n.\r\n")
    assert len(visit.depositor.messages) == 1


def test_a_dropped_message_in_chunks_hears_nothing_else() -> None:
    visit = open_session(filters=filters("on: subject, match: bad, action: drop"))
    said = visit.say(HELLO + MAIL + RCPT + b"BDAT 16\r\nSubject: bad\r\n\r\nBDAT 3 LAST\r\nx\r\n")
    assert codes(said) == ["250"] * 5
    assert visit.depositor.messages == []


def test_reply_drop_of_a_message_comes_at_its_end() -> None:
    visit = open_session(filters=filters("on: header, match: 'X-A: b', action: reply_drop"))
    said = visit.say(HELLO + MAIL + RCPT + b"DATA\r\nX-A: b\r\n\r\ntext\r\n", b".\r\nNOOP\r\n")
    assert codes(said)[3:] == ["354", "550"]
    assert visit.wire.is_closed
    assert visit.depositor.abandoned == 1


def test_each_of_two_subjects_is_judged() -> None:
    visit = open_session(filters=filters("on: subject, match: bad, action: fail"))
    said = visit.say(HELLO + MAIL + RCPT + b"DATA\r\nSubject: good\r\nSubject: bad\r\n\r\n.\r\n")
    assert codes(said)[-1] == "550"


def test_a_bare_postmaster_is_judged_with_its_domain() -> None:
    visit = open_session(filters=filters("on: rcpt, match: postmaster@test.example, action: fail"))
    assert codes(visit.say(HELLO + MAIL + b"RCPT TO:<postmaster>\r\n"))[-1] == "550"


def test_an_exempt_client_is_asked_nothing() -> None:
    visit = open_session(filters=filters("on: helo, match: '*', action: fail"))
    session = Session(
        visit.session._door,
        ListenerTerms(is_submission=False),
        Welcome(False, True, "", "a test says so"),
        "192.0.2.9",
        visit.wire,
    )
    assert session._screening is None


def test_without_filters_for_the_client_nothing_is_screened() -> None:
    other = filters("on: helo, match: '*', action: fail, networks: [198.51.100.0/24]")
    assert open_session(filters=other).session._screening is None
    assert open_session().session._screening is None


def test_starttls_does_not_wash_a_refusal_away() -> None:
    visit = open_session(filters=filters("on: helo, match: bad.example, action: refuse"))
    assert codes(visit.say(b"EHLO bad.example\r\nEHLO good.example\r\n")) == ["550", "550"]


def test_deferred_helo_leaves_those_alone_who_log_in() -> None:
    async def go() -> Visit:
        terms = ListenerTerms(is_submission=True, implicit_tls=True, auth=("PLAIN",))
        visit = open_session(terms=terms, filters=filters("on: deferred_helo, match: 'laptop*', action: fail"))
        visit.say(HELLO + MAIL)
        visit.say(b"AUTH PLAIN " + base64.b64encode(b"\0alice@test.example\0secret") + b"\r\n")
        for _ in range(5):
            await asyncio.sleep(0)
        visit.say(b"MAIL FROM:<alice@test.example>\r\n")
        return visit

    assert codes(asyncio.run(go()).wire.sent) == ["220", "250", "550", "235", "250"]
