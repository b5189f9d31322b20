"""Addresses made of names: what a name is found by, and that nobody gets what is for two."""

from __future__ import annotations

import pytest

from mercury_s.local.aliases import parse_aliases
from mercury_s.local.directory import Directory, Mailbox, NoSuchUser
from mercury_s.local.people_names import PeopleNames, variants
from shared.config.account import Account, parse_accounts
from shared.mail.address import Address, parse_address

USERS = b"""
ab@hq.example: {name: "Anna Maria Berg"}
jm@hq.example: {name: "J\xc3\xbcrgen M\xc3\xbcller-Gro\xc3\x9f"}
a1@hq.example: {name: "Adam Smith"}
a2@hq.example: {name: "Alice Smith"}
a3@branch.example: {name: "Adam Smith"}
x@hq.example: {name: "Cher"}
y@hq.example: {}
"""


def directory(users: bytes = USERS, aliases: str = "", names: bool = True) -> Directory:
    accounts = parse_accounts(users, "users")
    rules = parse_aliases(aliases, "aliases")
    return Directory(
        ["hq.example", "branch.example"], lambda: accounts, lambda: rules,
        PeopleNames(lambda: accounts) if names else None,
    )  # fmt: skip


def found(of: Directory, address: str) -> str:
    match of.find(parse_address(address)):
        case Mailbox(account):
            return str(account.address)
        case NoSuchUser():
            return ""
        case other:
            return type(other).__name__


def test_the_variants_of_a_name() -> None:
    assert list(dict.fromkeys(variants("Anna Maria Berg"))) == [
        "anna.berg", "anna.maria.berg", "a.berg", "anna_berg", "anna_maria_berg", "a_berg",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["Cher", "", "  ", "...", "- -"])
def test_a_name_of_one_word_has_none(name: str) -> None:
    assert not list(variants(name))


@pytest.mark.parametrize(
    "local",
    ["anna.berg", "Anna.Berg", "ANNA_BERG", "anna.maria.berg", "a.berg", "a_berg", "anna.berg+lists", "ab"],
)
def test_anna_is_found(local: str) -> None:
    assert found(directory(), f"{local}@hq.example") == "ab@hq.example"


@pytest.mark.parametrize(
    "local", ["j\u00fcrgen.m\u00fcller-gro\u00df", "juergen.mueller-gross", "jurgen.muller-gross", "j.mueller-gross"]
)
def test_letters_that_not_everybody_can_type(local: str) -> None:
    assert found(directory(), f"{local}@hq.example") == "jm@hq.example"


@pytest.mark.parametrize("local", ["anna", "berg", "anna.b", "berg.anna", "anna-berg", "a.smith", ".berg"])
def test_what_finds_nobody(local: str) -> None:
    assert isinstance(directory().find(Address(local, "hq.example")), NoSuchUser)


def test_each_domain_has_its_own_people() -> None:
    of = directory()
    assert found(of, "adam.smith@hq.example") == "a1@hq.example"
    assert found(of, "adam.smith@branch.example") == "a3@branch.example"
    assert found(of, "a.smith@branch.example") == "a3@branch.example"
    assert not found(of, "anna.berg@branch.example")


def test_what_fits_two_is_said() -> None:
    lines = directory().dead_ends()
    assert "a.smith@hq.example is nobody's: it fits a1@hq.example and a2@hq.example" in lines
    assert len(lines) == 2, lines


def test_aliases_and_mailboxes_come_first() -> None:
    users = USERS + b"anna_berg@hq.example: {}\n"
    of = directory(users, "anna.berg: y\n")
    assert found(of, "anna.berg@hq.example") == "Alias"
    assert found(of, "anna_berg@hq.example") == "anna_berg@hq.example"
    assert found(of, "a.berg@hq.example") == "ab@hq.example"


def test_a_name_comes_before_the_catch_all() -> None:
    of = directory(aliases="@hq.example: y\n")
    assert found(of, "anna.berg@hq.example") == "ab@hq.example"
    assert found(of, "who@hq.example") == "Alias"


def test_without_the_setting_names_are_no_addresses() -> None:
    assert not found(directory(names=False), "anna.berg@hq.example")


def test_the_table_follows_the_accounts() -> None:
    now: dict[str, Account] = {}
    names = PeopleNames(lambda: now)
    assert names.find("anna.berg@hq.example") is None
    now = parse_accounts(USERS, "users")
    account = names.find("anna.berg@hq.example")
    assert account is not None and account.key == "ab@hq.example"
