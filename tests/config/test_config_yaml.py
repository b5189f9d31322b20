"""YAML becomes plain values that know their place; YAML 1.1's surprises stay outside."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.config.problem import ConfigErrors
from shared.config.yaml import Items, Origin, Settings, read_yaml


def value_of(text: str) -> Any:
    document, problems = read_yaml(f"a: {text}\n", "m.yaml")
    assert not problems
    return document["a"]


def errors_of(text: str) -> list[str]:
    try:
        return [str(problem) for problem in read_yaml(text, "m.yaml")[1]]
    except ConfigErrors as error:
        return str(error).splitlines()


@pytest.mark.parametrize("text", ["off", "on", "yes", "no", "y", "N", "0640", "0o640", "0x1F", "1:30", "1_000", ".inf",
                                  ".NaN", "2026-01-01", "192.168.1.0/24", "::1", "50M", "tRUE", "01.5", "<<", "="])  # fmt: skip
def test_what_yaml_1_1_would_bend_stays_text(text: str) -> None:
    assert value_of(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("FALSE", False), ("null", None), ("~", None), ("", None), ("25", 25), ("-3", -3), ("0", 0),
     ("1.5", 1.5), ("1e3", 1000.0), ("'25'", "25"), ('"true"', "true"), ("!!str 25", "25"), ("[1, x]", (1, "x"))],
)  # fmt: skip
def test_the_core_scalars(text: str, value: Any) -> None:
    found = value_of(text)
    assert found == value
    assert type(found) is type(value) or isinstance(found, Items)


# JSON writes what is above as two escapes and DEL as itself: YAML knows neither.
TEXT = st.characters(max_codepoint=0xFFFF, exclude_categories=("Cs",), exclude_characters="\x7f")


@settings(derandomize=True, max_examples=300)
@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(TEXT, max_size=8),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(TEXT, max_size=5), below, max_size=3),
    max_leaves=12,
))  # fmt: skip
def test_json_is_read_as_what_it_says(value: Any) -> None:
    def plain(read: Any) -> Any:
        if isinstance(read, Settings):
            return {key: plain(item) for key, item in read.items()}
        return [plain(item) for item in read] if isinstance(read, Items) else read

    document, problems = read_yaml(json.dumps({"top": value}), "m.yaml")
    assert not problems
    assert plain(document["top"]) == value


def test_a_key_given_twice_is_an_error_at_the_second() -> None:
    assert errors_of("a: 1\nb:\n  c: 1\n  c: 2\na: 2\n") == [
        "m.yaml:4:3: error: duplicate key 'c' (first on line 3)",
        "m.yaml:5:1: error: duplicate key 'a' (first on line 1)",
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "a: [1\nb: 2\n",
            "m.yaml:2:2: error: while parsing a flow sequence (begun on line 1), expected ',' or ']', but got",
        ),
        ("a:\n\t- 1\n", "m.yaml:2:1: error: a tab cannot be used to indent: use spaces"),
        ("a: 1\n---\nb: 2\n", "m.yaml:2:1: error: expected a single document in the stream (begun on line 1), but"),
        ("- a\n", "m.yaml:1:1: error: the file must hold settings, each as 'name: value'"),
        ("just text\n", "m.yaml:1:1: error: the file must hold settings"),
        ("a: \x07\n", "m.yaml:1:4: error: the character U+0007 cannot stand in YAML"),
        ("a: 1\nb: x\x00\n", "m.yaml:2:5: error: the character U+0000 cannot stand in YAML"),
        (
            "a: !!python/object:os.system x\n",
            "m.yaml:1:4: error: the tag 'tag:yaml.org,2002:python/object:os.system'",
        ),
        ("a: !own x\n", "m.yaml:1:4: error: the tag '!own' means nothing here"),
        ("a: !!int x\n", "m.yaml:1:4: error: 'x' is no int"),
        ("? [a]\n: 1\n", "m.yaml:1:3: error: the name of a setting must be plain text"),
        ("a: &x [*x]\n", "m.yaml:1:4: error: the value contains itself"),
        ("a: *nobody\n", "m.yaml:1:4: error: found undefined alias"),
        ("a: " + "[" * 5000, "m.yaml:1:1: error: the values are nested too deeply"),
        ("a: " + "9" * 5000 + "\n", "m.yaml:1:4: error: '99999"),
    ],
)
def test_a_fault_is_told_with_its_place(text: str, error: str) -> None:
    found = errors_of(text)
    assert len(found) == 1
    assert found[0].startswith(error)


def test_every_value_knows_where_it_stood() -> None:
    document, _ = read_yaml("one: 1\n\ntwo:\n  - x\n  - {deep:  y, empty: }\n", "m.yaml")
    assert document.origin.keys == {"one": (1, 1), "two": (3, 1)}
    assert document.origin.values == {"one": (1, 6), "two": (4, 3)}
    items = document["two"]
    assert items.marks == ((4, 5), (5, 5))
    assert items[1].origin.values == {"deep": (5, 13), "empty": (5, 16)}
    assert str(items[1].origin) == "m.yaml:5"


def test_an_alias_is_read_like_what_it_names() -> None:
    document, problems = read_yaml("a: &x [1]\nb: *x\n", "m.yaml")
    assert not problems
    assert document["b"] == (1,)


def test_where_a_value_stood_is_no_part_of_it() -> None:
    assert Origin("a", (1, 1)) == Origin("b", (2, 2))
