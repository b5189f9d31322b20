"""No value can end the line, pass for another field, or reach a terminal raw; and secrets are masked."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.observe import events
from shared.observe.secret import MASK, Secret
from shared.observe.wording import LONGEST_VALUE, render_json, render_text, worded

VALUES = st.one_of(st.text(max_size=300), st.binary(max_size=300), st.integers(), st.none(), st.booleans())


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("anna@example.org", "anna@example.org"),
        ("", '""'),
        ("two words", '"two words"'),
        ("a=b", '"a=b"'),
        ('say "hi"', r'"say \"hi\""'),
        ("back\\slash", r'"back\\slash"'),
        ("line\r\nend", r'"line\r\nend"'),
        ("\x1b[31mred", r'"\x1b[31mred"'),
        ("grün", r'"gr\xfcn"'),
        ("\udcff", r'"\udcff"'),
        (b"\xff\x00", r'"\xff\x00"'),
        (1.23456, "1.235"),
        (("a", "b"), "a,b"),
        (True, "True"),
    ],
)
def test_a_value_as_text(value: object, shown: str) -> None:
    assert render_text("event", {"key": value}) == f"event key={shown}"


@settings(derandomize=True)
@given(st.dictionaries(st.sampled_from(["id", "reason", "path", "reply"]), VALUES))
def test_whatever_is_said_stays_one_line_of_ascii(fields: dict[str, object]) -> None:
    line = render_text("event", fields)
    assert line.isascii() and line.isprintable()
    unquoted = [
        part for index, part in enumerate(line.replace(r"\\", "").replace(r"\"", "").split('"')) if not index % 2
    ]
    assert "".join(unquoted).count("=") == sum(value is not None for value in fields.values())


@settings(derandomize=True)
@given(st.dictionaries(st.text("abcde", min_size=1), VALUES))
def test_a_record_is_json_and_says_the_same(fields: dict[str, object]) -> None:
    cleaned, _, members = worded(fields)
    line = render_json(12.5, "mercury-s", "event", members)
    assert line.isascii() and "\n" not in line
    assert json.loads(line) == {"at": 12.5, "daemon": "mercury-s", "event": "event"} | cleaned


def test_long_values_are_cut_and_tracebacks_are_not() -> None:
    cleaned, _, _ = worded({"reply": "x" * 1000, "blob": b"x" * 1000, "traceback": "x" * 1000})
    assert len(str(cleaned["reply"])) == len(str(cleaned["blob"])) == LONGEST_VALUE
    assert str(cleaned["reply"]).endswith("...")
    assert len(str(cleaned["traceback"])) == 1000


def test_secrets_are_masked_by_kind_and_by_name() -> None:
    cleaned, _, _ = worded({"login": Secret("hunter2"), "password": "hunter2", "users": [Secret("hunter2")]})
    assert cleaned == {"login": MASK, "password": MASK, "users": MASK}


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret("hunter2")
    assert [str(secret), repr(secret), f"{secret:>9}", f"{[secret]}"] == [MASK, MASK, MASK, f"[{MASK}]"]
    assert secret.reveal() == "hunter2"
    assert secret == Secret("hunter2") and secret != Secret("hunter3") and secret != "hunter2"
    assert bool(secret) and not Secret("")
    with pytest.raises(TypeError):
        "" + secret  # type: ignore[operator]


def test_every_event_has_a_name_of_its_own_and_a_meaning() -> None:
    named = {name: value for name, value in vars(events).items() if isinstance(value, events.Event)}
    assert len(named) > 30 and len(set(named.values())) == len(named)
    for name, event in named.items():
        assert event == name.lower().replace("_", "-")
        assert len(event.meaning) > 10 and isinstance(event.priority, events.Priority)
