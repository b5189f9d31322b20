"""The processor's instructions that a message takes, counted by callgrind: python benchmarks/instructions.py receive

Two runs of the same program, with few and with many messages: the difference is what a message costs, start-up and
imports are not in it. No clock, no network and no load are in it either, so the figure comes out the same, within a
per cent, on a busy machine. What is relayed goes from the lane on disk to retirement, with the log and the records;
threads and sockets are played, as what they cost depends on who else is there. The kernel's
part is not counted. tests/cost counts the interpreter's instructions of our own code on the same way; here are those
of the interpreter itself, of Twisted and of the libraries, too.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "cost")]

FEW, MANY = {"receive": 20, "receive-kept": 20, "relay": 50}, {"receive": 220, "receive-kept": 220, "relay": 250}
OCTETS = 4096
LINES = 40
#  A cost, and the function in its object file: `1,234 ( 1.00%)  file.c:function [/usr/lib/object]`.
LINE = re.compile(r"\s*([\d,]+) \(\s*[\d.]+%\)\s+(.+?)(?: \[(.+)\])?$")


def work(case: str, messages: int) -> None:
    """What is counted, in the process that callgrind runs."""
    import test_cost_a_message as ways

    with tempfile.TemporaryDirectory(prefix="mercury-instructions-") as name:
        root = Path(name)
        if case == "relay":
            relay(root, messages)
            return
        house = ways.House(root)
        wire = house.connect()
        for _ in range(messages):
            house.visit() if case == "receive" else house.give(wire)


def fill(root: Path, messages: int) -> None:
    """So many entries in the lane, as MercuryS leaves them."""
    from fakes.spools import TestSpool

    spool = TestSpool(root, "mail.hq.example")
    body = b"Received: by test\r\nSubject: cost\r\n\r\n" + (b"x" * 70 + b"\r\n") * (OCTETS // 72)
    for number in range(messages):
        envelope = spool.envelope(f"u{number}@elsewhere.example")
        spool.deposit(replace(envelope, arrived=time.time(), client="127.0.0.1 (pc.example)"), body)


def relay(root: Path, messages: int) -> None:
    """From the lane to a smarthost that takes everything, with the log and the records; nothing waits for a clock, a
    thread or a socket. The lane is filled by another process, which is not counted."""
    from fakes.runs import run
    from fakes.spools import TestSpool

    subprocess.run([sys.executable, __file__, "relay", "--messages", str(messages), "--fill", str(root)], check=True)
    spool = TestSpool(root, "mail.hq.example")

    def prepare(stage: Any) -> None:
        stage.loop.jump(60)
        lead_outside(stage)

    async def pass_through(stage: Any) -> None:
        await stage.hours(0.5)
        assert not spool.names() and not spool.names(part="cur") and not stage.carrier.carried, "it went another way"

    with recorded(root):
        run(pass_through, prepare, disk=spool)


def lead_outside(stage: Any) -> None:
    """What goes over the way of the tests goes over SMTP, by the planner of MercuryC."""
    from transport.wires import HOP, Net

    from mercury_c.smarthost import SmarthostPlanner
    from shared.observe.log import log
    from shared.routing.site import Delivery, Site
    from shared.routing.table import RoutingTable
    from shared.transport.pool import PoolLimits

    net = Net(limits=PoolLimits())
    begin = net.reactor.connectTCP

    def connect(host: str, port: int, factory: Any, *more: Any) -> Any:
        stage.loop.call_soon(smarthost(net.reactor, stage.loop).greet, factory)
        return begin(host, port, factory, *more)

    net.reactor.connectTCP = connect  # type: ignore[method-assign]
    table = RoutingTable("mail.hq.example", frozenset(), {"hq": Site("hq", (), Delivery.RELAY, (HOP,))}, "hq")
    stage.runner.reload(planner=SmarthostPlanner(table), carrier=net.carrier, rejudge=stage.rejudge)
    stage.events = Told(log.event)


class Told:
    """In place of the list that the events of a test go to."""

    def __init__(self, say: Any) -> None:
        self._say = say

    def append(self, event: tuple[str, dict[str, Any]]) -> None:
        self._say(event[0], **event[1])


def smarthost(reactor: Any, loop: Any) -> Any:
    """The other end of one connection; it answers with the next turn of the loop."""
    from transport.wires import EHLO, TAKEN, Wire

    class Smarthost(Wire):
        def greet(self, factory: Any) -> None:
            self.protocol = factory.buildProtocol(None)
            self.protocol.makeConnection(self)
            self.protocol.dataReceived(b"220 mx.example\r\n")

        def write(self, data: bytes) -> None:
            loop.call_soon(self.answer, data)

        def answer(self, data: bytes) -> None:
            _, end, commands = data.rpartition(b"\r\n.\r\n")
            answers = EHLO if data.startswith(b"EHLO") else TAKEN if commands.endswith(b"DATA\r\n") else ()
            reply = (b"250 2.0.0 taken\r\n" if end else b"") + "".join(f"{line}\r\n" for line in answers).encode()
            self.protocol.dataReceived(reply or b"221 bye\r\n")

    return Smarthost(reactor)


@contextlib.contextmanager
def recorded(root: Path) -> Iterator[None]:
    """The log as a daemon has it."""
    from shared.observe.log import log
    from shared.observe.sinks import RecordFile, TextStream

    nowhere = os.open(os.devnull, os.O_WRONLY)
    log.open("mercury-c", TextStream(nowhere, False), RecordFile(root / "events" / "mercury-c.jsonl"))
    try:
        yield
    finally:
        log.close()
        os.close(nowhere)


def count(case: str, messages: int, folder: Path) -> tuple[int, collections.Counter[str]]:
    """All instructions, and those of each function itself."""
    out = folder / f"{messages}.callgrind"
    valgrind = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}"]
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
    parser.add_argument("--fill", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.fill:
        fill(arguments.fill, arguments.messages)
    elif arguments.messages:
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
