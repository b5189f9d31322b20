"""The grammar of the aliases file (aliases(5)): text in, rules out, with every problem and its line.

    postmaster: anna
    sales: anna, bert@partner.example,
           :include:/etc/mercury/sales-team
    "front desk"@hq.example: anna
    @old.example: archive@hq.example

Here: names, targets, quoting, continuation. Not here: reading files (aliases_file.py), what a name leads to
(directory.py). There are no pipes and no files as targets: mail must not start programs or write where it likes.
"""

from __future__ import annotations

from collections.abc import Iterator

from shared.mail.address import Address, AddressError, parse_address, parse_domain, parse_local_part, to_ascii
from shared.mail.record import dataclass
from shared.mail.reply import printable


@dataclass(frozen=True, slots=True)
class LocalName:
    """A target without a domain: a mailbox or alias of the domain that is being looked up in."""

    name: str


@dataclass(frozen=True, slots=True)
class Include:
    """A file with more targets."""

    path: str


Target = LocalName | Address | Include


@dataclass(frozen=True, slots=True)
class AliasRule:
    """`name` is `local`, `local@domain` or `@domain`, in lower case; it has at least one target."""

    name: str
    targets: tuple[Target, ...]
    line: int


class AliasesError(ValueError):
    """The aliases cannot be used. `problems` are all of them, each `file:line:column: error: ...`."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


def parse_aliases(text: str, source: str) -> dict[str, AliasRule]:
    """The rules of an aliases file by name. Raises AliasesError."""
    rules: dict[str, AliasRule] = {}
    problems: list[str] = []
    for line, content in _logical_lines(text):
        try:
            rule = _parse_rule(content, line)
            if rule.name in rules:
                raise _Mistake(f"{printable(rule.name)} stands in line {rules[rule.name].line} already")
            rules[rule.name] = rule
        except (_Mistake, AddressError) as error:
            problems.append(f"{source}:{line}:1: error: {error}")
    if problems:
        raise AliasesError(problems)
    return rules


def parse_included(text: str, source: str) -> tuple[Target, ...]:
    """The targets in a file that an alias includes. Raises AliasesError."""
    targets: list[Target] = []
    problems: list[str] = []
    for line, content in _logical_lines(text):
        try:
            found = _parse_targets(content)
            if any(isinstance(target, Include) for target in found):
                raise _Mistake("an included file includes no others")
            targets += found
        except (_Mistake, AddressError) as error:
            problems.append(f"{source}:{line}:1: error: {error}")
    if problems:
        raise AliasesError(problems)
    return tuple(targets)


class _Mistake(ValueError):
    """What is wrong with a line."""


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their continuations: what begins with white space belongs to the line before; a line whose first
    character is # is a comment, also between the two."""
    start, parts = 0, list[str]()
    for number, line in enumerate(text.split("\n"), 1):
        content = line.strip()
        if not content or content.startswith("#"):
            continue
        if parts and line[0] in " \t":
            parts.append(content)
            continue
        if parts:
            yield start, " ".join(parts)
        start, parts = number, [content]
    if parts:
        yield start, " ".join(parts)


def _parse_rule(content: str, line: int) -> AliasRule:
    pieces = _split(content, ":", most=2)
    if len(pieces) < 2:
        raise _Mistake("expected `name: target, target`")
    return AliasRule(_parse_name(pieces[0].strip()), _parse_targets(pieces[1]), line)


def _parse_name(text: str) -> str:
    if text.startswith("@"):
        return "@" + to_ascii(parse_domain(text[1:]))
    if len(_split(text, "@")) > 1:
        return parse_address(text).key
    if not text:
        raise _Mistake("expected a name before the colon")
    local = parse_local_part(text).lower()
    if "@" in local:
        raise _Mistake(f"{printable(text)}: a name with an @ inside needs its domain after the quotes")
    return local


def _parse_targets(text: str) -> tuple[Target, ...]:
    pieces = [piece.strip() for piece in _split(text, ",")]
    if pieces and not pieces[-1]:
        pieces.pop()  #  a comma at the end, as people write lists
    if not pieces:
        raise _Mistake("expected at least one target")
    return tuple(_parse_target(piece) for piece in pieces)


def _parse_target(text: str) -> Target:
    shown = printable(text)
    #  sendmail takes the quotes of "|command" off before it looks, and so must we to refuse it.
    bare = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    if bare.startswith("|"):
        raise _Mistake(f"{shown}: mail does not start programs here")
    if bare.startswith("/"):
        raise _Mistake(f"{shown}: mail is not written to files here; make a mailbox")
    if bare.startswith(":"):
        return _parse_include(bare, shown)
    if text.startswith("#"):
        raise _Mistake(f"{shown}: a comment stands on a line of its own")
    if text.startswith("\\"):
        raise _Mistake(f"{shown}: leave out the backslash; an alias that names itself means the mailbox")
    try:
        if len(_split(text, "@")) > 1:
            return parse_address(text)
        return LocalName(parse_local_part(text))
    except AddressError as error:
        raise _Mistake(f"{shown or 'an empty target'}: {error}")


def _parse_include(bare: str, shown: str) -> Include:
    path = bare[9:].strip() if bare[:9].lower() == ":include:" else ""
    if not path:
        raise _Mistake(f"{shown}: of the words in colons there is only :include:/path")
    if not path.startswith("/") or "\0" in path:
        raise _Mistake(f"{shown}: an included file is named by its whole path, /...")
    return Include(path)


def _split(text: str, separator: str, most: int = 0) -> list[str]:
    """`text` cut at separators outside of quotes, into at most `most` pieces when that is not 0."""
    if '"' not in text:
        return text.split(separator, most - 1)
    pieces, start, position, is_quoted = list[str](), 0, 0, False
    while position < len(text):
        character = text[position]
        if character == "\\" and is_quoted:
            position += 1
        elif character == '"':
            is_quoted = not is_quoted
        elif character == separator and not is_quoted:
            pieces.append(text[start:position])
            start = position + 1
            if len(pieces) == most - 1:
                return [*pieces, text[start:]]
        position += 1
    if is_quoted:
        raise _Mistake("a quote is not closed")
    return [*pieces, text[start:]]
