"""What the tests of the proof share: marked `proof`, which the usual run leaves out (all but the short ones), with a site and a far end as the
end-to-end tests have them, and a way to tell counts."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "endtoend"), str(HERE)]

from disks import MKFS, need  # noqa: E402
from logged_site import LoggedDisk  # noqa: E402
from mailsite import Site  # noqa: E402
from peers import FarEnd  # noqa: E402
from process import free_port  # noqa: E402
from setting import FAR_ADDRESSES, Stage  # noqa: E402

Tell = Callable[..., None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and item.path.name.startswith("test_proof_"):
            item.add_marker(pytest.mark.proof)


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """Counts for the table: tell(kills=500, lost=0)."""

    def told(**counts: object) -> None:
        for name, value in counts.items():
            record_property(name, value)

    return told


@pytest.fixture
def left() -> Callable[[float], Callable[[], bool]]:
    """left(300)() is true for 300 seconds, or for what is left of the whole proof."""

    def begin(seconds: float) -> Callable[[], bool]:
        whole = float(os.environ.get("MERCURY_PROOF_ENDS", "inf"))
        ends = min(time.monotonic() + seconds, whole)
        return lambda: time.monotonic() < ends

    return begin


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.clear()


@pytest.fixture
def site(stage: Stage, tmp_path: Path) -> Site:
    """A site with nothing started and the mailboxes anna and bert."""
    site = stage.site(tmp_path)
    site.write_config()
    site.add_users("anna", "bert")
    return site


@pytest.fixture
def far_end(stage: Stage, tmp_path: Path) -> FarEnd:
    far_end = FarEnd(tmp_path, free_port(*FAR_ADDRESSES), FAR_ADDRESSES)
    stage.peer(far_end)
    return far_end


@pytest.fixture
def logged(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LoggedDisk]:
    """A disk that keeps its write log, with the file system that the test names."""
    pytest.importorskip("mfusepy", reason="mfusepy is not installed")
    need("losetup", MKFS[request.param][0], "fusermount3")
    if not Path("/dev/fuse").exists():
        pytest.skip("there is no /dev/fuse here")
    disk = LoggedDisk(tmp_path, request.param)
    yield disk
    disk.end()
