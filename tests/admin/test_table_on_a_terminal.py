"""Tables for terminals of every width: ids, ages and states stay, sentences go below, nothing is wider than the screen."""

from __future__ import annotations

import itertools

import pytest

from shared.admin.table import PLAIN, Shape, lay_out

COLUMNS = ("ID", "AGE", "SIZE", "FROM", "TO", "STATE", "LAST ERROR")
LONG = "451 4.7.1 " + "x" * 400
ROWS = [
    ("7Q2M-K4ZC", "1h52m", "12 KiB", "anna@office.example", "joe@branch.example", "relay: in 3m, tried 7x", LONG),
    ("7Q2M-K4ZD", "4m", "999 B", "a@b.example", "boss@a-long-name.of-the-partner.example +3", "hold: held", ""),
]
SHAPE = Shape(right=("AGE", "SIZE"), giving=("FROM", "TO"), is_split=True)


def test_a_pipe_gets_everything_a_line_for_each_row() -> None:
    lines = list(lay_out(COLUMNS, ROWS, SHAPE, None))
    assert len(lines) == 3 and lines[1].endswith(LONG) and lines[1].split()[0] == "7Q2M-K4ZC"
    assert lines[0].index("STATE") == lines[1].index("relay:") == lines[2].index("hold:")


@pytest.mark.parametrize("width", [*range(20, 180, 7), 500])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert max(map(len, lay_out(COLUMNS, ROWS, SHAPE, width))) <= width
    assert max(map(len, lay_out(COLUMNS, ROWS, PLAIN, width))) <= width


@pytest.mark.parametrize("width", [80, 100, 160])
def test_a_long_error_takes_no_room_from_the_rest(width: int) -> None:
    text = "\n".join(lay_out(COLUMNS, ROWS, SHAPE, width))
    for whole in ("7Q2M-K4ZC", "1h52m", "12 KiB", "relay: in 3m, tried 7x", "hold: held", "451 4.7.1 xxxx"):
        assert whole in text


def test_where_there_is_no_room_the_sentence_follows_its_row() -> None:
    head, named, first, error, second = lay_out(COLUMNS, ROWS, SHAPE, 80)
    assert head.endswith("STATE") and named == "    LAST ERROR"
    assert first.startswith("7Q2M-K4ZC") and error.startswith("    451 4.7.1") and error.endswith("…")
    assert second.startswith("7Q2M-K4ZD"), "a row without an error has no line for one"


def test_what_fits_is_not_touched() -> None:
    rows = [("a", "1"), ("bb", "22")]
    assert list(lay_out(("N", "C"), rows, Shape(right=("C",)), 7)) == ["N    C", "a    1", "bb  22"]


def test_many_rows_are_laid_out_as_they_are_asked_for() -> None:
    lines = lay_out(("A", "B"), [("x", "y")] * 100_000, PLAIN, 80)
    assert list(itertools.islice(lines, 2)) == ["A  B", "x  y"]
