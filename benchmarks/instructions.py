"""The processor's instructions that a message takes, counted by callgrind: python benchmarks/instructions.py receive

Two runs of the same program, with few and with many messages: the difference is what a message costs, start-up and
imports are not in it. What is received meets no clock, no network and no load, so the figure comes out the same,
within a per cent, on a busy machine. What is relayed goes the whole way: the daemon with its log and its records
drains a lane to the sink of the bench, threads and sockets and all; that holds within three per cent. The kernel's
part is not counted. tests/cost counts the interpreter's instructions of our own code on the same way; here are those
of the interpreter itself, of Twisted and of the libraries, too.
"""

from __future__ import annotations

import argparse
import collections
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cases import until
from rivals import Mercury, Task, free_port

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "cost")]

FEW, MANY = {"receive": 20, "receive-kept": 20, "relay": 200}, {"receive": 220, "receive-kept": 220, "relay": 1200}
OCTETS = 4096
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


def drain(valgrind: Sequence[str], messages: int, folder: Path) -> None:
    """MercuryC under valgrind, from its start until the lane is empty."""
    subprocess.run(
        ["gcc", "-O2", "-o", f"{folder}/sink", f"{ROOT}/benchmarks/sink.c", "-lssl", "-lcrypto"], check=True
    )
    place = f"127.0.0.1:{free_port()}"
    rival = Mercury(folder / "mercury", folder / "disk")
    rival.set_up(Task("relay", ("127.0.0.1", int(place.partition(":")[2]))))
    fill(folder, messages).rename(rival.spool / "queue")
    sink = subprocess.Popen([f"{folder}/sink", f"{folder}/counters", place])
    daemon = subprocess.Popen(
        [*valgrind, sys.executable, "-m", "mercury_c", "--config", str(folder / "mercury" / "mercury.yaml")],
        cwd=ROOT, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONHASHSEED": "0"},
    )  # fmt: skip
    try:
        if not until(lambda: rival.queued() == 0 or daemon.poll() is not None, 600):
            raise RuntimeError(f"{rival.queued()} of {messages} messages are still queued")
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(60)
        sink.kill()
        sink.wait()


def fill(folder: Path, messages: int) -> Path:
    """A spool with so many entries for the relay, as MercuryS leaves them."""
    from fakes.spools import TestSpool

    spool = TestSpool(folder, "mail.hq.example")
    body = b"Received: by test\r\nSubject: cost\r\n\r\n" + (b"x" * 70 + b"\r\n") * (OCTETS // 72)
    for number in range(messages):
        envelope = spool.envelope(f"u{number}@elsewhere.example")
        spool.deposit(replace(envelope, arrived=time.time(), client="127.0.0.1 (pc.example)"), body)
    return spool.spool.root


def count(case: str, messages: int, folder: Path) -> tuple[int, collections.Counter[str]]:
    """All instructions, and those of each function itself."""
    out = folder / f"{messages}.callgrind"
    valgrind = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}"]
    if case == "relay":
        place = folder / str(messages)
        place.mkdir()
        drain(valgrind, messages, place)
    else:
        subprocess.run(
            [*valgrind, sys.executable, __file__, case, "--messages", str(messages)],
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
    parser.add_argument("case", choices=tuple(FEW))
    parser.add_argument("--messages", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.messages:
        work(arguments.case, arguments.messages)
    else:
        report(arguments.case)


def report(case: str) -> None:
    with tempfile.TemporaryDirectory(prefix="mercury-callgrind-") as name:
        (few, before), (many, after) = (count(case, number, Path(name)) for number in (FEW[case], MANY[case]))
    more = MANY[case] - FEW[case]
    whole = many - few
    print(f"{case}: {whole / more:,.0f} instructions a message, from {more} of them; Python {sys.version[:7]}")
    after.subtract(before)
    for function, cost in after.most_common(LINES):
        print(f"  {cost / more:>9,.0f}  {cost / whole:5.1%}  {function}")


if __name__ == "__main__":
    main()
