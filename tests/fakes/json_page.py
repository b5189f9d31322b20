"""docs/json.md as a test sees it: the names that each command may say with --json."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs/json.md"


@cache
def documented() -> dict[str, list[str]]:
    """Command, as `queue list` → names, as `entries[].id`; a section may be about several."""
    found: dict[str, list[str]] = defaultdict(list)
    for section in re.split(r"(?m)^## ", PAGE.read_text())[1:]:
        heading, _, body = section.partition("\n")
        names = [name for row in re.findall(r"(?m)^\| (`[^|]*) \|", body) for name in re.findall(r"`([^`]+)`", row)]
        noun = ""
        for words in re.findall(r"`([^`]+)`", heading):
            noun = words.split()[1] if words.startswith("mercury ") else noun
            found[words.removeprefix("mercury ") if words.startswith("mercury ") else f"{noun} {words}"] += names
    return found


def undocumented(command: str, lines: Iterable[str]) -> set[str]:
    """The names in lines of `command` that the page does not have. A line that is no object is a failure at once."""
    patterns = [_pattern(name) for name in documented()[command]]
    said = set()
    for line in lines:
        fields = json.loads(line)
        assert type(fields) is dict, f"mercury {command} --json says {line!r}, which is no object"
        said |= set(names_in(fields))
    return {name for name in said if not any(pattern.fullmatch(name) for pattern in patterns)}


def names_in(value: Any, name: str = "") -> Iterator[str]:
    """Of what is neither object nor list, and of what is empty."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from names_in(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list) and any(isinstance(each, (dict, list)) for each in value):
        for inner in value:
            yield from names_in(inner, f"{name}[]")
    else:
        yield name


def _pattern(name: str) -> re.Pattern[str]:
    """`*` stands for a name, which may have dots in it: it is often a domain. What is null, or empty, is as good as
    what might be in it."""
    pattern = re.escape(name).replace(r"\*\*", ".+").replace(r"\*", ".+")
    short = re.escape(re.split(r"\[|\.", name)[0])
    return re.compile(f"{pattern}|{short}" if re.search(r"[.\[]", name) else pattern)
