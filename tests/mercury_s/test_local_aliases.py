"""The aliases file: names, targets, quoting, continuation; and no target that is a program or a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mercury_s.local.aliases import AliasesError, Include, LocalName, Target, parse_aliases, parse_included
from mercury_s.local.aliases_file import AliasesFile
from shared.mail.address import Address, AddressError, parse_address, parse_local_part


def targets(text: str) -> dict[str, tuple[Target, ...]]:
    return {name: rule.targets for name, rule in parse_aliases(text, "aliases").items()}


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(AliasesError) as caught:
        parse_aliases(text, "aliases")
    return caught.value.problems


def test_the_file_as_people_write_it() -> None:
    text = """\
# who reads what
Postmaster: anna

sales:  anna, Bert@Partner.example,
        # on leave: carla
\t"front desk"@hq.example,
  :include:/etc/mercury/sales
"the office"@HQ.example : anna ,
@old.example: archive@hq.example
@büro.example: anna
"""
    assert targets(text) == {
        "postmaster": (LocalName("anna"),),
        "sales": (
            LocalName("anna"),
            Address("Bert", "partner.example"),
            Address("front desk", "hq.example"),
            Include("/etc/mercury/sales"),
        ),
        "the office@hq.example": (LocalName("anna"),),
        "@old.example": (Address("archive", "hq.example"),),
        "@xn--bro-hoa.example": (LocalName("anna"),),
    }


def test_quotes_hold_commas_colons_and_at_signs() -> None:
    text = '"a,b:c": "d,e", "f@g"@h.example\n"x\\"y": z\n'
    assert targets(text) == {
        "a,b:c": (LocalName("d,e"), Address("f@g", "h.example")),
        'x"y': (LocalName("z"),),
    }


def test_line_ends_of_another_system_and_no_last_one_make_no_difference() -> None:
    assert targets("a: b,\r\n  c\r\nd: e") == targets("a: b,\n  c\nd: e\n")


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "  \n\t# nothing\n"])
def test_a_file_may_say_nothing(text: str) -> None:
    assert targets(text) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: |/bin/cat\n", "aliases:1:1: error: |/bin/cat: mail does not start programs here"),
        ('a: "|/bin/cat x, y"\n', "mail does not start programs"),
        ('a: b, "| cat"\n', "mail does not start programs"),
        ("a: /var/mail/a\n", "mail is not written to files"),
        ('a: "/dev/null"\n', "mail is not written to files"),
        ("a: :fail: gone\n", "there is only :include:"),
        ("a: :include:\n", "there is only :include:"),
        ("a: :include:sales\n", "named by its whole path"),
        ("a: :include:/x\0y\n", "named by its whole path"),
        ("a: b # boss\n", "b # boss: the local part is malformed"),
        ("a: #boss\n", "a comment stands on a line of its own"),
        ("a: \\a\n", "leave out the backslash"),
        ("a: b c\n", "b c: the local part is malformed"),
        ("a: Anna <anna@x.example>\n", "malformed"),
        ("a: b,,c\n", "an empty target: the local part is malformed"),
        ("a:\n", "expected at least one target"),
        ("a: ,\n", "an empty target"),
        ("a\n", "expected `name: target, target`"),
        (": b\n", "expected a name before the colon"),
        ("a b: c\n", "the local part is malformed"),
        ("@: c\n", "not a valid name"),
        ("a@b_c: d\n", "not a valid name"),
        ('"a@b": d\n', "needs its domain after the quotes"),
        ('a: "b\n', "a quote is not closed"),
        ("a: b@\n", "not a valid name"),
        ("\n\na: b\nA: c\n", "aliases:4:1: error: a stands in line 3 already"),
        ("a: b\x1b]c\n", "b\\x1b]c: the local part is malformed"),
    ],
)
def test_a_mistake_is_shown_with_its_line(text: str, expected: str) -> None:
    assert expected in problems(text)[0]


def test_all_mistakes_are_shown_at_once() -> None:
    assert [problem.split(":")[1] for problem in problems("a: |x\nb: c\nd: /y,\n  e\nf\n")] == ["1", "3", "5"]


def test_an_included_file_is_a_list_without_names() -> None:
    assert parse_included("# team\nanna, bert@x.example\ncarla\n", "team") == (
        LocalName("anna"),
        Address("bert", "x.example"),
        LocalName("carla"),
    )
    with pytest.raises(AliasesError, match="team:2:1: error: an included file includes no others"):
        parse_included("anna\n:include:/other\n", "team")
    with pytest.raises(AliasesError, match="does not start programs"):
        parse_included("|x\n", "team")


local_parts = st.one_of(
    st.from_regex(r"[a-z0-9!#$%&'*+=?^_`{}~-]{1,9}\Z"), st.text(st.characters(codec="utf-8"), min_size=1, max_size=9)
)


def quote(local: str) -> str:
    return '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'


def is_valid(local: str) -> bool:
    try:
        parse_local_part(quote(local))
    except AddressError:
        return False
    return not local.startswith(("|", "/", ":"))


@settings(derandomize=True, max_examples=200)
@given(
    st.dictionaries(
        local_parts.filter(is_valid).map(str.lower).filter(lambda local: "@" not in local and is_valid(local)),
        st.lists(
            st.tuples(local_parts.filter(is_valid), st.sampled_from(["", "@x.example"])), min_size=1, max_size=4
        ),
        max_size=4,
    ),
    st.sampled_from([", ", ",", " ,\n\t", ",\n  # a comment\n "]),
)
def test_what_is_written_in_quotes_is_read_again(given_rules: dict[str, list[tuple[str, str]]], comma: str) -> None:
    text = "".join(
        f"{quote(name)}: {comma.join(quote(local) + domain for local, domain in found)}\n"
        for name, found in given_rules.items()
    )
    expected = {
        name.lower(): tuple(Address(local, domain[1:]) if domain else LocalName(local) for local, domain in found)
        for name, found in given_rules.items()
    }
    assert targets(text) == expected


@settings(derandomize=True, max_examples=300)
@given(st.text(st.sampled_from('ab@.:,|/"\\ \t\n#+é\0\r'), max_size=40))
def test_any_text_is_read_or_refused_with_places(text: str) -> None:
    try:
        rules = parse_aliases(text, "aliases")
    except AliasesError as error:
        assert all(problem.startswith("aliases:") for problem in error.problems)
        assert error.problems
    else:
        for rule in rules.values():
            assert rule.targets
            for target in rule.targets:
                match target:
                    case LocalName(name):
                        assert name and not name.startswith(("|", "/"))
                    case Address():
                        assert parse_address(str(target)) == target
                    case Include(path):
                        assert path.startswith("/")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_includes_are_read_and_read_again_when_they_change(tmp_path: Path) -> None:
    clock, team = Clock(), tmp_path / "team"
    team.write_text("anna, bert\n")
    (tmp_path / "aliases").write_text(f"sales: carla, :include:{team}\n")
    aliases = AliasesFile.load(tmp_path / "aliases", clock)
    assert aliases.rules["sales"].targets == (LocalName("carla"), LocalName("anna"), LocalName("bert"))
    team.write_text("dora\n")
    assert len(aliases.rules["sales"].targets) == 3
    clock.now = 1.0
    assert aliases.rules["sales"].targets == (LocalName("carla"), LocalName("dora"))
    assert aliases.version == 2


@pytest.mark.parametrize("what", ["aliases", "team"])
@pytest.mark.parametrize("bad", ["x: |y\n|y\n", None, b"\xff"])
def test_what_turns_bad_is_reported_once_and_changes_nothing(
    tmp_path: Path, what: str, bad: str | bytes | None
) -> None:
    clock, reports = Clock(), list[AliasesError]()
    (tmp_path / "team").write_text("anna\n")
    (tmp_path / "aliases").write_text(f"sales: :include:{tmp_path}/team\n")
    aliases = AliasesFile.load(tmp_path / "aliases", clock, reports.append)
    old = (tmp_path / what).read_bytes()
    match bad:
        case None:
            (tmp_path / what).unlink()
        case str():
            (tmp_path / what).write_text(bad)
        case bytes():
            (tmp_path / what).write_bytes(bad)
    for clock.now in (1.0, 2.0, 3.0):
        assert list(aliases.rules) == ["sales"]
    assert len(reports) == 1
    (tmp_path / what).write_bytes(old + b"# well again\n")
    clock.now = 4.0
    assert aliases.rules["sales"].targets == (LocalName("anna"),)
    assert aliases.version == 2


def test_at_the_start_no_file_means_no_aliases_and_a_bad_one_is_an_error(tmp_path: Path) -> None:
    assert not AliasesFile.load(None, Clock()).rules
    assert not AliasesFile.load(tmp_path / "aliases", Clock()).rules
    (tmp_path / "aliases").write_text("a: b\nb: |c\n")
    with pytest.raises(AliasesError, match="aliases:2:1: error"):
        AliasesFile.load(tmp_path / "aliases", Clock())
    (tmp_path / "aliases").write_text(f"a: :include:{tmp_path}/none\n")
    with pytest.raises(AliasesError, match=r"aliases:1:1: error: .*/none: no such file"):
        AliasesFile.load(tmp_path / "aliases", Clock())
    with pytest.raises(AliasesError, match="Is a directory"):
        AliasesFile.load(tmp_path, Clock())
