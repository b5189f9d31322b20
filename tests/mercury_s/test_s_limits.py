"""The limits in a session: what is counted, when it is enough, what the client is told; and who is remembered."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace

import pytest
from fakes.doors import Visit, make_door, make_porter, open_session

from mercury_s.conduct import Conduct
from mercury_s.door import ListenerTerms
from mercury_s.meters import Meter, SharedMeter
from mercury_s.policy.patience import Phase
from mercury_s.porter import Offence, Porter
from mercury_s.tally import Tally, make_tally
from mercury_s.throttle import Sending, Throttle
from shared.config.limits import BlacklistSettings, ClientRates, Rates, SendingRates
from shared.config.rate import Rate
from shared.mail.envelope import Body
from shared.smtp.server import Limits
from shared.state.blacklist import FOREVER, Blacklist, Entry, network_of

HELLO = b"EHLO pc.example\r\n"
MAIL = b"MAIL FROM:<a@elsewhere.example>\r\n"
ALICE = b"RCPT TO:<alice@test.example>\r\n"
NOBODY = b"RCPT TO:<nobody@test.example>\r\n"
FAR = b"RCPT TO:<x@away.example>\r\n"
MESSAGE = b"DATA\r\nSubject: x\r\n\r\ntext\r\n.\r\n"


def codes(sent: bytes) -> list[str]:
    return [line[:3].decode() for line in sent.split(b"\r\n") if line[3:4] == b" "]


# ---- one session ---------------------------------------------------------------------------------------------------


def test_limits_are_said_at_ehlo_and_requiretls_under_tls_only() -> None:
    said = open_session(most_recipients=7, most_messages=3).say(HELLO)
    assert b"250-LIMITS RCPTMAX=7 MAILMAX=3\r\n" in said
    assert b"REQUIRETLS" not in said
    terms = ListenerTerms(is_submission=False, implicit_tls=True)
    assert b"REQUIRETLS\r\n" in open_session(terms=terms).say(HELLO)


def test_requiretls_is_kept_with_the_message() -> None:
    visit = open_session(terms=ListenerTerms(is_submission=False, implicit_tls=True))
    visit.say(HELLO + b"MAIL FROM:<a@elsewhere.example> REQUIRETLS\r\n" + ALICE + MESSAGE)
    [([envelope], _)] = visit.depositor.messages
    assert envelope.requiretls


@pytest.mark.parametrize(
    ("field", "is_waived"),
    [
        (b"TLS-Required: No\r\n", True),
        (b"tls-required:\r\n no\r\n", True),
        (b"TLS-Required: yes\r\n", False),
        (b"X-TLS-Required: no\r\n", False),
        (b"Subject: TLS-Required: no\r\n", False),
    ],
)
def test_tls_required_no_is_kept_with_the_message(field: bytes, is_waived: bool) -> None:
    for head in (field, b"From: a@elsewhere.example\r\n" + field):
        visit = open_session()
        visit.say(HELLO + MAIL + ALICE + b"DATA\r\n" + head + b"\r\nTLS-Required: no\r\n.\r\n")
        [([envelope], content)] = visit.depositor.messages
        assert envelope.tls_optional is is_waived
        assert content.endswith(head + b"\r\nTLS-Required: no\r\n")


def test_requiretls_outweighs_the_field() -> None:
    visit = open_session(terms=ListenerTerms(is_submission=False, implicit_tls=True))
    visit.say(HELLO + b"MAIL FROM:<a@elsewhere.example> REQUIRETLS\r\n" + ALICE)
    visit.say(b"DATA\r\nTLS-Required: no\r\n\r\ntext\r\n.\r\n")
    [([envelope], _)] = visit.depositor.messages
    assert envelope.requiretls and not envelope.tls_optional


def test_a_message_too_many_ends_the_session() -> None:
    visit = open_session(most_messages=2)
    said = visit.say(HELLO + (MAIL + ALICE + MESSAGE) * 2 + MAIL + ALICE)
    assert codes(said)[-2:] == ["250", "421"]
    assert visit.wire.is_closed
    assert len(visit.depositor.messages) == 2


@pytest.mark.parametrize(
    ("recipient", "setting", "code"), [(NOBODY, "most_unknown", "550"), (FAR, "most_relay_attempts", "550")]
)
def test_too_many_recipients_of_no_use_end_the_session(recipient: bytes, setting: str, code: str) -> None:
    visit = open_session(**{setting: 3})
    said = visit.say(HELLO + MAIL + recipient * 2)
    assert codes(said)[-2:] == [code] * 2
    assert not visit.wire.is_closed
    assert codes(visit.say(recipient + ALICE)) == [code, "421"]
    assert visit.wire.is_closed


def test_the_limits_meet_and_only_one_last_word_is_said() -> None:
    visit = open_session(most_unknown=3, limits=Limits(errors=3))
    assert codes(visit.say(HELLO + MAIL + NOBODY * 3)).count("421") == 1
    assert visit.wire.is_closed


def test_commands_without_a_message_come_to_an_end_and_a_message_starts_anew() -> None:
    visit = open_session(limits=Limits(commands=10))
    assert "421" not in codes(visit.say((HELLO + MAIL + ALICE + MESSAGE) * 20))
    assert codes(visit.say((HELLO + MAIL) * 6))[-1] == "421"
    assert visit.wire.is_closed


def test_wrong_logins_end_the_session() -> None:
    terms = ListenerTerms(is_submission=True, implicit_tls=True, auth=("PLAIN",))
    wrong = b"AUTH PLAIN " + base64.b64encode(b"\0alice@test.example\0wrong") + b"\r\n"

    async def run() -> Visit:
        visit = open_session(terms=terms, most_failed_logins=2)
        visit.say(HELLO)
        for _ in range(2):
            visit.say(wrong)
            for _ in range(20):
                await asyncio.sleep(0)
        return visit

    visit = asyncio.run(run())
    assert codes(visit.wire.sent)[-2:] == ["535", "421"]
    assert visit.wire.is_closed


@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
def test_a_binary_message_is_stored_as_it_came_and_marked(bytewise: bool) -> None:
    body = b"\0\r\n\n.\r\n\xff\r"
    message = b"Subject: x\r\n\r\n" + body
    spoken = HELLO + MAIL.replace(b"\r\n", b" BODY=BINARYMIME\r\n") + ALICE
    spoken += b"BDAT %d LAST\r\n%b" % (len(message), message)
    visit = open_session()
    visit.say(*([bytes([octet]) for octet in spoken] if bytewise else [spoken]))
    [([envelope], stored)] = visit.depositor.messages
    assert envelope.body is Body.BINARY
    assert stored.endswith(b"\r\n" + message)


@pytest.mark.parametrize(
    "header", [b"A: b\nEvil: yes\r\n", b"A: b\r\rEvil: yes\r\n", b"A: \0\r\n", b"A: b\n\nEvil: yes\r\n"]
)
def test_the_header_of_a_binary_message_is_text(header: bytes) -> None:
    message = header + b"\r\nbody"
    visit = open_session()
    said = visit.say(
        HELLO + MAIL.replace(b"\r\n", b" BODY=BINARYMIME\r\n") + ALICE,
        b"BDAT %d LAST\r\n%b" % (len(message), message),
    )
    assert codes(said)[-1] == "554"
    assert visit.depositor.messages == []


# ---- our own address, quotes, IDN ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "stored"),
    [
        ("postmaster", "postmaster@test.example"),
        ("postmaster@[192.0.2.25]", "postmaster@test.example"),
        ("alice@[192.0.2.25]", "alice@test.example"),
        ('"alice"@test.example', "alice@test.example"),
        ('"al\\ice"@test.example', "alice@test.example"),
        ("@relay.example,@[192.0.2.25]:alice@test.example", "alice@test.example"),
        ("alice@TEST.Example", "alice@test.example"),
    ],
)
def test_addresses_that_are_ours(address: str, stored: str) -> None:
    visit = open_session()
    visit.say(HELLO + MAIL + f"RCPT TO:<{address}>\r\n".encode() + MESSAGE)
    [([envelope], _)] = visit.depositor.messages
    assert [str(recipient.address) for recipient in envelope.recipients] == [stored]


@pytest.mark.parametrize(
    "address",
    [
        "alice@[192.0.2.26]",
        "alice@[IPv6:2001:db8::1]",
        "nobody@[192.0.2.25]",
        "victim%away.example@[192.0.2.25]",
        '"victim@away.example"@[192.0.2.25]',
        "alice@3221225985",
        '"alice "@test.example',
    ],
)
def test_addresses_that_are_not(address: str) -> None:
    assert codes(open_session().say(HELLO + MAIL + f"RCPT TO:<{address}>\r\n".encode()))[-1][0] == "5"


def test_a_domain_in_its_own_script_is_the_same_as_in_a_labels() -> None:
    visit = open_session(may_relay=True)
    visit.say(
        HELLO + b"MAIL FROM:<a@elsewhere.example> SMTPUTF8\r\n", "RCPT TO:<x@BÜRO.example>\r\n".encode(), MESSAGE
    )
    [([envelope], _)] = visit.depositor.messages
    assert envelope.recipients[0].address.ascii_domain == "xn--bro-hoa.example"
    assert codes(open_session(may_relay=True).say(HELLO + MAIL, "RCPT TO:<x@büro.example>\r\n".encode()))[-1] == "553"


# ---- over sessions -------------------------------------------------------------------------------------------------


class Hours:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class MemoryBlacklist:
    """The list without its file."""

    def __init__(self) -> None:
        self.added: list[tuple[str, str, float | None]] = []
        self.now = 1000.0
        self._list = Blacklist()

    def find(self, address: str) -> Entry | None:
        return self._list.find(address, self.now)

    def add(self, address: str, reason: str, seconds: float | None) -> Entry:
        self.added.append((address, reason, seconds))
        entry = Entry(network_of(address), reason, self.now, FOREVER if seconds is None else self.now + seconds)
        self._list.put(entry)
        return entry


def porter(hours: Hours, **settings: Rate) -> tuple[Porter, MemoryBlacklist]:
    blacklist = MemoryBlacklist()
    return Porter(BlacklistSettings(time=60.0, **settings), blacklist, hours, hours), blacklist  # type: ignore[arg-type]


def test_offences_of_several_sessions_bring_a_client_onto_the_blacklist() -> None:
    hours = Hours()
    guard, blacklist = porter(hours, unknown_recipients=Rate(3, 600.0))
    for _ in range(3):
        assert "421" not in codes(open_session(porter=guard).say(HELLO + MAIL + NOBODY))
        assert guard.refuse("192.0.2.9") is None
    assert codes(open_session(porter=guard).say(HELLO + MAIL + NOBODY))[-2:] == ["550", "421"]
    assert blacklist.added == [("192.0.2.9", "too many unknown recipients", 60.0)]
    refusal = guard.refuse("192.0.2.9")
    assert refusal is not None
    assert str(refusal.reply) == "421 4.7.1 Your address is blocked here for 2 min: too many unknown recipients"
    blacklist.now += 61
    assert guard.refuse("192.0.2.9") is None


def test_a_site_is_never_blacklisted_but_its_session_still_ends() -> None:
    guard, blacklist = porter(Hours(), unknown_recipients=Rate(1, 600.0))
    visit = open_session(may_relay=True, porter=guard, most_unknown=3)
    assert codes(visit.say(HELLO + MAIL + NOBODY * 3))[-1] == "421"
    assert blacklist.added == []


def test_who_is_blocked_by_hand_is_not_told_why() -> None:
    guard, blacklist = porter(Hours())
    blacklist.add("192.0.2.9", "a remark for operators", None)
    refusal = guard.refuse("192.0.2.9")
    assert refusal is not None and refusal.reply.code == 554
    assert "remark" not in str(refusal.reply)
    blacklist.add("192.0.2.9", "a remark for operators", 60.0)
    refusal = guard.refuse("192.0.2.9")
    assert refusal is not None and refusal.reply.code == 421
    assert "remark" not in str(refusal.reply)


def test_one_ipv6_host_is_one_client_whatever_address_it_takes() -> None:
    guard, blacklist = porter(Hours(), relay_attempts=Rate(2, 600.0))
    for last in range(3):
        guard.note(Offence.RELAY_ATTEMPT, f"2001:db8::{last}")
    assert len(blacklist.added) == 1


def test_new_settings_keep_what_was_counted_by_the_old_ones() -> None:
    hours = Hours()
    guard, blacklist = porter(hours, relay_attempts=Rate(1, 600.0))
    guard.note(Offence.RELAY_ATTEMPT, "192.0.2.9")
    guard.use(BlacklistSettings(time=5.0, relay_attempts=Rate(1, 600.0)))
    assert guard.note(Offence.RELAY_ATTEMPT, "192.0.2.9")
    assert blacklist.added == [("192.0.2.9", "too many relay attempts", 5.0)]
    guard.use(BlacklistSettings())
    assert not any(guard.note(Offence.RELAY_ATTEMPT, "192.0.2.9") for _ in range(100))


def test_who_gave_us_mail_is_known_for_a_day() -> None:
    hours = Hours()
    guard, _ = porter(hours)
    visit = open_session(porter=guard)
    assert not guard.knows("192.0.2.9")
    visit.say(HELLO + MAIL + ALICE + MESSAGE)
    assert guard.knows("192.0.2.9")
    hours.seconds += 86_401
    assert not guard.knows("192.0.2.9")


def test_conduct_counts_each_offence_for_itself() -> None:
    conduct = Conduct(make_door(most_unknown=2, most_relay_attempts=2), "192.0.2.9", False)
    assert conduct.note(Offence.UNKNOWN_RECIPIENT) is None
    assert conduct.note(Offence.RELAY_ATTEMPT) is None
    assert conduct.note(Offence.RELAY_ATTEMPT) is not None


# ---- rates ---------------------------------------------------------------------------------------------------------


def throttle(hours: Hours, **groups: object) -> Throttle:
    return Throttle(Rates(**groups), hours)  # type: ignore[arg-type]


def test_messages_and_recipients_of_a_client_are_slowed_down() -> None:
    hours = Hours()
    slow = throttle(hours, client=ClientRates(messages=Rate(2, 60.0), recipients=Rate(3, 60.0)))
    said = open_session(throttle=slow).say(HELLO + (MAIL + ALICE + MESSAGE) * 2 + MAIL)
    assert codes(said)[-1] == "450"
    assert b"450 4.7.1 Too many messages from your address in a short time; try again in 31 s" in said
    hours.seconds += 31
    assert codes(open_session(throttle=slow).say(HELLO + MAIL + ALICE * 3))[-2:] == ["250", "450"]


def test_a_site_is_not_counted_as_a_client_but_as_a_sender() -> None:
    slow = throttle(Hours(), client=ClientRates(messages=Rate(1, 60.0)), sender=SendingRates(messages=Rate(3, 60.0)))
    said = open_session(may_relay=True, throttle=slow).say(HELLO + (MAIL + ALICE + MESSAGE) * 3 + MAIL)
    assert codes(said).count("354") == 3
    assert b"Too many messages from this sender" in said


def test_what_is_refused_is_not_counted() -> None:
    hours = Hours()
    slow = throttle(hours, login=SendingRates(messages=Rate(1, 60.0)), sender=SendingRates(messages=Rate(5, 60.0)))
    anna = Sending("", "anna", "a@x.example")
    assert slow.message(anna) is None
    assert all(slow.message(anna) is not None for _ in range(10))
    assert slow.message(replace(anna, login="bert")) is None


def test_connections_are_counted_and_the_wait_is_said() -> None:
    slow = throttle(Hours(), client=ClientRates(connections=Rate(2, 600.0)))
    assert slow.connection("192.0.2.9") is None and slow.connection("192.0.2.9") is None
    refusal = slow.connection("192.0.2.9")
    assert refusal is not None
    assert str(refusal.reply).endswith("try again in 6 min")
    assert slow.connection("192.0.2.10") is None


def test_no_rates_is_no_throttle() -> None:
    assert throttle(Hours()).is_idle
    assert not throttle(Hours(), login=SendingRates(messages=Rate(1, 1.0))).is_idle


def test_a_reload_keeps_the_counts_of_rates_that_stay() -> None:
    hours = Hours()
    rates = Rates(client=ClientRates(connections=Rate(1, 60.0)))
    first = Throttle(rates, hours)
    first.connection("192.0.2.9")
    assert Throttle(rates, hours, first).connection("192.0.2.9") is not None
    other = Rates(client=ClientRates(connections=Rate(2, 60.0)))
    assert Throttle(other, hours, first).connection("192.0.2.9") is None


def test_meters_forget_the_longest_unseen() -> None:
    meter = Meter(Rate(1, 60.0), Hours())
    for number in range(25_000):
        meter.draw(str(number))
    assert len(meter) == 20_000
    assert meter.wait("24999") > 0
    assert meter.wait("0") == 0


def test_workers_count_together() -> None:
    descriptor = make_tally(3, 100)
    one, other = (SharedMeter(Rate(3, 60.0), Tally(descriptor, row), "client.messages") for row in (1, 2))
    assert [meter.draw("192.0.2.9") for meter in (one, other, one)] == [0.0, 0.0, 0.0]
    assert one.draw("192.0.2.9") == other.draw("192.0.2.9") == 60.0
    assert other.draw("192.0.2.10") == 0.0
    one.forget("192.0.2.9")
    assert other.draw("192.0.2.9") == 0.0


# ---- what we wait for ----------------------------------------------------------------------------------------------


def test_phases_follow_the_conversation() -> None:
    visit = open_session()
    visit.depositor.is_prompt = False
    phases = [visit.session.phase]
    for piece in (HELLO + MAIL + ALICE, b"DATA\r\nSubject: x\r\n\r\n", b"text", b"\r\n.\r\n"):
        visit.say(piece)
        phases.append(visit.session.phase)
    assert phases == [Phase.COMMAND, Phase.COMMAND, Phase.CONTENT, Phase.CONTENT, Phase.OURSELVES]
    assert not visit.session.is_trusted
    visit.depositor.settle()
    assert visit.session.phase is Phase.COMMAND
    assert visit.session.is_trusted


def test_the_porter_of_other_tests_has_no_blacklist() -> None:
    assert make_porter().refuse("192.0.2.9") is None
