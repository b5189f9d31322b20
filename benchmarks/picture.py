"""Pictures of figures, as SVG written by hand: bars of ratios (run.py) and curves (curves.py).

Values in, text out. Colours stand on white and on black alike, as a README is read on both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

OURS, THEIRS, GOAL, GREY = "#2f81c7", "#c98b2b", "#cf4a4a", "#808080"
_HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    ' font-family="sans-serif" font-size="12">\n<title>{title}</title>\n'
)


@dataclass(frozen=True)
class Bar:
    """`ratio`: how much better we are, 1 for the same; `goal` likewise; `words` say what was measured."""

    words: str
    ratio: float
    goal: float
    note: str


def bars(title: str, rows: Sequence[Bar]) -> str:
    """One bar a row on a logarithmic axis, from 1 on to the right where we are better."""
    left, right, step, top = 120, 270, 26, 58
    width, height = 900, top + step * len(rows) + 34
    values = [value for row in rows for value in (row.ratio, row.goal) if value > 0]
    low, high = math.log2(min([0.5, *values])), math.log2(max([4.0, *values]))

    def x(value: float) -> float:
        return left + (math.log2(max(value, 2**low)) - low) / (high - low) * (width - left - right)

    parts = [_HEAD.format(width=width, height=height, title=escape(title))]
    parts.append(_text(10, 20, title, size=15))
    parts.append(_text(10, 38, "to the right of 1: better than Postfix in the same run; red: the goal", GREY))
    for power in range(math.ceil(low), math.floor(high) + 1):
        parts.append(
            _line([(x(2.0**power), top - 8), (x(2.0**power), height - 30)], GREY, 1.5 if power == 0 else 0.4)
        )
        parts.append(_text(x(2.0**power), height - 14, f"{2.0**power:g}×", GREY, "middle"))
    for number, row in enumerate(rows):
        y = top + step * number
        parts.append(_text(left - 12, y + 13, row.words, GREY, "end"))
        start, end = sorted((x(1.0), x(row.ratio)))
        colour = OURS if row.ratio >= 1 else THEIRS
        parts.append(f'<rect x="{start:.1f}" y="{y}" width="{end - start:.1f}" height="17" fill="{colour}"/>\n')
        parts.append(_line([(x(row.goal), y - 2), (x(row.goal), y + 19)], GOAL, 2))
        parts.append(_text(width - right + 12, y + 13, row.note, GREY))
    return "".join(parts) + "</svg>\n"


@dataclass(frozen=True)
class Curve:
    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """Curves over one logarithmic axis; `unit` is that of the values, whose axis begins at zero."""

    title: str
    axis: str
    unit: str
    curves: Sequence[Curve]


def panels(title: str, drawn: Sequence[Panel]) -> str:
    """Three in a row."""
    wide, tall = 370, 250
    width, height = 3 * wide + 20, 40 + tall * ((len(drawn) + 2) // 3)
    parts = [_HEAD.format(width=width, height=height, title=escape(title)), _text(10, 22, title, size=15)]
    for number, panel in enumerate(drawn):
        parts.append(f'<g transform="translate({10 + wide * (number % 3)} {40 + tall * (number // 3)})">\n')
        parts += _draw(panel, wide - 20, tall - 20)
        parts.append("</g>\n")
    return "".join(parts) + "</svg>\n"


def _draw(panel: Panel, width: float, height: float) -> list[str]:
    left, top, bottom = 62.0, 40.0, height - 38.0
    places = sorted({place for curve in panel.curves for place, _ in curve.points})
    most = max((value for curve in panel.curves for _, value in curve.points), default=1.0) or 1.0
    first, last = _log(places[0]), _log(places[-1])

    def x(place: float) -> float:
        return left + (_log(place) - first) / ((last - first) or 1) * (width - left - 20)

    def y(value: float) -> float:
        return bottom - value / most * (bottom - top)

    parts = [_text(left, 14, f"{panel.title}, {panel.unit}", GREY, size=13)]
    parts.append(_line([(left, top), (left, bottom), (width - 20, bottom)], GREY, 1))
    for part in (0, 0.5, 1):
        parts.append(_text(left - 6, y(most * part) + 4, _short(most * part), GREY, "end"))
        parts.append(_line([(left, y(most * part)), (width - 20, y(most * part))], GREY, 0.3))
    for place in places:
        parts.append(_text(x(place), bottom + 15, _short(place), GREY, "middle", size=10))
    parts.append(_text((left + width - 20) / 2, bottom + 31, panel.axis, GREY, "middle"))
    for number, curve in enumerate(panel.curves):
        colour = (OURS, THEIRS, GOAL)[number % 3]
        points = [(x(place), y(value)) for place, value in curve.points]
        parts.append(_line(points, colour, 2))
        parts += [f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" fill="{colour}"/>\n' for px, py in points]
        if len(panel.curves) > 1:
            parts.append(_text(left + 8 + 130 * number, 31, curve.name, colour))
    return parts


def _log(value: float) -> float:
    return math.log2(max(value, 0.5))


def _short(value: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.2g}{letter}"
    return f"{value:.3g}"


def _text(x: float, y: float, words: str, colour: str = GREY, anchor: str = "start", size: int = 12) -> str:
    style = f'fill="{colour}" text-anchor="{anchor}" font-size="{size}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(words)}</text>\n'


def _line(points: Sequence[tuple[float, float]], colour: str, width: float) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>\n'
