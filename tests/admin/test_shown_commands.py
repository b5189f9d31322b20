"""Every `mercury …` that stands in prose, in a manual page or in the program's own hints is one that there is: its noun,
its verb, its options, its words. Sessions are more than that: they are run (tests/endtoend/test_book.py).

The notation of manuals is understood: [optional], a|b, UPPERCASE for what one fills in, … for the rest.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from shared.admin.command import PrefixGroup, match_prefix, mercury

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
WRITTEN = ROOT / "docs/man/mercury.1.md"  # from the commands themselves, and no part of the tree
CODE = [
    path for room in ("shared", "mercury_s", "mercury_c", "mercury_e") for path in sorted((ROOT / room).rglob("*.py"))
]
GROUPS = "queue|config|site|user|alias|blacklist"
SPAN = re.compile(rf"`(?:sudo )?((?:mercury|{GROUPS}) [a-zA-Z-][^`]*)`")


def shown_in_page(text: str) -> Iterator[tuple[int, str]]:
    """Commands for root in sessions, which nothing runs, and those in prose."""
    for found in re.finditer(r"(?m)^[#$] (mercury [^\n]*(?:\\\n[^\n]*)*)", text):
        yield text.count("\n", 0, found.start()) + 1, found[1].replace("\\\n", " ")
    prose = re.sub(r"(?ms)^ *```.*?^ *```$", lambda block: "\n" * block[0].count("\n"), text)
    for found in SPAN.finditer(prose):
        yield prose.count("\n", 0, found.start()) + 1, found[1]


def shown_in_code(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "X" for part in node.values]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            parts = [node.value]
        else:
            continue
        for found in SPAN.finditer("".join(map(str, parts))):
            yield node.lineno, found[1]


SHOWN = [
    (f"{path.relative_to(ROOT)}:{line}", text)
    for path in [*PAGES, *CODE]
    if path != WRITTEN
    for line, text in (shown_in_page if path.suffix == ".md" else shown_in_code)(path.read_text())
]


def faults(text: str) -> Iterator[str]:
    """What is wrong with a command as it is shown."""
    text = re.sub(r"\s#.*| [|<>;&] .*|\s*\\$", "", text).strip()
    words = [word.strip("[](),") for word in shlex.split(text.replace("'", " ' ").replace(" ' ", "'"), posix=True)]
    words = [word for word in words if word.strip(".…")]
    if words[0] == "mercury":
        del words[0]
    for alternative in _alternatives(words):
        yield from _faults_of(alternative)


def _alternatives(words: list[str]) -> Iterator[list[str]]:
    """`alias list|check` is two commands; options and what follows them are looked at as they stand."""
    if len(words) > 1 and "|" in words[1] and not words[1].startswith("-"):
        for verb in words[1].split("|"):
            yield [words[0], verb, *words[2:]]
    else:
        yield words


def _faults_of(words: list[str]) -> Iterator[str]:
    command: click.Command = mercury
    words = list(words)
    while isinstance(command, click.Group):
        while words and words[0].startswith("-"):
            if words.pop(0) in ("--config",):
                words.pop(0)
        if not words or words[0].isupper():
            return  # `mercury NOUN VERB`, or the group itself
        name = words.pop(0)
        assert isinstance(command, PrefixGroup)
        try:
            name = match_prefix(name, command.list_commands(click.Context(command)))
        except click.UsageError as error:
            yield error.message
            return
        below = command.get_command(click.Context(command), name)
        assert below is not None
        command = below
    yield from _faults_of_arguments(command, words)


def _faults_of_arguments(command: click.Command, words: list[str]) -> Iterator[str]:
    options = {
        name: option
        for option in command.get_params(click.Context(command))
        for name in (*option.opts, *option.secondary_opts)
    }
    arguments = [parameter for parameter in command.params if isinstance(parameter, click.Argument)]
    given: list[str] = []
    while words:
        word = words.pop(0)
        if not re.match(r"--?[a-z]", word):
            given.append(word)
            continue
        for each in word.split("|"):
            name, _, value = each.partition("=")
            option = options.get(name)
            if option is None:
                yield f"{command.name} has no {name}"
                continue
            if isinstance(option, click.Option) and not option.is_flag and not value and words:
                yield from _wrong_choice(option, words.pop(0))
    if all(argument.nargs == 1 for argument in arguments) and len(given) > len(arguments):
        yield f"{command.name} takes {len(arguments)} words, not {given}"
    for argument, value in zip(arguments, given, strict=False):
        yield from _wrong_choice(argument, value)


def _wrong_choice(parameter: click.Parameter, value: str) -> Iterator[str]:
    if isinstance(parameter.type, click.Choice) and not value.isupper():
        for each in value.split("|"):
            if each not in parameter.type.choices:
                yield f"{parameter.name} cannot be {each!r}"


def test_a_command_that_is_shown_is_one() -> None:
    wrong = [f"{place}: `{text}`: {'; '.join(found)}" for place, text in SHOWN if (found := list(faults(text)))]
    assert not wrong, "\n".join(wrong)


def test_they_are_found_at_all() -> None:
    places = {place.partition(":")[0] for place, _ in SHOWN}
    assert {"README.md", "docs/operating.md", "docs/troubleshooting.md", "shared/admin/well.py"} <= places
    assert len(SHOWN) > 200


@pytest.mark.parametrize(
    "text",
    [
        "mercury queue lst",
        "mercury quue",
        "mercury queue list --lanes x",
        "mercury site set hq upward",
        "mercury queue show ONE TWO",
        "mercury alias list|chek",
        "mercury trace x",
        "queue check --repare",
    ],
)
def test_a_wrong_one_is_seen(text: str) -> None:
    assert list(faults(text))
