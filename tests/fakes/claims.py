"""Tables of tests that are named elsewhere: whether each is there."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def missing(claimed: Sequence[tuple[str, str]]) -> list[str]:
    """Of (file below tests/, name of a test), those that there are not."""
    gone = []
    for path, name in claimed:
        tree = ast.parse((TESTS / path).read_text())
        names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        if name not in names:
            gone.append(f"{path} has no {name}")
    return gone
