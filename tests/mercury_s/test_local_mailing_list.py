"""Lists, SRS and quotas on the way of a message: who may post, what members get, and whose sender it travels under."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.doors import open_session
from test_local_carrier import House, code, send

from mercury_s.local.aliases import parse_aliases
from mercury_s.local.carrier import Extras, LocalCarrier
from mercury_s.local.directory import Alias, Directory, ListAddress, NoSuchUser
from mercury_s.local.lmtp import LmtpDrop, lmtp_hop
from mercury_s.local.mailbox import MailboxFolders
from mercury_s.local.mailing_list import MAY_NOT_POST, NO_SENDER, MailingList, MailingLists
from mercury_s.local.quota import Quotas
from mercury_s.local.reception import Reception
from mercury_s.local.redeposit import Redeposit
from mercury_s.local.srs import Srs
from shared.config.account import parse_accounts
from shared.config.local import Over
from shared.config.mailing_lists import ListSettings, Posters
from shared.config.reading import read
from shared.mail.address import Address, parse_address
from shared.mail.content import BytesContent
from shared.mail.envelope import Body, Envelope
from shared.mail.outcome import Deferred, Delivered, Outcome
from shared.mail.reply import Reply

HEAD = b"Received: from x\r\nFrom: anna@hq.example\r\nSubject: hello\r\n"
BODY = b"\r\nbody\r\n.\r\n"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def settings(**more: object) -> ListSettings:
    given = {
        "address": "staff@hq.example", "owner": "anna@hq.example", "members": ("anna@hq.example", "x@far.example"),
        **more,
    }  # fmt: skip
    return read(ListSettings, given, "/")


class Hall(House):
    """A house with a list `staff`, SRS and quotas."""

    def __init__(
        self, root: Path, aliases: str = "", users: bytes = b"", extras: Extras | None = None, **more: object
    ) -> None:
        super().__init__(root)
        accounts = parse_accounts(b"anna@hq.example: {}\nbert@hq.example: {}\n" + users, "users")
        rules = parse_aliases(aliases, "aliases")
        self.srs = Srs([b"k" * 32], "hq.example", lambda: 86400.0 * 20000)
        self.directory = Directory(
            ["hq.example"], lambda: accounts, lambda: rules, None, MailingLists([settings(**more)], Clock()), self.srs
        )
        self.carrier = LocalCarrier(
            self.directory,
            MailboxFolders(f"{root}/{{domain}}/{{user}}"),
            self.maildrop,
            Redeposit(self.depositor, lambda envelope: [envelope]),  # type: ignore[arg-type,list-item]
            None,
            extras or Extras(srs=self.srs, quotas=Quotas(0, Over.BOUNCE, lambda: 0.0)),
        )

    @property
    def onward(self) -> tuple[Envelope, bytes]:
        [one] = self.depositor.deposited
        return one


def post(hall: Hall, message: bytes = HEAD + BODY, sender: str = "anna@hq.example") -> str:
    (outcome,) = send(hall, "staff@hq.example", message=message, sender=sender)
    return code(outcome)


# -- posting -----------------------------------------------------------------------------------------------------------


def test_members_get_the_message_with_the_fields_of_the_list(tmp_path: Path) -> None:
    hall = Hall(tmp_path)
    assert post(hall) == "Delivered 2.1.5"
    envelope, text = hall.onward
    assert [str(recipient.address) for recipient in envelope.recipients] == ["anna@hq.example", "x@far.example"]
    assert str(envelope.sender) == "staff-bounces@hq.example"
    assert text == (
        b"Delivered-To: staff@hq.example\r\n" + HEAD + b"List-Id: <staff.hq.example>\r\n"
        b"List-Post: <mailto:staff@hq.example>\r\n"
        b"List-Unsubscribe: <mailto:staff-unsubscribe@hq.example?subject=unsubscribe>\r\n"
        b"List-Owner: <mailto:staff-owner@hq.example>\r\nPrecedence: list\r\n" + BODY
    )


def test_what_another_list_said_is_gone(tmp_path: Path) -> None:
    hall = Hall(tmp_path)
    other = (
        b"List-Id: Other\r\n <other.example>\r\nPrecedence: bulk\r\nList-Unsubscribe-Post: x\r\nX-List-Id: stays\r\n"
    )
    assert post(hall, other + HEAD + BODY) == "Delivered 2.1.5"
    text = hall.onward[1]
    assert b"other.example" not in text and b"bulk" not in text and b"Unsubscribe-Post" not in text
    assert b"X-List-Id: stays\r\n" in text and text.count(b"Precedence:") == 1


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"List-Id: Staff <STAFF.hq.example>\r\n", "Failed 5.4.6"),
        (b"List-Id: Staff\r\n\t<staff.hq.example>\r\n", "Failed 5.4.6"),
        (b"Delivered-To: staff@hq.example\r\n", "Failed 5.4.6"),
        (b"Auto-Submitted: auto-replied (vacation)\r\n", "Failed 5.7.1"),
        (b"Auto-Submitted: no\r\n", "Delivered 2.1.5"),
        (b"In-Reply-To: <staff.hq.example>\r\n", "Delivered 2.1.5"),
    ],
)
def test_what_goes_round_in_circles_ends(tmp_path: Path, head: bytes, expected: str) -> None:
    assert post(Hall(tmp_path), head + HEAD + BODY) == expected


@pytest.mark.parametrize(
    ("posters", "sender", "is_inside", "expected"),
    [
        ("members", "anna@hq.example", False, None),
        ("members", "ANNA@hq.example", False, None),
        ("members", "bert@hq.example", True, MAY_NOT_POST),
        ("local", "bert@hq.example", True, None),
        ("local", "anna@hq.example", False, MAY_NOT_POST),
        ("anyone", "who@far.example", False, None),
        ("anyone", "", True, NO_SENDER),
        ("members", "", True, NO_SENDER),
    ],
)
def test_who_may_post(posters: str, sender: str, is_inside: bool, expected: Reply | None) -> None:
    one = MailingList(settings(post=posters), Clock())
    refusal = one.objection(parse_address(sender) if sender else None, is_inside)
    assert (refusal.reply if refusal else None) == expected
    assert one._settings.post is Posters(posters)


def test_a_stranger_is_refused_at_delivery_too(tmp_path: Path) -> None:
    hall = Hall(tmp_path)
    assert post(hall, sender="who@far.example") == "Failed 5.7.1"
    assert post(hall, sender="") == "Failed 5.7.1"
    assert not hall.depositor.deposited


def test_a_stranger_is_refused_at_rcpt(tmp_path: Path) -> None:
    hall = Hall(tmp_path)
    reception = Reception(MailboxFolders("/{domain}/{user}"), None)
    visit = open_session(directory=hall.directory, reception=reception)
    visit.say(b"EHLO x\r\nMAIL FROM:<who@far.example>\r\nRCPT TO:<staff@hq.example>\r\nRCPT TO:<bert@hq.example>\r\n")
    replies = [line for line in visit.wire.sent.split(b"\r\n") if line[3:4] == b" "]
    assert replies[-2].startswith(b"550 5.7.1 You may not write to this list") and replies[-1].startswith(b"250")


@pytest.mark.parametrize("service", ["owner", "bounces", "unsubscribe", "Owner"])
def test_service_addresses_lead_to_the_owner(tmp_path: Path, service: str) -> None:
    hall = Hall(tmp_path)
    (outcome,) = send(hall, f"staff-{service}@hq.example", sender="")
    assert code(outcome) == "Delivered 2.1.5"
    assert len(hall.mail("anna")) == 1


def test_a_list_comes_before_an_alias_and_an_alias_may_lead_to_it(tmp_path: Path) -> None:
    hall = Hall(tmp_path, aliases="staff: bert\nall: staff, bert, y@far.example\n")
    assert isinstance(hall.directory.find(parse_address("Staff@HQ.example")), ListAddress)
    send(hall, "all@hq.example", sender="who@far.example")
    assert len(hall.mail("bert")) == 1
    (abroad, _), (to_list, _) = hall.depositor.deposited
    assert [str(one.address) for one in abroad.recipients] == ["y@far.example"]
    assert abroad.sender_text.startswith("SRS0=")
    assert [str(one.address) for one in to_list.recipients] == ["staff@hq.example"]
    assert to_list.sender_text == "who@far.example", "the list judges who really wrote"


@pytest.mark.parametrize(
    ("more", "head", "expected"),
    [
        ({"reply_to": "list"}, b"", b"Reply-To: <staff@hq.example>\r\n"),
        ({"reply_to": "list"}, b"Reply-To: me@hq.example\r\n", b"Reply-To: me@hq.example\r\n"),
        ({"tag": "Staff"}, b"", b"Subject: [Staff] hello\r\n"),
        ({"tag": "STAFF"}, b"Subject: Re: [Staff] again\r\n", b"Subject: Re: [Staff] again\r\n"),
        (
            {"tag": "Staff"},
            b"Subject: =?utf-8?q?Re=3A_=5BStaff=5D_=C3=BC?=\r\n",
            b"=?utf-8?q?Re=3A_=5BStaff=5D_=C3=BC?=",
        ),
        ({"tag": "Staff"}, b"Subject: =?x-no?q?=ZZ?=\r\n", b"Subject: [Staff] =?x-no?q?=ZZ?=\r\n"),
        ({"tag": "Staff"}, b"Subject:\r\n folded\r\n", b"Subject: [Staff] \r\n folded\r\n"),
    ],
)
def test_replies_and_tags(tmp_path: Path, more: dict[str, object], head: bytes, expected: bytes) -> None:
    hall = Hall(tmp_path, **more)
    start = head if b"Subject" in head else head + b"Subject: hello\r\n"
    assert post(hall, start + BODY) == "Delivered 2.1.5"
    text = hall.onward[1]
    assert expected in text
    assert text.count(b"Reply-To") == (1 if "reply_to" in more else 0)
    assert text.lower().count(b"subject:") == 1 and text.count(b"[Staff] [Staff]") == 0


def test_a_message_without_a_subject_gets_one_and_one_without_a_body_passes(tmp_path: Path) -> None:
    hall = Hall(tmp_path, tag="Staff")
    assert post(hall, b"From: anna@hq.example\r\n") == "Delivered 2.1.5"
    assert b"Subject: [Staff]\r\n" in hall.onward[1] and hall.onward[1].endswith(b"\r\n\r\n")


@pytest.mark.parametrize("size", [10, 70_000, 700_000])
def test_the_body_stays_what_it_was(tmp_path: Path, size: int) -> None:
    hall = Hall(tmp_path)
    body = b"\r\n" + bytes(range(32, 127)) * (size // 95) + b"\r\n"
    assert post(hall, HEAD + body) == "Delivered 2.1.5"
    assert hall.onward[1].endswith(b"Precedence: list\r\n" + body)
    rewritten = MailingList(settings(), Clock()).rewrite(BytesContent(HEAD + body))
    assert not isinstance(rewritten, Reply)
    for piece in (1000, 65536):
        assert sum(map(len, rewritten.chunks(piece))) == rewritten.size


def test_a_file_of_members_is_followed(tmp_path: Path) -> None:
    file = tmp_path / "staff"
    file.write_text("# people\nbert, y@far.example\n")
    clock = Clock()
    one = MailingList(settings(members=("anna@hq.example",), file=str(file)), clock)
    assert [str(member) for member in one.members()] == ["anna@hq.example", "bert@hq.example", "y@far.example"]
    file.write_text("Anna\nstaff\ncarla\n")
    clock.now = 5.0
    assert [member.key for member in one.members()] == ["anna@hq.example", "carla@hq.example"], "never itself"


@pytest.mark.parametrize(("text", "expected"), [(None, "4.3.0"), (b"|sh\n", "4.3.5"), (b"\xff\n", "4.3.5")])
def test_a_file_that_cannot_be_used_lets_the_message_wait(tmp_path: Path, text: bytes | None, expected: str) -> None:
    if text is not None:
        (tmp_path / "staff").write_bytes(text)
    hall = Hall(tmp_path, file=str(tmp_path / "staff"))
    assert post(hall) == f"Deferred {expected}"


def test_a_list_without_members_says_so(tmp_path: Path) -> None:
    assert post(Hall(tmp_path, members=(), post="anyone")) == "Failed 5.1.1"


# -- forwarding and SRS ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sender", "is_rewritten"),
    [("who@far.example", True), ("bert@hq.example", False), ("", False), ("x" * 60 + "@a.b", False)],
)
def test_a_foreign_sender_becomes_ours_when_mail_goes_abroad(tmp_path: Path, sender: str, is_rewritten: bool) -> None:
    hall = Hall(tmp_path, aliases="anna: a@partner.example\n")
    send(hall, "anna@hq.example", sender=sender)
    found = hall.onward[0].sender
    assert str(found or "") == sender or is_rewritten
    if is_rewritten:
        assert found is not None and found.domain == "hq.example" and hall.srs.resolve(found) == parse_address(sender)


def test_what_comes_back_goes_to_the_sender(tmp_path: Path) -> None:
    hall = Hall(tmp_path)
    ours = hall.srs.rewrite(parse_address("who@far.example"))
    assert ours is not None
    (outcome,) = send(hall, str(ours), sender="")
    assert isinstance(outcome, Delivered)
    envelope, _ = hall.onward
    assert envelope.sender is None and [str(one.address) for one in envelope.recipients] == ["who@far.example"]


def test_a_forged_address_is_nobody_not_even_for_the_catch_all(tmp_path: Path) -> None:
    hall = Hall(tmp_path, aliases="@hq.example: anna\n")
    assert isinstance(hall.directory.find(Address("SRS0=AAAAA=TT=far.example=who", "hq.example")), NoSuchUser)
    assert isinstance(hall.directory.find(Address("anybody", "hq.example")), Alias)


# -- quota and LMTP in the carrier -------------------------------------------------------------------------------------


def full(folder: Path) -> None:
    (folder / "hq.example/carla").mkdir(parents=True)
    (folder / "hq.example/carla/maildirsize").write_text("1000S\n990 1\n")


def test_one_full_mailbox_of_several_is_reported_for_itself(tmp_path: Path) -> None:
    hall = Hall(tmp_path, "team: anna, carla\n", b"carla@hq.example: {quota: 1000}\n")
    full(tmp_path)
    assert [code(one) for one in send(hall, "carla@hq.example")] == ["Failed 5.2.2"]
    assert [code(one) for one in send(hall, "team@hq.example")] == ["Delivered 2.1.5"]
    assert len(hall.mail("anna")) == 1 and not hall.mail("carla")
    assert [str(one.address) for one in hall.onward[0].recipients] == ["carla@hq.example"]


def test_mailboxes_go_by_lmtp_and_maildirs_are_left_alone(tmp_path: Path) -> None:
    class Server:
        async def carry(self, envelope: Envelope, content: object, leg: object) -> dict[object, Outcome]:
            assert envelope.body is Body.SEVEN_BIT
            recipients = leg.recipients  # type: ignore[attr-defined]
            return {
                one: Deferred(Reply(451, "4.3.0", "later"))
                if one.address.local == "bert"
                else Delivered(Reply(250, "2.0.0", "saved"))
                for one in recipients
            }

    drop = LmtpDrop(Server(), lmtp_hop("unix:/s"), Over.DEFER)  # type: ignore[arg-type]
    hall = Hall(tmp_path, "team: anna, bert\n", extras=Extras(lmtp=drop))
    outcomes = send(hall, "anna+x@hq.example", "bert@hq.example", "team@hq.example", "gone@hq.example")
    assert list(map(code, outcomes)) == ["Delivered 2.0.0", "Deferred 4.3.0", "Delivered 2.1.5", "Failed 5.1.1"]
    assert [str(one.address) for one in hall.onward[0].recipients] == ["bert@hq.example"], "late, and alone"
    assert not hall.mail("anna")
