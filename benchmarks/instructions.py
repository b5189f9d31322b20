"""The processor's instructions that a message takes, counted by callgrind: python benchmarks/instructions.py receive

Two runs of the same program, with few and with many messages: the difference is what a message costs, start-up and
imports are not in it. No clock, no network and no load are in it either, so the figure comes out the same, within a
per cent, on a busy machine; the kernel's part is not counted. tests/cost counts the interpreter's instructions of our
own code on the same way; here are those of the interpreter itself, of Twisted and of the libraries, too.
"""

from __future__ import annotations

import argparse
import collections
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "cost")]

FEW, MANY = 20, 220
LINES = 40
#  A cost, and the function in its object file: `1,234 ( 1.00%)  file.c:function [/usr/lib/object]`.
LINE = re.compile(r"\s*([\d,]+) \(\s*[\d.]+%\)\s+(.+?)(?: \[(.+)\])?$")


def work(case: str, messages: int) -> None:
    """What is counted, in the process that callgrind runs."""
    import test_cost_a_message as ways

    with tempfile.TemporaryDirectory(prefix="mercury-instructions-") as name:
        root = Path(name)
        house = ways.House(root)
        wire = house.connect()
        for _ in range(messages):
            house.visit() if case == "receive" else house.give(wire)


def count(case: str, messages: int, folder: Path) -> tuple[int, collections.Counter[str]]:
    """All instructions, and those of each function itself."""
    out = folder / f"{messages}.callgrind"
    subprocess.run(
        ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}", sys.executable, __file__, case,
         "--messages", str(messages)],
        check=True, stdout=sys.stderr, env={**os.environ, "PYTHONHASHSEED": "0"},
    )  # fmt: skip
    text = subprocess.run(
        ["callgrind_annotate", "--threshold=99", "--auto=no", str(out)], check=True, capture_output=True, text=True
    ).stdout
    total, functions = 0, collections.Counter[str]()
    for line in text.splitlines():
        if found := LINE.match(line):
            cost, name = int(found[1].replace(",", "")), found[2].rpartition(":")[2].partition("'")[0]
            if name.startswith("PROGRAM TOTALS"):
                total = cost
            else:
                functions[f"{name} ({Path(found[3] or '?').name})"] += cost
    return total, functions


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("case", choices=("receive", "receive-kept"))
    parser.add_argument("--messages", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.messages:
        work(arguments.case, arguments.messages)
    else:
        report(arguments.case)


def report(case: str) -> None:
    with tempfile.TemporaryDirectory(prefix="mercury-callgrind-") as name:
        (few, before), (many, after) = (count(case, number, Path(name)) for number in (FEW, MANY))
    more = MANY - FEW
    whole = many - few
    print(f"{case}: {whole / more:,.0f} instructions a message, from {more} of them; Python {sys.version[:7]}")
    after.subtract(before)
    for function, cost in after.most_common(LINES):
        print(f"  {cost / more:>9,.0f}  {cost / whole:5.1%}  {function}")


if __name__ == "__main__":
    main()
