"""`receive.filters` and `receive.submission`: what can be written, and where the fault is said to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.config.load import ConfigErrors, parse
from shared.config.match import parse_match
from shared.config.model import Config
from shared.mail.reply import Reply


def read(text: str) -> Config:
    return parse(text, Path("/m.yaml"), lambda: "host.example")


def filters(line: str) -> str:
    return f"receive:\n  filters:\n    - {{{line}}}\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("on: helo, match: |'/^dyn[/', action: fail", "unterminated character set"),
        ("on: helo, match: |'/x', action: fail", "between two slashes"),
        ("on: helo, match: |'//', action: fail", "between two slashes"),
        ("on: helo, match: |12, action: fail", "put it in quotes"),
        ("on: |hello, match: x, action: fail", "did you mean 'helo'"),
        ("on: helo, match: x, action: |deny", "say refuse, fail, drop"),
        ("on: helo, match: x, action: fail, reply: |'250 2.0.0 fine'", "250 is no code for a refusal"),
        ("on: helo, match: x, action: fail, reply: |'650 no'", "650 is no code for a refusal"),
        ("on: helo, match: x, action: fail, reply: |'569 no'", "569 is no code for a refusal"),
        ("on: helo, match: x, action: fail, reply: |'550 4.7.1 no'", "does not belong to 550"),
        ("on: helo, match: x, action: fail, reply: |go away", "is no reply"),
        ("on: helo, match: x, action: fail, reply: |'421 4.7.0 bye'", "reply_drop"),
        ("on: helo, match: x, action: fail, reply: |'550 5.7.1 größer'", "ASCII"),
        ("on: helo, match: x, action: drop, reply: |'550 5.7.1 no'", "leave 'reply' away"),
        ("on: helo, match: x, action: fail, networks: |[]", "the list is empty"),
        ("on: helo, match: x, action: fail, networks: [|10.0.0.1/8]", "host bits"),
        ("|match: x, action: fail", "'on' is missing"),
        ("on: helo, match: x, action: fail, |replay: y", "did you mean 'reply'"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(line: str, words: str) -> None:
    """The place is where the bar stands; for what is missing, where the filter begins."""
    with pytest.raises(ConfigErrors) as caught:
        read(filters(line.replace("|", "")))
    [problem] = caught.value.problems
    column = len("    - {") + line.index("|") + (1 if line[0] != "|" else 0)
    assert (problem.line, problem.column) == (3, column)
    assert words in problem.text


def test_a_reply_gets_the_enhanced_code_it_lacks() -> None:
    [rule] = read(filters("on: helo, match: x, action: fail, reply: '450 come later'")).receive.filters
    assert rule.reply == Reply(450, "4.7.1", "come later")
    assert rule.source == "/m.yaml:3"


def test_a_filter_is_shown_as_it_was_written() -> None:
    [rule] = read(filters("on: mail, match: '*@x.example', action: fail, reply: 550 5.7.1 no")).receive.filters
    shown = rule.plain()
    assert (shown["match"], shown["reply"]) == ("*@x.example", "550 5.7.1 no")


def test_a_moved_filter_is_the_same_filter() -> None:
    """A reload must not take a moved line for a change."""
    text = filters("on: helo, match: '/x/', action: fail")
    assert read(text) == read("\n\n" + text)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("*.dyn.example", "a.DYN.example", True),
        ("*.dyn.example", "a.dyn.example.org", False),
        ("[192.0.2.?]", "[192.0.2.7]", True),
        ("[192.0.2.?]", "1", False),
        ("*", "", True),
        ("a*b*c", "a--b--b--c", True),
        ("a*b*c", "ac", False),
        ("a*a", "a", False),
        ("X-Mailer: *Bulk*", "x-mailer: The Bulk Mailer 3\n", True),
        ("x", "x\n", False),
        ("/^dyn[0-9]+/", "DYN12.example", True),
        ("/^$/", "", True),
        ("/^$/", "x", False),
    ],
)
def test_patterns(pattern: str, text: str, matches: bool) -> None:
    assert bool(parse_match(pattern).pattern.search(text)) is matches


def test_many_stars_do_not_take_for_ever() -> None:
    """Tried in every combination, this would outlast the test by centuries."""
    assert not parse_match("*a" * 100 + "b").pattern.search("a" * 4096)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("receive: {submission: {sender: rewite}}", (1, 32), "did you mean 'rewrite'"),
        ("receive: {submission: {header_from: all}}", (1, 37), "say refuse, rewrite or any"),
        ("receive: {submission: {senders: [{login: anna, addresses: ['*']}]}}", (1, 42), "login in full"),
        (
            "receive: {submission: {senders: [{login: a@b.example, addresses: ['x@*']}]}}",
            (1, 67),
            "a star stands alone",
        ),
    ],
)
def test_submission_faults(text: str, place: tuple[int, int], words: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        read(text)
    [problem] = caught.value.problems
    assert (problem.line, problem.column) == place
    assert words in problem.text
