"""SIGKILL at the n-th system call of a process that takes mail in or delivers it, for every n (strace does it).

Whatever the moment: all that was acknowledged is delivered in the end, to nobody more than twice, to nobody again who
was settled, and never in part. And no queue id is given out twice.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from fakes.spools import TestSpool
from spool_life import EVERYBODY, LARGE, NODE, SMALL

from shared.routing.lane import Lane
from shared.spool.record import parse_record

LIFE = Path(__file__).with_name("spool_life.py")
ROOT = LIFE.parent.parent.parent
Key = tuple[str, str]  #  Queue id and recipient.


def lives(tmp_path: Path, part: str, call: str) -> list[tuple[TestSpool, list[list[str]]]]:
    """The life of `part`, dying at the first `call`, at the second and so on, until it comes to its own end; the spool
    that each left behind, and what it had said."""
    left = []
    for when in range(1, 200):
        place = TestSpool(tmp_path / str(when), NODE)
        for _ in range({"deliver": 3, "bounce": 2}.get(part, 0)):
            place.deposit(place.envelope(*EVERYBODY), SMALL)
        has_ended, words = live(place.spool.root, part, call, when)
        left.append((place, words))
        if has_ended:
            assert when > 1, f"it makes no {call}"
            return left
    raise AssertionError("it never comes to its end")


def live(root: Path, part: str, call: str, when: int) -> tuple[bool, list[list[str]]]:
    done = subprocess.run(
        [
            "strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
            "-e", f"inject={call}:signal=SIGKILL:when={when}", sys.executable, "-B", str(LIFE), str(root), part,
        ],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/tests"},
        capture_output=True,
        timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
    return done.returncode == 0, [line.split() for line in done.stdout.decode().splitlines()]


def said(words: list[list[str]], verb: str) -> Counter[Key]:
    return Counter((line[1], recipient) for line in words if line[0] == verb for recipient in line[2:])


def check_whole(place: TestSpool) -> None:
    for lane in Lane:
        for part in ("new", "cur"):
            for name in place.names(lane, part):
                data = (place.spool.folder(lane) / part / name).read_bytes()
                assert int(name.partition(",S=")[2].partition(",")[0]) == len(data)
                assert data[parse_record(data)[1] :] in (SMALL, LARGE)


def deliver_the_rest(place: TestSpool) -> Counter[Key]:
    """The next life: adopt, deliver, sweep. Nothing is left behind."""
    delivered: Counter[Key] = Counter()
    for lane in Lane:
        folder = place.lane(lane)
        folder.adopt()
        for name, _ in list(folder.scan()):
            claim = folder.claim(name)
            assert claim is not None, "it was set aside"
            delivered.update((claim.envelope.id, str(recipient.address)) for recipient in claim.unfinished)
            folder.retire(claim)
        for _ in range(2):  #  A trail goes when two sweeps have seen no entry of it.
            folder.sweep(4e9)
    assert place.files() == []
    assert [path.name for path in place.spool.owners.iterdir()] == [place.owner.id]
    return delivered


DEPOSITS = [(part, call) for part in ("small", "large") for call in ("writev", "fsync", "rename", "write")]


@pytest.mark.endtoend
@pytest.mark.parametrize(
    ("part", "call"), [*DEPOSITS, ("whole", "syncfs"), pytest.param("whole", "rename", marks=pytest.mark.proof)]
)
def test_killed_while_depositing(tmp_path: Path, part: str, call: str) -> None:
    for number, (place, words) in enumerate(left := lives(tmp_path, part, call), 1):
        check_whole(place)
        acked, delivered = said(words, "acked"), deliver_the_rest(place)
        lost = acked - delivered
        assert not lost, f"killed at {call} {number}: {lost}"
    assert sum(acked.values()) >= 6 and delivered == acked and len(left) >= (2 if call == "syncfs" else 3)


@pytest.mark.endtoend
@pytest.mark.parametrize("call", ["rename", "unlink", "utimensat", "fsync", "writev", "write", "flock"])
def test_killed_while_delivering(tmp_path: Path, call: str) -> None:
    for number, (place, words) in enumerate(lives(tmp_path, "deliver", call), 1):
        check_whole(place)
        delivered = said(words, "delivers") + deliver_the_rest(place)
        assert len(delivered) == 3 * len(EVERYBODY), f"killed at {call} {number}: somebody has nothing"
        assert max(delivered.values()) <= 2
        again = [key for key in said(words, "settled") if delivered[key] > 1]
        assert not again, f"killed at {call} {number}: settled and delivered again: {again}"
    assert set(delivered.values()) == {1}


@pytest.mark.endtoend
@pytest.mark.parametrize("call", ["pwrite64", "fsync", "flock", "write"])
def test_killed_while_reserving_ids(tmp_path: Path, call: str) -> None:
    for place, words in lives(tmp_path, "ids", call):
        ids = [line[1] for line in words]
        ids += [line[1] for line in live(place.spool.root, "ids", "chroot", 1)[1]]
        assert len(set(ids)) == len(ids) >= 3


def told(place: TestSpool) -> Counter[Key]:
    """Of whom the reports in .local tell, and about which message; all of them whole."""
    found: Counter[Key] = Counter()
    for part in ("new", "cur"):
        for name in place.names(Lane.LOCAL, part):
            data = (place.spool.folder(Lane.LOCAL) / part / name).read_bytes()
            assert int(name.partition(",S=")[2].partition(",")[0]) == len(data)
            envelope, at = parse_record(data)
            who = re.findall(rb"Final-Recipient: rfc822; *([^\r]+)", data[at:])
            found.update((envelope.cause, address.decode()) for address in who)
    return found


@pytest.mark.endtoend
@pytest.mark.parametrize("call", ["rename", "unlink", "utimensat", "fsync", "writev"])
def test_killed_while_bouncing(tmp_path: Path, call: str) -> None:
    """The next life bounces what is left: nobody stays without a report, and has no more than one too many."""
    deaths = 0
    for number, (place, _) in enumerate(lives(tmp_path, "bounce", call), 1):
        live(place.spool.root, "bounce", "chroot", 1)
        reports = told(place)
        assert len(reports) == 2 * len(EVERYBODY), f"killed at {call} {number}: {reports}"
        assert max(reports.values()) <= 2, f"killed at {call} {number}: {reports}"
        assert not place.names(Lane.RELAY) and not place.names(Lane.RELAY, "cur"), "the causes are gone"
        deaths = number
    assert set(reports.values()) == {1} and deaths > 1
