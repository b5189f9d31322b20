"""Counts the interpreter's instructions that our own code takes: the same on every machine, busy or not.

What libraries and the kernel do is not counted, but how often they are called shows in the calls around them.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = str(Path(__file__).resolve().parent.parent.parent)
OURS = tuple(f"{ROOT}/{room}/" for room in ("shared", "mercury_s", "mercury_c", "mercury_e"))


#  What a record is compared and shown by stands in the place of what the standard library writes for each class.
RECORD = f"{ROOT}/shared/mail/record.py"


class Instructions:
    """While it is entered, `total` counts, and `by_file` says where (paths below the project)."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._before: Any = None

    def __enter__(self) -> Instructions:
        self._before = sys.gettrace()
        sys.settrace(self._on_call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    @property
    def total(self) -> int:
        return sum(self._counts.values())

    @property
    def by_file(self) -> dict[str, int]:
        return {name.removeprefix(ROOT + "/"): count for name, count in self._counts.most_common()}

    def __sub__(self, other: Instructions) -> Instructions:
        rest = Instructions()
        rest._counts = self._counts - other._counts
        return rest

    def _on_call(self, frame: FrameType, event: str, argument: Any) -> Callable[..., Any] | None:
        name = frame.f_code.co_filename
        if not name.startswith(OURS) or name == RECORD:
            return None
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        counts = self._counts

        def on_instruction(frame: FrameType, event: str, argument: Any) -> Any:
            if event == "opcode":
                counts[name] += 1
            return on_instruction

        return on_instruction
