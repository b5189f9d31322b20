"""`dist.py FOLDER`: sdist and wheel, the same bytes whenever and wherever they are built from the same files.

Runs in the environment of package/tools.txt (`make packages` makes it). The wheel is built from the sdist, so that
the sdist is whole.
"""

from __future__ import annotations

import gzip
import io
import sys
import tarfile
import tempfile
from pathlib import Path

from tree import copy_out, epoch, run


def build(folder: Path, time: int, tree: Path | None = None) -> tuple[Path, Path]:
    """sdist and wheel of `tree`; of the checkout when none is given."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        if tree is None:
            tree = Path(name, "tree")
            copy_out(tree, time)
        made = Path(name, "made")
        run(sys.executable, "-m", "build", "--no-isolation", "--outdir", made, tree, SOURCE_DATE_EPOCH=str(time))
        (sdist,) = made.glob("*.tar.gz")
        (wheel,) = made.glob("*.whl")
        target = folder / sdist.name
        target.write_bytes(_calm(sdist.read_bytes(), time))
        (folder / wheel.name).write_bytes(wheel.read_bytes())
        return target, folder / wheel.name


def _calm(archive: bytes, time: int) -> bytes:
    """The same files in the order of their names, with neither owners nor the time of the build."""
    out = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as source,
        gzip.GzipFile(fileobj=out, mode="wb", filename="", mtime=time) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as target,
    ):
        for member in sorted(source.getmembers(), key=lambda member: member.name):
            member.mtime, member.uid, member.gid, member.uname, member.gname = time, 0, 0, "", ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.pax_headers = {}
            target.addfile(member, source.extractfile(member) if member.isfile() else None)
    return out.getvalue()


if __name__ == "__main__":
    for path in build(Path(sys.argv[1]), epoch()):
        print(path)
