"""An address leads to a mailbox, an alias or nobody, by tables only; aliases end however they are written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mercury_s.local.aliases import LocalName, parse_aliases
from mercury_s.local.directory import Alias, Directory, Expansion, Mailbox, NoSuchUser
from shared.config.account import parse_accounts
from shared.config.accounts import AccountsFile
from shared.mail.address import Address, parse_address


def directory(users: str = "anna bert", aliases: str = "", domains: str = "hq.example branch.example") -> Directory:
    addresses = [user if "@" in user else f"{user}@hq.example" for user in users.split()]
    accounts = parse_accounts("".join(f"{address}: {{}}\n" for address in addresses).encode(), "users.yaml")
    rules = parse_aliases(aliases, "aliases")
    return Directory(domains.split(), lambda: accounts, lambda: rules)


def find(where: Directory, text: str) -> str:
    """The account's address, the alias's name and an arrow, or nothing."""
    match where.find(Address(text, "") if "@" not in text else parse_address(text)):
        case Mailbox(account):
            return str(account.address)
        case Alias(address):
            return f"{address} ->"
        case NoSuchUser():
            return ""


def expand(where: Directory, text: str) -> Expansion:
    found = where.find(parse_address(text))
    assert isinstance(found, Alias)
    return where.expand(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("anna@hq.example", "anna@hq.example"),
        ("ANNA@HQ.Example", "anna@hq.example"),
        ('"anna"@hq.example', "anna@hq.example"),
        ("anna+news@hq.example", "anna@hq.example"),
        ("Anna+a+b@hq.example", "anna@hq.example"),
        ("anna@branch.example", ""),
        ("anna@elsewhere.example", ""),
        ("anna@sub.hq.example", ""),
        ("anna@evil-hq.example", ""),
        ("carla@hq.example", ""),
        ("+anna@hq.example", ""),
        ("anna-news@hq.example", ""),
    ],
)
def test_a_mailbox_is_found_without_regard_to_case_and_tag(text: str, expected: str) -> None:
    assert find(directory(), text) == expected


HOSTILE = [
    "../../etc/passwd", "../anna", "anna/../bert", "/etc/passwd", "alice+../x", "|/bin/sh", ":include:/etc/passwd", "${run{x}}",
    "`id`", "$(id)", ";for i in 0 1;do read r;done;sh;exit 0;", "v%remote.example", "remote.example!v", "anna@hq.example",
    "@old.example", "anna\\", " anna", "anna ", "~anna", ".", "..", "-f", "*", "=?us-ascii?q?anna?=", "\u212aanna", "anna\u200b",
]  # fmt: skip


@pytest.mark.parametrize("local", HOSTILE)
@pytest.mark.parametrize("aliases", ["", "info@hq.example: bert\nanna@hq.example: bert\n@old.example: bert\n"])
def test_a_hostile_local_part_is_nobody(local: str, aliases: str) -> None:
    quoted = '"' + local.replace("\\", "\\\\") + '"@hq.example'
    assert find(directory(aliases=aliases), quoted) == ""


@pytest.mark.parametrize("text", ['"alice+../x"@hq.example', "anna+/x@hq.example", '"anna+/../../x"@hq.example'])
def test_a_hostile_tag_is_only_a_tag(text: str) -> None:
    assert find(directory("alice anna"), text) == ("alice@hq.example" if "alice" in text else "anna@hq.example")


def test_an_account_or_alias_with_the_whole_name_comes_before_its_tag() -> None:
    where = directory("anna anna+news@hq.example", "anna+work: bert\n")
    assert find(where, "anna+news@hq.example") == "anna+news@hq.example"
    assert find(where, "anna+work@hq.example") == "anna+work@hq.example ->"
    assert find(where, "anna+x@hq.example") == "anna@hq.example"


def test_a_plain_alias_holds_in_every_local_domain_and_a_full_one_in_its_own() -> None:
    where = directory(aliases="info: anna\nsales@branch.example: anna\n")
    assert find(where, "Info@hq.example") == "Info@hq.example ->"
    assert find(where, "info+x@branch.example") == "info@branch.example ->"
    assert find(where, "sales@branch.example") == "sales@branch.example ->"
    assert find(where, "sales@hq.example") == ""
    assert find(where, "info@elsewhere.example") == ""


def test_a_catch_all_comes_last() -> None:
    where = directory("anna bert@branch.example", "info: anna\n@branch.example: anna@hq.example\n")
    assert find(where, "bert+x@branch.example") == "bert@branch.example"
    assert find(where, "info@branch.example") == "info@branch.example ->"
    assert find(where, "whoever@branch.example") == "whoever@branch.example ->"
    assert find(where, "whoever@hq.example") == ""
    assert expand(where, "whoever@branch.example").mailboxes.keys() == {"anna@hq.example"}


def test_a_catch_all_is_not_its_own_target() -> None:
    assert expand(directory("", "@hq.example: anna\n"), "x@hq.example").dead == ["anna"]
    loop = expand(directory("", "@hq.example: anna@hq.example\n"), "x@hq.example")
    assert (loop.mailboxes, loop.remote, loop.dead) == ({}, {}, ["anna@hq.example"])


def test_an_international_domain_is_the_same_in_both_forms() -> None:
    where = directory("anna@büro.example", domains="büro.example")
    assert find(where, "anna@xn--bro-hoa.example") == find(where, "anna@BÜRO.example") == "anna@büro.example"


@pytest.mark.parametrize(
    ("users", "aliases", "expected"),
    [
        ("", "", ""),
        ("anna bert", "", "anna@hq.example"),
        ("anna postmaster", "", "postmaster@hq.example"),
        ("anna postmaster@branch.example", "", "postmaster@branch.example"),
        ("anna bert", "postmaster: bert\n", "postmaster@hq.example ->"),
        ("anna@elsewhere.example", "", ""),
    ],
)
@pytest.mark.parametrize("text", ["postmaster", "pOsTmAsTeR", "Postmaster@hq.example"])
def test_postmaster_is_somebody_as_soon_as_there_is_anybody(
    users: str, aliases: str, expected: str, text: str
) -> None:
    assert find(directory(users, aliases), text).lower() == expected


def test_postmaster_of_a_domain_is_of_that_domain_if_possible() -> None:
    where = directory("anna bert@branch.example")
    assert find(where, "postmaster@branch.example") == "bert@branch.example"


def test_no_other_name_goes_without_a_domain() -> None:
    assert find(directory(), "anna") == ""
    assert not directory().is_local(Address("anna", ""))
    assert directory().is_local(Address("PostMaster", ""))


def test_a_list_leads_to_mailboxes_and_elsewhere_each_once() -> None:
    aliases = "team: anna, Anna, bert@partner.example, sales\nsales: Bert@Partner.Example, bert, anna@hq.example\n"
    found = expand(directory(aliases=aliases), "team@hq.example")
    assert list(found.mailboxes) == ["anna@hq.example", "bert@hq.example"]
    assert list(found.remote) == ["bert@partner.example"]
    assert found.dead == []


def test_an_alias_that_names_itself_means_the_mailbox() -> None:
    where = directory(aliases="anna: anna, bert\nbert: bert@phone.example, bert, anna\n")
    for name in ("anna", "bert"):
        found = expand(where, f"{name}@hq.example")
        assert found.mailboxes.keys() == {"anna@hq.example", "bert@hq.example"}
        assert found.remote.keys() == {"bert@phone.example"}
        assert found.dead == []


def test_an_alias_that_names_itself_finds_the_mailbox_in_the_domain_that_has_it() -> None:
    found = expand(directory(aliases="anna: anna, a@phone.example\n"), "anna@branch.example")
    assert found.mailboxes.keys() == {"anna@hq.example"}


def test_a_tag_does_not_lead_round_a_loop() -> None:
    assert expand(directory(aliases="anna: anna+copy\n"), "anna@hq.example").mailboxes.keys() == {"anna@hq.example"}
    assert expand(directory("", "a: b+x\nb: a+x\n"), "a@hq.example").dead == ["a@hq.example"]


def test_a_name_without_a_domain_means_the_own_domain_first() -> None:
    where = directory("anna anna@branch.example bert", "info: anna\nboss: bert\n")
    assert expand(where, "info@branch.example").mailboxes.keys() == {"anna@branch.example"}
    assert expand(where, "info@hq.example").mailboxes.keys() == {"anna@hq.example"}
    assert expand(where, "boss@branch.example").mailboxes.keys() == {"bert@hq.example"}


def test_a_loop_without_a_mailbox_leads_nowhere() -> None:
    found = expand(directory("", "a: b\nb: c\nc: a, x@far.example\n"), "a@hq.example")
    assert found.remote.keys() == {"x@far.example"}
    assert found.dead == ["a"]


def test_aliases_of_aliases_end_at_twenty() -> None:
    chain = "".join(f"a{n}: a{n + 1}\n" for n in range(30)) + "a30: anna\n"
    assert expand(directory(aliases=chain), "a11@hq.example").mailboxes.keys() == {"anna@hq.example"}
    assert expand(directory(aliases=chain), "a10@hq.example").dead == ["a30@hq.example"]


def test_dead_ends_are_shown_with_their_lines() -> None:
    aliases = "info: anna, carla\nok: anna\n\nfar: gone@hq.example, x@far.example\nx@other.example: anna\n"
    assert directory(aliases=aliases).dead_ends() == [
        "line 1: info leads nowhere: carla",
        "line 4: far leads nowhere: gone@hq.example",
        "line 5: x@other.example: other.example is not a local domain",
    ]
    assert directory(aliases="@hq.example: no\n").dead_ends() == ["line 1: @hq.example leads nowhere: no"]


names = st.sampled_from("abcdef")


@settings(derandomize=True, max_examples=300)
@given(st.dictionaries(names, st.lists(names | st.just("x@far.example"), min_size=1, max_size=4)), st.sets(names))
def test_every_expansion_ends_in_mailboxes_that_exist(rules: dict[str, list[str]], users: set[str]) -> None:
    where = directory(" ".join(sorted(users)), "".join(f"{name}: {', '.join(to)}\n" for name, to in rules.items()))
    for name in rules:
        found = expand(where, f"{name}@hq.example")
        assert {key.partition("@")[0] for key in found.mailboxes} <= users
        assert set(found.remote) <= {"x@far.example"}
        reachable, frontier = set[str](), {name}
        while frontier:
            reachable |= frontier
            frontier = {to for each in frontier for to in rules.get(each, [])} - reachable
        assert bool(found.remote) == ("x@far.example" in reachable)
        ends = {each for each in reachable if each in users and each not in rules}
        assert ends <= {key.partition("@")[0] for key in found.mailboxes}


def test_a_target_without_a_domain_is_kept_as_it_is_written() -> None:
    found = directory(aliases="info: Anna\n").find(parse_address("info@hq.example"))
    assert found == Alias(Address("info", "hq.example"), (LocalName("Anna"),))


def test_nobody_is_unknown_who_has_just_been_added(tmp_path: Path) -> None:
    path = tmp_path / "users.yaml"
    path.write_text("anna@hq.example: {}\n")
    known = AccountsFile.load(path, lambda: 0.0, lambda error: None)  #  its clock stands: no second passes
    directory = Directory(["hq.example"], lambda: known.accounts, dict, look_again=known.expire)
    assert isinstance(directory.find(parse_address("bert@hq.example")), NoSuchUser)
    path.write_text("anna@hq.example: {}\nbert@hq.example: {}\n")
    assert isinstance(directory.find(parse_address("bert@hq.example")), Mailbox)
    assert isinstance(directory.find(parse_address("carl@hq.example")), NoSuchUser)
