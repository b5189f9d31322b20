"""A session's promises: 250 only after the deposit, failures said as such, nothing lost or doubled when clients go."""

from __future__ import annotations

import asyncio
import base64
import errno

import pytest
from fakes.doors import Space, Visit, open_session

from mercury_s.door import ListenerTerms
from shared.mail.envelope import Notify, Return
from shared.smtp.server import Limits

HELLO = b"EHLO pc.example\r\n"
ENVELOPE = b"MAIL FROM:<a@elsewhere.example>\r\nRCPT TO:<alice@test.example>\r\n"
MESSAGE = b"DATA\r\nSubject: x\r\n\r\ntext\r\n.\r\n"


def codes(sent: bytes) -> list[str]:
    return [line[:3].decode() for line in sent.split(b"\r\n") if line[3:4] == b" "]


def test_250_comes_after_the_deposit_and_the_next_command_after_the_250() -> None:
    visit = open_session()
    visit.depositor.is_prompt = False
    said = visit.say(HELLO + ENVELOPE + MESSAGE + b"NOOP\r\n")
    assert codes(said) == ["250", "250", "250", "354"]
    visit.depositor.settle()
    assert codes(visit.wire.sent)[5:] == ["250", "250"]
    assert b"queued as TEST-0001" in visit.wire.sent


def test_what_is_stored_is_our_trace_and_the_message() -> None:
    visit = open_session()
    visit.say(HELLO + ENVELOPE + b"DATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\n")
    [([envelope], stored)] = visit.depositor.messages
    assert stored.startswith(
        b"Received: from pc.example ([192.0.2.9])\r\n\tby mx.test.example (Mercury) with ESMTP id TEST-0001\r\n\tfor <alice@test.example>;"
    )
    assert stored.endswith(b"\r\nSubject: x\r\n\r\n.dot\r\n")
    assert envelope.id == "TEST-0001"


def test_several_recipients_are_not_named_in_the_trace() -> None:
    visit = open_session()
    visit.say(HELLO + ENVELOPE + b"RCPT TO:<bob@test.example>\r\n" + MESSAGE)
    [(_, stored)] = visit.depositor.messages
    assert b"for <" not in stored


def test_one_letter_for_each_lane_and_the_same_id_in_both() -> None:
    visit = open_session(may_relay=True)
    visit.say(HELLO + ENVELOPE + b"RCPT TO:<far@away.example>\r\n" + MESSAGE)
    [(envelopes, _)] = visit.depositor.messages
    assert [[str(r.address) for r in e.recipients] for e in envelopes] == [
        ["alice@test.example"],
        ["far@away.example"],
    ]
    assert {e.id for e in envelopes} == {"TEST-0001"}
    assert envelopes[0].site == "hq"


def test_a_recipient_named_twice_gets_it_once() -> None:
    visit = open_session()
    assert codes(visit.say(HELLO + ENVELOPE + b"RCPT TO:<alice@TEST.example>\r\n" + MESSAGE))[-1] == "250"
    [([envelope], _)] = visit.depositor.messages
    assert len(envelope.recipients) == 1


def test_what_the_sender_asked_for_is_kept() -> None:
    visit = open_session()
    visit.say(
        HELLO,
        b"MAIL FROM:<a@elsewhere.example> RET=HDRS ENVID=x+2B1 BODY=8BITMIME\r\n",
        b"RCPT TO:<alice@test.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;al+2Bice@test.example\r\n",
        MESSAGE,
    )
    [([envelope], _)] = visit.depositor.messages
    assert (envelope.ret, envelope.envid, envelope.body) == (Return.HEADERS, "x+2B1", "8BITMIME")
    assert envelope.recipients[0].notify == (Notify.SUCCESS, Notify.FAILURE)
    assert envelope.recipients[0].original == "rfc822;al+2Bice@test.example"


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, "452"), (errno.EDQUOT, "452"), (errno.EIO, "451")])
def test_a_deposit_that_fails_is_never_acknowledged_and_the_session_goes_on(number: int, code: str) -> None:
    visit = open_session()
    visit.depositor.error = OSError(number, "fault")
    assert codes(visit.say(HELLO + ENVELOPE + MESSAGE))[-1] == code
    visit.depositor.error = None
    assert codes(visit.say(ENVELOPE + MESSAGE))[-1] == "250"


@pytest.mark.parametrize("content", [b"DATA\r\n", b"BDAT 3\r\na\r\n", b"BDAT 3 LAST\r\na\r\n"])
def test_a_spool_without_ids_refuses_for_now_and_the_session_goes_on(content: bytes) -> None:
    visit = open_session()
    visit.depositor.no_ids = OSError(errno.EIO, "fault")
    assert codes(visit.say(HELLO + ENVELOPE + content + b"NOOP\r\n"))[-2:] == ["451", "250"]
    visit.depositor.no_ids = None
    assert codes(visit.say(ENVELOPE + MESSAGE))[-1] == "250"


def test_no_room_is_said_at_mail() -> None:
    visit = open_session(room=Space(free=1024 * 1024))
    assert codes(visit.say(HELLO + ENVELOPE))[1] == "452"


def test_a_client_that_goes_before_the_end_leaves_nothing() -> None:
    visit = open_session()
    visit.say(HELLO + ENVELOPE + b"DATA\r\nSubject: x\r\n\r\nhalf")
    visit.session.lost()
    assert (visit.depositor.messages, visit.depositor.abandoned) == ([], 1)


def test_a_client_that_goes_during_the_deposit_has_given_its_message() -> None:
    visit = open_session()
    visit.depositor.is_prompt = False
    visit.say(HELLO + ENVELOPE + MESSAGE)
    visit.session.lost()
    visit.depositor.settle()
    assert len(visit.depositor.messages) == 1
    assert visit.depositor.abandoned == 0


def test_going_down_waits_for_the_deposit_then_says_421() -> None:
    visit = open_session()
    visit.depositor.is_prompt = False
    visit.say(HELLO + ENVELOPE + MESSAGE)
    assert visit.session.leave() is False
    visit.depositor.settle()
    assert codes(visit.wire.sent)[-2:] == ["250", "421"]
    assert visit.wire.is_closed


def test_going_down_ends_an_idle_session_at_once() -> None:
    visit = open_session()
    assert visit.session.leave() is True
    assert codes(visit.wire.sent) == ["220", "421"]


def test_a_slow_disk_pauses_the_client_until_it_has_caught_up() -> None:
    visit = open_session()
    visit.say(HELLO + ENVELOPE + b"DATA\r\nSubject: x\r\n\r\n")
    visit.depositor.backlog = 2 * 1024 * 1024
    visit.say(b"more\r\n")
    assert visit.wire.is_paused
    [drained] = visit.depositor.drained
    drained()
    assert not visit.wire.is_paused


@pytest.mark.parametrize("end", [b".\r\n", b"\n\r\n.\r\n"])
def test_much_is_read_at_once_only_while_a_large_message_comes(end: bytes) -> None:
    visit = open_session()
    visit.say(HELLO + ENVELOPE + b"DATA\r\nSubject: x\r\n\r\n")
    visit.say(b"a\r\n" * 20_000)
    assert visit.wire.most_at_once == 0
    visit.say(b"a\r\n" * 21_000)
    assert visit.wire.most_at_once == 256 * 1024 and not visit.wire.is_paused
    visit.say(end)
    assert visit.wire.most_at_once == 64 * 1024


def test_pipelining_far_ahead_of_the_disk_pauses_the_client() -> None:
    visit = open_session(limits=Limits(idle_commands=100_000, commands=100_000))
    visit.depositor.is_prompt = False
    visit.say(HELLO + ENVELOPE + MESSAGE + b"NOOP\r\n" * 20_000)
    assert visit.wire.is_paused
    visit.depositor.settle()
    assert not visit.wire.is_paused
    assert codes(visit.wire.sent)[-1] == "250"


def test_a_message_in_a_loop_is_refused() -> None:
    visit = open_session()
    header = b"rEcEiVeD: from a by b; now\r\n" * 150
    assert codes(visit.say(HELLO + ENVELOPE + b"DATA\r\n" + header + b"\r\nx\r\n.\r\n"))[-1] == "554"
    assert visit.depositor.messages == []


def test_hops_in_the_body_do_not_count() -> None:
    visit = open_session()
    body = b"Received: from a by b; now\r\n" * 150
    assert codes(visit.say(HELLO + ENVELOPE + b"DATA\r\nSubject: x\r\n\r\n" + body + b".\r\n"))[-1] == "250"


def test_an_endless_header_is_refused_at_the_true_end() -> None:
    visit = open_session()
    visit.say(HELLO + ENVELOPE + b"DATA\r\n", *([b"X: " + b"y" * 60_000 + b"\r\n"] * 10))
    assert codes(visit.say(b"\r\n.\r\nQUIT\r\n")) == ["552", "221"]


def test_a_submission_gets_the_fields_it_lacks() -> None:
    visit = open_session(may_relay=True, terms=ListenerTerms(is_submission=True))
    visit.say(HELLO + ENVELOPE + MESSAGE)
    [(_, stored)] = visit.depositor.messages
    assert stored.count(b"\r\nDate: ") == stored.count(b"\r\nMessage-ID: <TEST-0001@mx.test.example>\r\n") == 1


def test_a_submission_keeps_the_fields_it_has() -> None:
    visit = open_session(may_relay=True, terms=ListenerTerms(is_submission=True))
    visit.say(HELLO + ENVELOPE + b"DATA\r\nDATE: today\r\nmessage-id: <1@x>\r\n\r\nx\r\n.\r\n")
    [(_, stored)] = visit.depositor.messages
    assert stored.lower().count(b"date:") == stored.lower().count(b"message-id:") == 1


def test_mail_from_strangers_is_not_touched() -> None:
    visit = open_session()
    visit.say(HELLO + ENVELOPE + MESSAGE)
    [(_, stored)] = visit.depositor.messages
    assert b"\r\nDate:" not in stored


def test_a_second_ehlo_forgets_the_transaction() -> None:
    visit = open_session()
    assert codes(visit.say(HELLO + ENVELOPE + HELLO + b"DATA\r\n"))[-1] == "503"


def test_starttls_starts_anew_and_offers_auth() -> None:
    visit = open_session()
    visit.say(HELLO + b"STARTTLS\r\n")
    assert visit.wire.is_encrypted
    answer = visit.say(HELLO)
    assert b"AUTH PLAIN LOGIN" in answer
    assert b"STARTTLS" not in answer
    visit.say(ENVELOPE + MESSAGE)
    [(_, stored)] = visit.depositor.messages
    assert b"(TLSv1.3 with TEST)" in stored
    assert b"with ESMTPS id" in stored


def test_a_timeout_says_so() -> None:
    visit = open_session()
    visit.session.timed_out()
    assert codes(visit.wire.sent)[-1] == "421"
    assert visit.wire.is_closed


def test_empty_and_headerless_messages_are_taken() -> None:
    for text in (b"", b"\r\nbody only\r\n", b"no header here\r\n", b"Subject: only\r\n"):
        visit: Visit = open_session()
        assert codes(visit.say(HELLO + ENVELOPE + b"DATA\r\n" + text + b".\r\n"))[-1] == "250"
        [(_, stored)] = visit.depositor.messages
        assert stored.endswith(b"\r\n" + text)


def submit(login: bytes, then: bytes = b"") -> Visit:
    """A submission session under TLS in which `login` was said."""

    async def go() -> Visit:
        visit = open_session(terms=ListenerTerms(is_submission=True, starttls=True, auth=("PLAIN", "LOGIN")))
        visit.say(HELLO + b"STARTTLS\r\n")
        visit.say(HELLO + login)
        for _ in range(5):
            await asyncio.sleep(0)
        visit.say(then)
        return visit

    return asyncio.run(go())


def plain(login: bytes, password: bytes) -> bytes:
    return b"AUTH PLAIN " + base64.b64encode(b"\0" + login + b"\0" + password) + b"\r\n"


def test_a_login_gives_the_right_to_relay() -> None:
    relay = b"MAIL FROM:<alice@test.example>\r\nRCPT TO:<far@away.example>\r\n" + MESSAGE
    visit = submit(plain(b"alice@test.example", b"secret") + relay)
    assert codes(visit.wire.sent)[-5:] == ["235", "250", "250", "354", "250"]
    [([envelope], stored)] = visit.depositor.messages
    assert envelope.login == "alice@test.example"
    assert b"with ESMTPSA id" in stored


def test_a_wrong_login_gives_nothing() -> None:
    for login in (plain(b"alice@test.example", b"guess"), plain(b"nobody@test.example", b"guess")):
        visit = submit(login, then=b"MAIL FROM:<alice@test.example>\r\n")
        assert codes(visit.wire.sent)[-2:] == ["535", "530"]


def test_pipelined_commands_wait_for_the_login() -> None:
    visit = submit(plain(b"alice@test.example", b"guess") + b"NOOP\r\n")
    assert codes(visit.wire.sent)[-2:] == ["535", "250"]


def test_a_client_that_goes_during_its_login_is_not_answered() -> None:
    async def go() -> Visit:
        visit = open_session(terms=ListenerTerms(is_submission=True, implicit_tls=True, auth=("PLAIN",)))
        visit.say(HELLO + plain(b"alice@test.example", b"secret"))
        visit.session.lost()
        for _ in range(5):
            await asyncio.sleep(0)
        return visit

    assert codes(asyncio.run(go()).wire.sent) == ["220", "250"]
