#!/usr/bin/env python3
"""`release.py VERSION [--dry-run] [--without-tests]`: from a clean tree to a tag, three packages and the notes.

Commits and tags here, and publishes nothing. All reasons against it are said before anything is done; when a step
fails, what was not committed yet is put back.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import re
import shutil
import sys

from tree import ROOT, run, version

VERSION = re.compile(r"\d+\.\d+\.\d+(rc\d+)?")
INIT, CHANGES, SPOOLS = "shared/__init__.py", "CHANGELOG.md", "tests/spools"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("version")
    parser.add_argument("--dry-run", action="store_true", help="check, say what would be done, change nothing")
    parser.add_argument("--without-tests", action="store_true", help="they have just been green on this very commit")
    given = parser.parse_args()
    wanted = given.version
    problems = list(_problems(wanted))
    if problems:
        raise SystemExit("".join(f"{problem}\n" for problem in problems) + "nothing has been done")
    if given.without_tests:
        print("the tests are left out: you say that they were green")
    elif given.dry_run:
        print("would run make test")
    else:
        print("make test")
        run("make", "test", cwd=ROOT)
    if given.dry_run:
        print(
            f"would set {wanted} in {INIT}, and its date in {CHANGES}; write {SPOOLS}/{wanted}; commit; tag v{wanted}"
        )
        print("would build sdist, wheel and deb into dist/, and dist/NOTES.md:\n")
        print(notes(wanted))
        return
    _commit(wanted)
    _build(wanted)


def _problems(wanted: str) -> list[str]:
    """Why it cannot be released; every reason at once."""
    found = []
    if not VERSION.fullmatch(wanted):
        found.append(f"{wanted} is no version: write it like 0.2.0 or 1.0.0rc1")
    dirty = run("git", "status", "--porcelain", cwd=ROOT)
    if dirty:
        found.append(f"the tree is not clean; commit or remove these first:\n{dirty}")
    if run("git", "tag", "--list", f"v{wanted}", cwd=ROOT):
        found.append(f"v{wanted} has been released already")
    if not re.search(rf"(?m)^## {re.escape(wanted)}, unreleased$", (ROOT / CHANGES).read_text()):
        found.append(f"{CHANGES} has no heading '## {wanted}, unreleased'")
    elif not notes(wanted):
        found.append(f"{CHANGES} says nothing under {wanted}")
    return found


def notes(wanted: str) -> str:
    """What CHANGELOG.md says of a version, without its heading."""
    parts = re.split(r"(?m)^## (\S+), .*$", (ROOT / CHANGES).read_text())
    return dict(zip(parts[1::2], parts[2::2], strict=True)).get(wanted, "").strip()


def _commit(wanted: str) -> None:
    try:
        _replace(INIT, f'__version__ = "{version()}"', f'__version__ = "{wanted}"')
        today = datetime.datetime.now(datetime.UTC).date()
        _replace(CHANGES, f"## {wanted}, unreleased", f"## {wanted}, {today}")
        #  In the environment of the tests: this is the code of the version at work.
        run(ROOT / ".venv/bin/python", "tests/spools/write.py", "--again", cwd=ROOT)
        run("git", "add", INIT, CHANGES, SPOOLS, cwd=ROOT)
        run("git", "commit", "--quiet", "--message", f"release {wanted}", cwd=ROOT)
        run("git", "tag", "--annotate", f"v{wanted}", "--message", f"{wanted}\n\n{notes(wanted)}", cwd=ROOT)
    except BaseException:
        print("put back what was not committed", file=sys.stderr)
        run("git", "reset", "--quiet", "--", INIT, CHANGES, SPOOLS, cwd=ROOT)
        run("git", "checkout", "--quiet", "--", INIT, CHANGES, SPOOLS, cwd=ROOT)
        raise
    print(f"committed and tagged v{wanted}")


def _replace(name: str, old: str, new: str) -> None:
    path = ROOT / name
    text = path.read_text()
    if text.count(old) != 1:
        raise SystemExit(f"{name}: {old!r} stands there {text.count(old)} times, not once")
    path.write_text(text.replace(old, new))


def _build(wanted: str) -> None:
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    run(ROOT / "package/environment", cwd=ROOT)
    for builder in ("dist.py", "deb.py"):
        run(ROOT / "build/tools/bin/python", ROOT / "package" / builder, dist, cwd=ROOT)
    files = sorted(dist.iterdir())
    sums = "".join(f"    {hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)
    (dist / "NOTES.md").write_text(f"# Mercury {wanted}\n\n{notes(wanted)}\n\n## SHA-256\n\n{sums}")
    for path in [*files, dist / "NOTES.md"]:
        print(path.relative_to(ROOT))
    print("to publish: git push --follow-tags; then upload what is in dist/")
    print(f"to take it back: git tag -d v{wanted} && git reset --keep HEAD~1")


if __name__ == "__main__":
    main()
