"""`mercury user`: mailboxes and logins as the operator keeps them, and as MercuryS then finds them."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from shared.admin.command import mercury
from shared.config.account import Account
from shared.config.accounts import AccountsFile

CONFIG = """
hostname: mail.hq.example
spool: spool
state: state
run: run
local: {domains: [hq.example, büro.example], maildir: "mail/{domain}/{user}"}
"""


class Desk:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "mercury.yaml"
        self.users = root / "users.yaml"
        self.path.write_text(CONFIG)

    def run(self, *arguments: str, stdin: str | bytes = "") -> Result:
        return CliRunner().invoke(mercury, ["--config", str(self.path), "user", *arguments], input=stdin)

    def account(self, key: str) -> Account | None:
        return AccountsFile.load(self.users, lambda: 0.0).lookup(key)

    def events(self) -> list[dict[str, object]]:
        text = (self.root / "state/events/mercury.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def office(tmp_path: Path) -> Desk:
    (tmp_path / "state/events").mkdir(parents=True)
    return Desk(tmp_path)


def matches(account: Account | None, password: str) -> bool:
    return bool(account and account.password and account.password.matches(password))


def test_add_makes_a_mailbox_with_a_login(office: Desk) -> None:
    done = office.run("add", "Anna@hq.example", "--password-stdin", stdin="se cret ✓\nignored\n")
    assert (done.exit_code, done.stdout) == (0, "Anna@hq.example has a mailbox\n")
    assert matches(office.account("anna@hq.example"), "se cret ✓")
    assert stat.S_IMODE(office.users.stat().st_mode) == 0o600
    assert "se cret" not in office.users.read_text()
    assert "se cret" not in json.dumps(office.events())


def test_add_makes_a_mailbox_only(office: Desk) -> None:
    assert office.run("add", "jürgen@büro.example", "--no-password").exit_code == 0
    account = office.account("jürgen@xn--bro-hoa.example")
    assert account and account.password is None


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("anna@far.example", "far.example is no local domain; there is hq.example, xn--bro-hoa.example"),
        ("anna@sub.hq.example", "no local domain"),
        ("anna", "there is no @"),
        ("a b@hq.example", "malformed"),
        ('"../x"@hq.example', "has no /"),
        ('".x"@hq.example', "no leading dot"),
        ("\x1b[2J@hq.example", "\\x1b[2J@hq.example: "),
    ],
)
def test_add_refuses_what_could_get_no_mail(office: Desk, address: str, text: str) -> None:
    done = office.run("add", address, "--no-password")
    assert done.exit_code == 2
    assert text in done.stderr
    assert not office.users.exists()


def test_add_touches_nothing_that_is_there(office: Desk) -> None:
    office.run("add", "anna@hq.example", "--password-stdin", stdin="first\n")
    before = office.users.read_bytes()
    done = office.run("add", "ANNA@hq.example", "--password-stdin", stdin="second\n")
    assert done.exit_code == 1
    assert "is there already" in done.stderr
    assert office.users.read_bytes() == before


@pytest.mark.parametrize(
    ("stdin", "text"),
    [
        ("", "is empty"),
        ("\n", "is empty"),
        ("a\0b\n", "control"),
        (b"\xff\n", "not UTF-8"),
        ("x" * 1025, "longer than"),
    ],
)
def test_a_password_that_cannot_be_is_refused(office: Desk, stdin: str | bytes, text: str) -> None:
    done = office.run("add", "anna@hq.example", "--password-stdin", stdin=stdin)
    assert done.exit_code == 2
    assert text in done.stderr
    assert not office.users.exists()


def test_without_a_terminal_nobody_is_asked(office: Desk) -> None:
    done = office.run("add", "anna@hq.example", stdin="secret\nsecret\n")
    assert done.exit_code == 2
    assert "give --password-stdin" in done.stderr
    assert office.run("add", "a@hq.example", "--password-stdin", "--no-password", stdin="x\n").exit_code == 2


def test_on_a_terminal_the_password_is_asked_for_twice(office: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []

    def prompt(text: str, **options: object) -> str:
        asked.append(options)
        return "secret"

    monkeypatch.setattr("click.prompt", prompt)
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda self: True, raising=False)
    assert office.run("add", "anna@hq.example").exit_code == 0
    assert matches(office.account("anna@hq.example"), "secret")
    assert asked == [{"hide_input": True, "confirmation_prompt": "The same again"}]


def test_passwd_changes_a_password_or_gives_the_first(office: Desk) -> None:
    office.run("add", "anna@hq.example", "--no-password")
    for password in ("first", "second"):
        assert office.run("passwd", "anna@hq.example", "--password-stdin", stdin=password).exit_code == 0
        assert matches(office.account("anna@hq.example"), password)
    assert not matches(office.account("anna@hq.example"), "first")


def test_two_with_the_same_password_have_different_hashes(office: Desk) -> None:
    for name in ("anna", "bert"):
        office.run("add", f"{name}@hq.example", "--password-stdin", stdin="same\n")
    first, second = office.account("anna@hq.example"), office.account("bert@hq.example")
    assert first and second and first.password != second.password


def test_disable_and_enable_keep_the_password(office: Desk) -> None:
    office.run("add", "anna@hq.example", "--password-stdin", stdin="secret\n")
    assert office.run("disable", "anna@hq.example", "--reason", "on leave").exit_code == 0
    account = office.account("anna@hq.example")
    assert account and account.disabled and matches(account, "secret")
    assert office.run("enable", "anna@hq.example").exit_code == 0
    account = office.account("anna@hq.example")
    assert account and not account.disabled and matches(account, "secret")


def test_remove_asks_and_leaves_the_mail(office: Desk) -> None:
    office.run("add", "anna@hq.example", "--no-password")
    assert office.run("remove", "anna@hq.example", stdin="n\n").exit_code == 1
    assert office.account("anna@hq.example")
    done = office.run("remove", "anna@hq.example", "--yes", "--reason", "left us")
    assert done.exit_code == 0
    assert f"{office.root}/mail/hq.example/anna" in done.stdout
    assert office.account("anna@hq.example") is None


def test_each_change_is_an_event_with_who_and_why(office: Desk) -> None:
    office.run("add", "anna@hq.example", "--password-stdin", stdin="secret\n")
    office.run("passwd", "anna@hq.example", "--password-stdin", stdin="secret2\n")
    office.run("disable", "anna@hq.example", "--reason", "on leave")
    office.run("enable", "anna@hq.example")
    office.run("remove", "anna@hq.example", "--yes", "--reason", "left us")
    office.run("remove", "anna@hq.example", "--yes")  # nobody there, no event
    events = office.events()
    assert [event["action"] for event in events] == [
        "user-added", "user-password-changed", "user-disabled", "user-enabled", "user-removed",
    ]  # fmt: skip
    assert [event.get("reason") for event in events] == [None, None, "on leave", None, "left us"]
    assert all(event["recipient"] == "anna@hq.example" and event["by"] for event in events)


def test_a_change_needs_no_state_folder(office: Desk) -> None:
    (office.root / "state/events").rmdir()
    (office.root / "state/events").write_text("in the way")
    assert office.run("add", "anna@hq.example", "--no-password").exit_code == 0


def test_list_shows_who_can_log_in(office: Desk) -> None:
    assert "There are no mailboxes" in office.run("list").stdout
    office.run("add", "anna@hq.example", "--password-stdin", stdin="secret\n")
    office.run("add", "bert@hq.example", "--no-password")
    office.run("disable", "anna@hq.example")
    office.users.write_text(office.users.read_text() + "old@gone.example: {}\n")
    lines = office.run("list", "--json").stdout.splitlines()
    assert [json.loads(line) for line in lines] == [
        {"address": "anna@hq.example", "login": "disabled", "local": True, "name": "", "quota": None},
        {"address": "bert@hq.example", "login": "none", "local": True, "name": "", "quota": None},
        {"address": "old@gone.example", "login": "none", "local": False, "name": "", "quota": None},
    ]
    shown = office.run("list").stdout
    assert "anna@hq.example" in shown and "its domain is not local" in shown
    assert "scrypt" not in shown + "".join(lines)


@pytest.mark.parametrize("verb", ["passwd", "remove", "disable", "enable"])
def test_nobody_is_changed_who_is_not_there(office: Desk, verb: str) -> None:
    more = {"passwd": ["--password-stdin"], "remove": ["--yes"]}.get(verb, [])
    done = office.run(verb, "ghost@hq.example", *more, stdin="x\n")
    assert done.exit_code == 4
    assert "there is no mailbox ghost@hq.example" in done.stderr


@pytest.mark.parametrize(
    "arguments", [["list"], ["add", "bert@hq.example", "--no-password"], ["disable", "anna@hq.example"]]
)
def test_a_broken_users_file_is_shown_with_its_place_and_left_alone(office: Desk, arguments: list[str]) -> None:
    office.users.write_text("anna@hq.example: {passwort: x}\n")
    done = office.run(*arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"{office.users}:1:19: error: unknown field 'passwort'")
    assert office.users.read_text() == "anna@hq.example: {passwort: x}\n"


def test_a_folder_that_is_not_there_is_said_in_one_line(office: Desk) -> None:
    office.path.write_text(CONFIG.replace("local: {", "local: {users: nowhere/users.yaml, "))
    done = office.run("add", "anna@hq.example", "--no-password")
    assert done.exit_code == 1
    assert done.stderr == f"mercury: {office.root}/nowhere: No such file or directory\n"


def test_a_name_and_a_quota_are_set_and_taken_away(office: Desk) -> None:
    office.run("add", "anna@hq.example", "--no-password", "--name", "Anna Berg", "--quota", "2G")
    anna = office.account("anna@hq.example")
    assert anna and (anna.name, anna.quota) == ("Anna Berg", 2 << 30)
    assert office.run("set", "anna@hq.example", "--quota", "none").exit_code == 0
    anna = office.account("anna@hq.example")
    assert anna and (anna.name, anna.quota) == ("Anna Berg", 0)
    assert office.run("set", "anna@hq.example", "--name", "", "--reason", "wish").exit_code == 0
    anna = office.account("anna@hq.example")
    assert anna and (anna.name, anna.quota) == ("", 0)
    assert office.events()[-1]["reason"] == "wish"


@pytest.mark.parametrize("options", [[], ["--quota", "much"], ["--name", "a\nb"]])
def test_what_cannot_be_set(office: Desk, options: list[str]) -> None:
    office.run("add", "anna@hq.example", "--no-password")
    assert office.run("set", "anna@hq.example", *options).exit_code == 2
