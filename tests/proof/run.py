"""`make proof`: run every test that a row of the table names, within thirty minutes, in a sealed room.

    python tests/proof/run.py [R-03 ...] [--minutes 30] [--artefacts build/proof]

The exit code is 0 when no row fails; rows that could not run are named in the table, with the reason.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT), str(HERE.parent), str(HERE.parent / "endtoend")]

import pytest  # noqa: E402
from gluster import PLACES  # noqa: E402
from host import which  # noqa: E402
from proof import guest, sealed  # noqa: E402
from proof.plugin import Proof  # noqa: E402
from proof.rows import ROWS, Row  # noqa: E402


def selected(words: list[str]) -> tuple[Row, ...]:
    unknown = set(words) - {row.id for row in ROWS}
    if unknown:
        raise SystemExit(f"there is no row {', '.join(sorted(unknown))}; there are {ROWS[0].id} to {ROWS[-1].id}")
    return tuple(row for row in ROWS if not words or row.id in words)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help="R-01 and so on; all of them unless told")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--artefacts", type=Path, default=ROOT / "build" / "proof")
    given = parser.parse_args()
    rows = selected(given.rows)
    if any(row.id == "H-03" for row in rows):
        guest.prepare()
    sealed.enter()
    if sealed.is_sealed():
        sealed.tend()
        if which("glusterd"):
            sealed.own_places(*PLACES)
    os.chdir(ROOT)
    os.environ["PYTHONPATH"] = str(ROOT)
    #  The longest test takes some minutes; what has begun is let end.
    ends = time.monotonic() + given.minutes * 60 - 60
    os.environ["MERCURY_PROOF_ENDS"] = str(ends)
    folder = tempfile.mkdtemp(prefix="mercury-proof-")
    proof = Proof(ends, given.artefacts, rows)
    tests = list(dict.fromkeys(f"tests/{test}" for row in rows for test in row.tests))
    try:
        return int(
            pytest.main(
                ["-qq", "-m", "", "-rN", "--tb=short", "-p", "no:cacheprovider", "--basetemp", f"{folder}/t", *tests],
                [proof],
            )
        )
    except Exception:
        #  pytest's own fixtures do not like to be interrupted in the middle; the table has been shown by then.
        if not proof.is_interrupted:
            raise
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
