"""Columns of text for a terminal of some width, or for a pipe, which has any. All text is printable; no I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from shared.mail.record import dataclass

GAP = "  "
INDENT = "    "
#  What a column that gives room keeps as long as another one has more, and what a last column of sentences needs.
_KEPT = 8
_WORTH = 30


@dataclass(frozen=True, slots=True)
class Shape:
    """How columns take a width.

    `right`: their text stands on the right. `giving`: names of columns that are cut before all others (addresses, of
    which the beginning tells most). `is_split`: the last column holds sentences, and where it has no room beside a
    row they follow it in an indented line.
    """

    right: Collection[str] = ()
    giving: Collection[str] = ()
    is_split: bool = False


PLAIN = Shape()


def lay_out(columns: Sequence[str], rows: Iterable[Sequence[str]], shape: Shape, width: int | None) -> Iterator[str]:
    """The lines, that of the names first. Without a width, as wide as need be."""
    cells = [tuple(columns), *rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    is_below = False
    if width is not None:
        head = sum(widths[:-1]) + len(GAP) * (len(widths) - 1)
        is_below = shape.is_split and head + min(widths[-1], _WORTH) > width
        if shape.is_split and not is_below:
            widths[-1] = min(widths[-1], width - head)
        beside = len(widths) - is_below
        widths = _narrowed(widths[:beside], [name in shape.giving for name in columns[:beside]], width)
    is_right = [name in shape.right for name in columns]
    for row in cells:
        yield GAP.join(map(_aligned, row[: len(widths)], widths, is_right)).rstrip()
        if is_below and row[-1]:
            assert width is not None
            yield INDENT + cut(row[-1], width - len(INDENT))


def cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def _narrowed(widths: Sequence[int], gives: Sequence[bool], width: int) -> list[int]:
    """Widths that fit into a line: those that give first, the widest of them before the others; then all."""
    found = list(widths)
    excess = sum(widths) + len(GAP) * (len(widths) - 1) - width
    for candidates, floor in (
        ([number for number, is_giving in enumerate(gives) if is_giving], _KEPT),
        (list(range(len(widths))), 1),
    ):
        while excess > 0 and candidates:
            widest = max(candidates, key=found.__getitem__)
            if found[widest] <= floor:
                break
            found[widest] -= 1
            excess -= 1
    return found


def _aligned(text: str, width: int, is_right: bool) -> str:
    text = cut(text, width)
    return text.rjust(width) if is_right else text.ljust(width)
