"""The users file: read with every problem and its place, kept when it turns bad, replaced whole."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.config.account import Account, AccountsError, parse_accounts, render_accounts
from shared.config.accounts import AccountsFile
from shared.config.passwords import NO_PASSWORD, PasswordHash, hash_password
from shared.mail.address import AddressError, parse_address

STORED = "scrypt:2:1:1:c2FsdHNhbHQ=:" + "A" * 43 + "="
HASH = PasswordHash(2, 1, 1, b"saltsalt", bytes(32))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def parse(text: str) -> dict[str, Account]:
    return parse_accounts(text.encode(), "users.yaml")


def problems(text: str | bytes) -> tuple[str, ...]:
    with pytest.raises(AccountsError) as caught:
        parse_accounts(text.encode() if isinstance(text, str) else text, "users.yaml")
    return caught.value.problems


def test_accounts_are_found_without_regard_to_case() -> None:
    accounts = parse(f'Anna@HQ.example: {{password: "{STORED}", disabled: true}}\narchive@hq.example: {{}}\n')
    anna = accounts["anna@hq.example"]
    assert anna.password and anna.password.render() == STORED
    assert anna.disabled
    assert accounts["archive@hq.example"] == Account(parse_address("archive@hq.example"))


@pytest.mark.parametrize("text", ["", "# nobody yet\n", "{}\n", "a@hq.example:\n"])
def test_little_is_enough(text: str) -> None:
    assert list(parse(text)) == (["a@hq.example"] if "@" in text else [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a@b\n", "users.yaml:1:1: error: expected `address: {"),
        ("a@hq.example: {}\nA@HQ.example: {}\n", "users.yaml:2:1: error: a@hq.example stands here twice"),
        ("a@hq.example: {passwort: x}\n", "users.yaml:1:16: error: unknown field 'passwort'"),
        ("a@hq.example: {disabled: 1}\n", "users.yaml:1:26: error: disabled: expected true or false"),
        ("a@hq.example: secret\n", "users.yaml:1:15: error: expected {password"),
        ("a@hq.example: {disabled: true, disabled: false}\n", "users.yaml:1:15: error: a field is not a word, or"),
        ("anna: {}\n", "users.yaml:1:1: error: 'anna': there is no @"),
        ("'../etc@hq.example': {}\n", "users.yaml:1:1: error: '../etc@hq.example': the local part is malformed"),
        ("'\"../etc\"@hq.example': {}\n", "has no /"),
        ("a/b@hq.example: {}\n", "has no /"),
        ("'\".anna\"@hq.example': {}\n", "no leading dot"),
        ("a@hq.example: {\n", "users.yaml:2:1: error: "),
        ("[a]: {}\n", "users.yaml:1:1: error: expected an address"),
        ("a@hq.example: {password: 'scrypt:3:8:1:c2FsdHNhbHQ=:AAAA'}\n", "scrypt parameters are out of range"),
        ("a@hq.example: {password: 'scrypt:1048576:64:1:c2FsdHNhbHQ=:AAAA'}\n", "out of range"),
        ("a@hq.example: {password: 'scrypt:2:8:1:c2FsdHNhbHQ=:AAAA'}\n", "too short"),
        ("a@hq.example: {password: 'scrypt:2:8:1:c2Fsd:AAAA'}\n", "not base64"),
    ],
)
def test_a_mistake_is_shown_with_its_place(text: str, expected: str) -> None:
    assert expected in problems(text)[0]


def test_all_mistakes_are_shown_at_once() -> None:
    assert len(problems('a: {}\nb@c.example: {disabled: x}\n"d\\0@e.example": {}\n')) == 3


def test_a_password_in_clear_is_refused_and_not_repeated() -> None:
    (problem,) = problems("a@hq.example: {password: hunter2}\n")
    assert "mercury user passwd" in problem
    assert "hunter2" not in problem


@pytest.mark.parametrize("text", [b"\xff\xfe\x00", b"a@b: \x00", b"\xc3\x28: {}", b"[" * 50_000])
def test_what_is_no_yaml_is_a_problem_and_no_crash(text: bytes) -> None:
    assert problems(text)[0].startswith("users.yaml:")


@st.composite
def accounts(draw: st.DrawFn) -> list[Account]:
    locals_ = st.one_of(st.from_regex(r"[a-z0-9!#$%&'*+=?^_`{|}~-]{1,9}\Z"), st.text(min_size=1, max_size=9))
    found: dict[str, Account] = {}
    for local in draw(st.lists(locals_, max_size=5)):
        quoted = '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'
        try:
            account = Account(
                parse_address(f"{quoted}@{draw(st.sampled_from(['hq.example', 'büro.example', '[192.0.2.1]']))}"),
                draw(st.sampled_from([None, HASH])),
                draw(st.booleans()),
            )
        except AddressError:
            continue
        found[account.key] = account
    return list(found.values())


@settings(derandomize=True, max_examples=200)
@given(accounts())
def test_what_is_written_is_read_again(given_accounts: list[Account]) -> None:
    try:
        read = parse_accounts(render_accounts(given_accounts).encode(), "users.yaml")
    except AccountsError as error:
        assert "has no /" in str(error)  # the only reason to refuse a valid address
    else:
        assert list(read.values()) == given_accounts


def test_a_change_is_seen_within_a_second_and_not_looked_for_more_often(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "users.yaml"
    path.write_text("a@hq.example: {}\n")
    file = AccountsFile.load(path, clock)
    path.write_text("a@hq.example: {}\nbb@hq.example: {}\n")
    clock.now = 0.5
    assert file.lookup("bb@hq.example") is None
    clock.now = 1.0
    assert file.lookup("bb@hq.example")
    assert file.version == 2


@pytest.mark.parametrize("spoil", [lambda path: path.write_text("a: [\n"), lambda path: path.unlink()])
def test_a_file_that_turns_bad_is_reported_once_and_changes_nothing(tmp_path: Path, spoil) -> None:  # type: ignore[no-untyped-def]
    clock, path, reports = Clock(), tmp_path / "users.yaml", []
    path.write_text("a@hq.example: {}\n")
    file = AccountsFile.load(path, clock, reports.append)
    spoil(path)
    for clock.now in (1.0, 2.0, 3.0):
        assert file.lookup("a@hq.example")
    assert len(reports) == 1
    path.write_text("b@hq.example: {}\n")
    clock.now = 4.0
    assert list(file.accounts) == ["b@hq.example"]


def test_at_the_start_no_file_means_no_accounts_and_a_bad_one_is_an_error(tmp_path: Path) -> None:
    assert not AccountsFile.load(tmp_path / "users.yaml", Clock()).accounts
    (tmp_path / "users.yaml").write_text("a: [\n")
    with pytest.raises(AccountsError, match=r"users.yaml:2:1: error"):
        AccountsFile.load(tmp_path / "users.yaml", Clock())
    with pytest.raises(AccountsError, match="Is a directory"):
        AccountsFile.load(tmp_path, Clock())


def test_saving_replaces_the_file_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "users.yaml"
    file = AccountsFile.load(path, Clock())
    with file.changing() as accounts:
        accounts["a@hq.example"] = Account(parse_address("a@hq.example"), HASH)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(file.accounts) == ["a@hq.example"]
    assert os.listdir(tmp_path) == ["users.yaml"]


def test_saving_follows_a_link_and_keeps_the_right_of_a_group_to_read(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    real, link = tmp_path / "real" / "users.yaml", tmp_path / "users.yaml"
    real.write_text("")
    real.chmod(0o646)
    link.symlink_to(real)
    AccountsFile.load(link, Clock()).save([Account(parse_address("a@hq.example"))])
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert "a@hq.example" in real.read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize(("uid", "gid", "mode"), [(0, 0, 0o600), (0, 12345, 0o640), (12345, 0, 0o600)])
def test_what_root_writes_can_be_read_by_whom_the_folder_is_for(
    tmp_path: Path, uid: int, gid: int, mode: int
) -> None:
    os.chown(tmp_path, uid, gid)
    path = tmp_path / "users.yaml"
    AccountsFile(path, Clock()).save([])
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (uid, gid, mode)


def test_a_change_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "users.yaml"
    path.write_text("a@hq.example: {}\n")
    file = AccountsFile.load(path, Clock())
    with pytest.raises(KeyError), file.changing() as accounts:
        del accounts["b@hq.example"]
    assert path.read_text() == "a@hq.example: {}\n"


def test_two_who_change_it_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "users.yaml"

    def add(number: int) -> None:
        address = parse_address(f"u{number}@hq.example")
        with AccountsFile(path, Clock()).changing() as accounts:
            accounts[address.key] = Account(address)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(AccountsFile.load(path, Clock()).accounts) == 8


def test_no_repr_shows_a_hash() -> None:
    account = Account(parse_address("a@hq.example"), hash_password("secret", b"0123456789abcdef"))
    assert account.password
    assert repr(account.password.digest) not in repr(account)
    assert "0123456789abcdef" not in repr(account)
    assert not NO_PASSWORD.matches("")


def test_a_name_and_a_quota_come_back_as_they_were() -> None:
    text = (
        'a@hq.example: {name: "Anna  Maria \\"Ä\\" Berg", quota: 1G}\nb@hq.example: {quota: none}\nc@hq.example: {}\n'
    )
    accounts = parse(text)
    assert accounts["a@hq.example"].name == 'Anna Maria "Ä" Berg'
    assert [account.quota for account in accounts.values()] == [1 << 30, 0, None]
    assert parse(render_accounts(accounts.values())) == accounts


@pytest.mark.parametrize(
    "fields", ["name: ''", "name: [x]", "quota: much", "quota: -1", "quota: [1]", 'name: "a\\nb"']
)
def test_what_is_no_name_and_no_quota(fields: str) -> None:
    assert len(problems(f"a@hq.example: {{{fields}}}\n")) == 1
