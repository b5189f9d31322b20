"""Local delivery: each recipient has an outcome, mailboxes get what was sent, aliases lead on and loops end."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mercury_s.local.aliases import parse_aliases
from mercury_s.local.carrier import LocalCarrier, LocalPlanner
from mercury_s.local.directory import Directory
from mercury_s.local.mailbox import MailboxFolders, MessageNames
from mercury_s.local.maildrop import Maildrop, defer
from mercury_s.local.message import has_been_at, render_been_at
from mercury_s.local.redeposit import Redeposit, render_original
from shared.config.account import Account, parse_accounts
from shared.mail.address import Address, AddressError, parse_address
from shared.mail.content import BytesContent, Content
from shared.mail.envelope import Envelope, Notify, Recipient
from shared.mail.outcome import Deferred, Delivered, Failed, Outcome
from shared.maildir.batch import Landing
from shared.maildir.committer import Committer

MESSAGE = b"Received: from x\r\nSubject: hello\r\n\r\n.dot\r\n\r\nlast\r\n"
TRACED = "Return-Path: <sender@far.example>\nDelivered-To: {}\nReceived: from x\nSubject: hello\n\n.dot\n\nlast\n"
MIB = 1024 * 1024


class InstantCommitter:
    """Does in `submit` what the real one does in its thread; `broken` are Maildirs and the errors they answer with."""

    def __init__(self) -> None:
        self.broken: dict[str, int] = {}
        self.submitted: list[Landing] = []

    def submit(
        self, landings: Sequence[Landing], done: Callable[[OSError | None], None], is_patient: bool = False
    ) -> None:
        assert is_patient, "nobody waits for a delivery"
        self.submitted += landings
        asyncio.get_running_loop().call_soon(done, self._try(landings))

    def _try(self, landings: Sequence[Landing]) -> OSError | None:
        try:
            for landing in landings:
                user = Path(landing.folder).name
                if user in self.broken:
                    raise OSError(self.broken[user], os.strerror(self.broken[user]), landing.folder)
                tmp = landing.tmp or f"{landing.folder}/tmp/{landing.name}"
                if not landing.tmp:
                    Path(tmp).write_bytes(b"".join(landing.content))
                if landing.descriptor is not None:
                    os.close(landing.descriptor)
                os.rename(tmp, f"{landing.folder}/new/{landing.name}")
        except OSError as error:
            return error
        return None


class MemoryDraft:
    def __init__(self, depositor: MemoryDepositor, envelope: Envelope) -> None:
        self._depositor, self._envelope = depositor, envelope
        self._chunks: list[bytes] = []
        self._callback: Callable[[], None] | None = None
        self.waits = 0

    def write(self, chunk: bytes) -> None:
        self._chunks.append(chunk)

    def backlog(self) -> int:
        return 2 * MIB if self._depositor.is_slow else 0

    def on_drained(self, callback: Callable[[], None]) -> None:
        self._depositor.waits += 1
        asyncio.get_running_loop().call_soon(callback)

    def commit(self, done: Callable[[OSError | None], None]) -> None:
        if self._depositor.error:
            done(self._depositor.error)
        else:
            self._depositor.deposited.append((self._envelope, b"".join(self._chunks)))
            done(None)

    def abandon(self) -> None:
        self._depositor.abandoned += 1


class MemoryDepositor:
    """Keeps what is deposited; a letter is the envelope itself."""

    def __init__(self) -> None:
        self.deposited: list[tuple[Envelope, bytes]] = []
        self.error: OSError | None = None
        self.is_slow = False
        self.waits = self.abandoned = 0

    def next_id(self) -> str:
        return f"NEWX-000{len(self.deposited) + 1}"

    def draft(self, letters: Sequence[Envelope]) -> MemoryDraft:
        return MemoryDraft(self, letters[0])


class House:
    """A carrier with its Maildirs below a temporary folder."""

    def __init__(self, root: Path, users: str = "anna bert", aliases: str = "", committer: object = None) -> None:
        self.root = root
        self.committer = committer or InstantCommitter()
        self.depositor = MemoryDepositor()
        accounts = parse_accounts("".join(f"{user}@hq.example: {{}}\n" for user in users.split()).encode(), "users")
        rules = parse_aliases(aliases, "aliases")
        times = iter(range(10**9))
        self.maildrop = Maildrop(self.committer, MessageNames("mail/hq:1", 42, lambda: 1000.000007 + next(times)))  # type: ignore[arg-type]
        self.carrier = LocalCarrier(
            Directory(["hq.example"], lambda: accounts, lambda: rules),
            MailboxFolders(f"{root}/{{domain}}/{{user}}"),
            self.maildrop,
            Redeposit(self.depositor, lambda envelope: [envelope]),  # type: ignore[arg-type,list-item]
        )

    @property
    def broken(self) -> dict[str, int]:
        assert isinstance(self.committer, InstantCommitter)
        return self.committer.broken

    async def send(
        self, *to: str | Recipient, message: bytes | Content = MESSAGE, sender: str = "sender@far.example"
    ) -> list[Outcome]:
        recipients = tuple(
            each
            if isinstance(each, Recipient)
            else Recipient(parse_address(each) if "@" in each else Address(each, ""))
            for each in to
        )
        envelope = Envelope("7Q2M-K4ZC", parse_address(sender) if sender else None, recipients, 1000.0, login="x")
        content = BytesContent(message) if isinstance(message, bytes) else message
        plan = await LocalPlanner().plan(envelope, recipients)
        outcomes: Mapping[Recipient, Outcome] = {}
        for leg in plan.legs:
            outcomes = {**outcomes, **await self.carrier.carry(envelope, content, leg)}
        assert set(outcomes) == set(recipients)
        return [outcomes[recipient] for recipient in recipients]

    def mail(self, user: str) -> list[str]:
        folder = self.root / "hq.example" / user / "new"
        return [file.read_bytes().decode() for file in sorted(folder.iterdir())] if folder.exists() else []


def send(
    house: House, *to: str | Recipient, message: bytes | Content = MESSAGE, sender: str = "s@far.example"
) -> list[Outcome]:
    return asyncio.run(house.send(*to, message=message, sender=sender))


def code(outcome: Outcome) -> str:
    return f"{type(outcome).__name__} {outcome.reply.enhanced}"


def test_a_message_stands_in_the_mailbox_as_a_maildir_wants_it(tmp_path: Path) -> None:
    house = House(tmp_path)
    (outcome,) = asyncio.run(house.send("Anna+News@hq.example"))
    assert code(outcome) == "Delivered 2.0.0"
    assert house.mail("anna") == [TRACED.format("Anna+News@hq.example")]
    (name,) = os.listdir(tmp_path / "hq.example/anna/new")
    size = len(house.mail("anna")[0])
    assert name == f"1000.M000007P42Q1.mail\\057hq\\0721,S={size}"
    assert outcome.detail == f"{tmp_path}/hq.example/anna/new/{name}"
    assert str(tmp_path) not in str(outcome.reply)
    assert (tmp_path / "hq.example/anna").stat().st_mode & 0o777 == 0o700


def test_a_null_sender_and_a_bare_postmaster_leave_their_trace(tmp_path: Path) -> None:
    house = House(tmp_path)
    asyncio.run(house.send("postmaster", sender=""))
    assert house.mail("anna")[0].startswith("Return-Path: <>\nDelivered-To: anna@hq.example\n")


def test_each_recipient_has_its_own_copy_and_its_own_outcome(tmp_path: Path) -> None:
    house = House(tmp_path, "anna bert carla")
    house.broken["bert"] = errno.EDQUOT
    outcomes = send(house, "anna@hq.example", "bert@hq.example", "gone@hq.example", "carla@hq.example")
    assert list(map(code, outcomes)) == ["Delivered 2.0.0", "Deferred 4.2.2", "Failed 5.1.1", "Delivered 2.0.0"]
    assert [len(house.mail(user)) for user in ("anna", "bert", "carla")] == [1, 0, 1]


@pytest.mark.parametrize(
    ("error", "enhanced"),
    [
        (errno.EDQUOT, "4.2.2"),
        (errno.ENOSPC, "4.3.1"),
        (errno.EACCES, "4.2.0"),
        (errno.EROFS, "4.2.0"),
        (errno.EIO, "4.3.0"),
    ],
)
def test_what_a_file_system_answers_is_a_deferral(tmp_path: Path, error: int, enhanced: str) -> None:
    house = House(tmp_path)
    house.broken["anna"] = error
    (outcome,) = send(house, "anna@hq.example")
    assert code(outcome) == f"Deferred {enhanced}"
    assert str(tmp_path) in outcome.detail
    assert str(tmp_path) not in str(outcome.reply)


def test_the_reason_names_the_mailbox_in_the_same_words_each_time() -> None:
    said = {
        defer(OSError(errno.EACCES, "Permission denied", path)).detail
        for path in ("/mail/anna/tmp/1.M1P1Q1.mail", "/mail/anna/new", "/mail/anna")
    }
    assert said == {"/mail/anna: Permission denied; it must belong to the account of MercuryS"}
    assert "`mercury setup`" in defer(OSError(errno.EROFS, "Read-only file system", "/mail/anna")).detail


def test_a_mailbox_that_cannot_be_made_is_a_deferral(tmp_path: Path) -> None:
    (tmp_path / "hq.example").write_text("a file in the way")
    assert list(map(code, send(House(tmp_path), "anna@hq.example"))) == ["Deferred 4.2.0"]


def test_a_mailbox_that_was_taken_away_is_made_again(tmp_path: Path) -> None:
    house = House(tmp_path)
    send(house, "anna@hq.example")
    os.rename(tmp_path / "hq.example/anna", tmp_path / "away")
    assert list(map(code, send(house, "anna@hq.example"))) == ["Delivered 2.0.0"]
    assert len(house.mail("anna")) == 1


def test_a_link_in_the_place_of_the_new_file_is_not_followed(tmp_path: Path) -> None:
    house = House(tmp_path)
    send(house, "anna@hq.example")
    (tmp_path / "precious").write_text("precious")
    large = LargeContent(2 * MIB)
    (tmp_path / "hq.example/anna/tmp/1001.M000007P42Q2.mail\\057hq\\0721").symlink_to(tmp_path / "precious")
    (outcome,) = send(house, "anna@hq.example", message=large)
    assert isinstance(outcome, Deferred)
    assert (tmp_path / "precious").read_text() == "precious"


class LargeContent:
    """A message that is read from somewhere, cut at odd places; `breaks_at` is where reading fails."""

    def __init__(self, size: int, breaks_at: int = -1) -> None:
        self.text = (b"Subject: x\r\n\r\n" + b"0123456789\r\n" * (size // 12 + 1))[:size]
        self.breaks_at = breaks_at

    @property
    def size(self) -> int:
        return len(self.text)

    def chunks(self, size: int = 65536) -> Iterator[bytes]:
        for start in range(0, len(self.text), 4099):
            if 0 <= self.breaks_at <= start:
                raise OSError(errno.EIO, "Input/output error")
            yield self.text[start : start + 4099]

    def head(self) -> bytes:
        return self.text[:14]


@pytest.mark.parametrize("size", [100_000, 128 * 1024 + 1, MIB + 1, 3 * MIB])
def test_a_message_of_any_size_is_delivered_whole(tmp_path: Path, size: int) -> None:
    house, content = House(tmp_path), LargeContent(size)
    outcomes = send(house, "anna@hq.example", "bert@hq.example", message=content)
    assert list(map(code, outcomes)) == ["Delivered 2.0.0"] * 2
    for user in ("anna", "bert"):
        (text,) = house.mail(user)
        assert text.endswith(content.text.decode().replace("\r\n", "\n"))
        (name,) = os.listdir(tmp_path / f"hq.example/{user}/new")
        assert name.endswith(f",S={len(text)}")
        assert os.listdir(tmp_path / f"hq.example/{user}/tmp") == []


@pytest.mark.parametrize(("size", "breaks_at"), [(1000, 0), (300_000, 150_000), (3 * MIB, 0), (3 * MIB, 2 * MIB)])
def test_a_message_that_cannot_be_read_is_a_deferral_and_leaves_nothing(
    tmp_path: Path, size: int, breaks_at: int
) -> None:
    house = House(tmp_path)
    outcomes = send(house, "anna@hq.example", "bert@hq.example", message=LargeContent(size, breaks_at))
    assert list(map(code, outcomes)) == ["Deferred 4.3.0"] * 2
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_a_delivery_called_off_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    house = House(tmp_path)

    class Interrupting(LargeContent):
        """Calls the delivery off when it is read."""

        def chunks(self, size: int = 65536) -> Iterator[bytes]:
            loop.call_soon_threadsafe(task.cancel)
            yield from super().chunks(size)

    async def run() -> None:
        nonlocal loop, task
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as executor:
            loop.set_default_executor(executor)
            task = asyncio.create_task(house.send("anna@hq.example", message=Interrupting(4 * MIB)))
            with pytest.raises(asyncio.CancelledError):
                await task
            await loop.run_in_executor(executor, int)  # behind the writing
            await loop.run_in_executor(executor, int)  # behind its callback

    loop: asyncio.AbstractEventLoop
    task: asyncio.Task[list[Outcome]]
    asyncio.run(run())
    assert list(tmp_path.rglob("tmp"))
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_the_real_committer_delivers_many_at_once(tmp_path: Path) -> None:
    async def run() -> House:
        committer = Committer(asyncio.get_running_loop().call_soon_threadsafe)
        committer.start()
        house = House(tmp_path, "anna bert", committer=committer)
        sends = [house.send(f"{user}@hq.example") for user in ("anna", "bert") for _ in range(40)]
        large = [house.send("anna@hq.example", message=LargeContent(2 * MIB))]
        assert {code(outcome) for (outcome,) in await asyncio.gather(*sends, *large)} == {"Delivered 2.0.0"}
        committer.stop()
        return house

    house = asyncio.run(run())
    assert len(house.mail("anna")) == 41
    assert house.mail("bert") == [TRACED.format("bert@hq.example")] * 40


# ---- aliases -----------------------------------------------------------------------------------------------------


def test_a_list_is_delivered_here_and_sent_on_in_one_entry(tmp_path: Path) -> None:
    house = House(tmp_path, aliases="team: anna, bert, x@far.example, y@far.example\n")
    (outcome,) = send(house, "Team+x@hq.example")
    assert code(outcome) == "Delivered 2.1.5"
    assert outcome.detail == (
        "expanded to anna@hq.example, bert@hq.example, x@far.example (as NEWX-0001), y@far.example (as NEWX-0001)"
    )
    assert "anna" not in str(outcome.reply)
    assert house.mail("anna")[0].startswith("Return-Path: <s@far.example>\nDelivered-To: anna@hq.example\nReceived:")
    ((envelope, message),) = house.depositor.deposited
    assert envelope.id == "NEWX-0001"
    assert str(envelope.sender) == "s@far.example"
    assert envelope.login == "x"
    assert [str(recipient.address) for recipient in envelope.recipients] == ["x@far.example", "y@far.example"]
    assert {recipient.original for recipient in envelope.recipients} == {"rfc822;Team+2Bx@hq.example"}
    assert message == b"Delivered-To: Team@hq.example\r\n" + MESSAGE


def test_a_plain_forwarding_passes_on_what_the_sender_wants_to_hear(tmp_path: Path) -> None:
    house = House(tmp_path, aliases="anna: a@far.example\n")
    recipient = Recipient(parse_address("anna@hq.example"), (Notify.SUCCESS,), "rfc822;first@here.example")
    (outcome,) = send(house, recipient)
    assert isinstance(outcome, Delivered)
    assert outcome.passes_dsn
    ((envelope, _),) = house.depositor.deposited
    assert envelope.recipients == (
        Recipient(parse_address("a@far.example"), (Notify.SUCCESS,), "rfc822;first@here.example"),
    )


@pytest.mark.parametrize(
    ("wishes", "behind"),
    [
        ((), ()),
        ((Notify.NEVER,), (Notify.NEVER,)),
        ((Notify.SUCCESS,), (Notify.NEVER,)),
        ((Notify.SUCCESS, Notify.FAILURE), (Notify.FAILURE,)),
    ],
)
def test_success_behind_a_list_is_reported_by_nobody(
    tmp_path: Path, wishes: tuple[Notify, ...], behind: tuple[Notify, ...]
) -> None:
    house = House(tmp_path, aliases="team: anna, x@far.example\n")
    (outcome,) = send(house, Recipient(parse_address("team@hq.example"), wishes))
    assert isinstance(outcome, Delivered)
    assert not outcome.passes_dsn
    assert house.depositor.deposited[0][0].recipients[0].notify == behind


def test_an_address_that_needs_smtputf8_makes_the_entry_need_it(tmp_path: Path) -> None:
    house = House(tmp_path, aliases="anna: jürgen@far.example\nbert: b@far.example\n")
    send(house, "anna@hq.example")
    send(house, "bert@hq.example")
    assert [envelope.smtputf8 for envelope, _ in house.depositor.deposited] == [True, False]


def test_a_large_message_is_sent_on_without_filling_the_memory(tmp_path: Path) -> None:
    house, content = House(tmp_path, aliases="anna: a@far.example\n"), LargeContent(MIB)
    house.depositor.is_slow = True
    assert list(map(code, send(house, "anna@hq.example", message=content))) == ["Delivered 2.1.5"]
    assert house.depositor.deposited[0][1] == b"Delivered-To: anna@hq.example\r\n" + content.text
    assert house.depositor.waits == len(list(content.chunks()))


def test_when_the_spool_is_full_nothing_has_happened_yet(tmp_path: Path) -> None:
    house = House(tmp_path, aliases="team: anna, x@far.example\n")
    house.depositor.error = OSError(errno.ENOSPC, "No space left on device")
    assert list(map(code, send(house, "team@hq.example"))) == ["Deferred 4.3.1"]
    assert house.mail("anna") == []
    assert house.depositor.abandoned == 1


def test_a_list_none_of_which_could_be_reached_is_tried_again_whole(tmp_path: Path) -> None:
    house = House(tmp_path, aliases="team: anna, bert\n")
    house.broken.update(anna=errno.EDQUOT, bert=errno.EDQUOT)
    assert list(map(code, send(house, "team@hq.example"))) == ["Deferred 4.2.2"]
    assert house.depositor.deposited == []


@pytest.mark.parametrize("aliases", ["team: anna, bert\n", "team: anna, bert\nbert: bert, anna, far@far.example\n"])
def test_one_full_mailbox_behind_a_list_gives_nobody_a_second_copy(tmp_path: Path, aliases: str) -> None:
    house = House(tmp_path, aliases=aliases)
    house.broken["bert"] = errno.EDQUOT
    assert list(map(code, send(house, "team@hq.example"))) == ["Delivered 2.1.5"]
    envelope, message = house.depositor.deposited.pop()
    assert [str(recipient.address) for recipient in envelope.recipients] == ["bert@hq.example"]
    house.depositor.deposited.clear()
    house.broken.clear()
    assert all(isinstance(outcome, Delivered) for outcome in send(house, *envelope.recipients, message=message))
    assert [len(house.mail(user)) for user in ("anna", "bert")] == [1, 1]
    assert house.depositor.deposited == []


def test_an_alias_that_leads_nowhere_fails(tmp_path: Path) -> None:
    house = House(tmp_path, aliases="team: gone, lost\n")
    assert list(map(code, send(house, "team@hq.example"))) == ["Failed 5.1.1"]


def test_what_leads_nowhere_is_told_to_the_operator_only(tmp_path: Path) -> None:
    (outcome,) = send(House(tmp_path, aliases="team: anna, gone\n"), "team@hq.example")
    assert isinstance(outcome, Delivered)
    assert outcome.detail == "expanded to anna@hq.example; leads nowhere: gone"
    assert "gone" not in str(outcome.reply)


def test_a_message_that_comes_back_to_an_alias_fails(tmp_path: Path) -> None:
    house = House(tmp_path, aliases="team: x@far.example\n")
    send(house, "Team@hq.example")
    _, message = house.depositor.deposited.pop()
    (outcome,) = send(house, "team+again@HQ.example", message=b"Received: from far\r\n" + message)
    assert isinstance(outcome, Failed)
    assert (outcome.reply.code, outcome.reply.enhanced) == (554, "5.4.6")
    assert house.depositor.deposited == []


def test_a_message_that_comes_back_to_who_keeps_a_copy_ends_in_the_mailbox(tmp_path: Path) -> None:
    house = House(tmp_path, aliases="anna: anna, a@far.example\n")
    send(house, "anna@hq.example")
    _, message = house.depositor.deposited.pop()
    assert list(map(code, send(house, "anna@hq.example", message=message))) == ["Delivered 2.0.0"]
    assert len(house.mail("anna")) == 2
    assert house.depositor.deposited == []


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"Delivered-To: team@hq.example\r\n\r\n", True),
        (b"Subject: x\r\ndelivered-to:\r\n TEAM@hq.example \r\n\r\n", True),
        (b"Delivered-To: <team@hq.example>\r\n", True),
        (b"Delivered-To: other@x.example\r\nDELIVERED-TO:team@HQ.EXAMPLE", True),
        (b"Delivered-To: team@hq.example.far.example\r\n\r\n", False),
        (b"X-Delivered-To: team@hq.example\r\n\r\n", False),
        (b"Subject: x\r\n Delivered-To: team@hq.example\r\n\r\n", False),
        (b"Delivered-To: other@x.example\r\nX: team@hq.example\r\n\r\n", False),
        (b"", False),
    ],
)
def test_the_trace_of_an_alias_is_seen(head: bytes, expected: bool) -> None:
    assert has_been_at(head, parse_address("Team@hq.example")) is expected


@pytest.mark.parametrize(
    "text", ["a@hq.example", '"a b"@hq.example', '"x\\"y"@hq.example', "Ümit@büro.example", '"a@b"@x']
)
def test_the_trace_we_leave_is_the_one_we_see(text: str) -> None:
    address = parse_address(text)
    assert has_been_at(b"Received: x\r\n" + render_been_at(address) + b"\r\n", address)
    assert render_been_at(address).count(b"\n") == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a+b=c@hq.example", "rfc822;a+2Bb+3Dc@hq.example"),
        ('"a b"@hq.example', 'rfc822;"a+20b"@hq.example'),
        ("ümit@hq.example", "utf-8;\\x{FC}mit@hq.example"),
    ],
)
def test_the_first_recipient_is_kept_in_orcpt_form(text: str, expected: str) -> None:
    assert render_original(parse_address(text)) == expected


# ---- where mailboxes are -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Anna@HQ.example", "/mail/hq.example/anna"),
        ("anna@büro.example", "/mail/xn--bro-hoa.example/anna"),
        ('"{domain}"@hq.example', "/mail/hq.example/{domain}"),
        ('"a b"@[192.0.2.1]', "/mail/[192.0.2.1]/a b"),
    ],
)
def test_a_folder_is_made_of_the_account(text: str, expected: str) -> None:
    assert MailboxFolders("/mail/{domain}/{user}").folder(Account(parse_address(text))) == expected


@pytest.mark.parametrize("template", ["mail/{user}", "/mail/{domain}", ""])
def test_a_template_that_cannot_work_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="template"):
        MailboxFolders(template)


@settings(derandomize=True, max_examples=300)
@given(st.text(st.sampled_from("./a\0~\\ é{}domainuser"), max_size=12), st.sampled_from(["hq.example", "..", "a/b"]))
def test_no_account_leads_out_of_the_mail_folder(local: str, domain: str) -> None:
    try:
        folder = MailboxFolders("/mail/{domain}/{user}").folder(Account(Address(local, domain)))
    except AddressError:
        return
    assert os.path.normpath(folder) == folder
    assert folder.startswith("/mail/hq.example/")
