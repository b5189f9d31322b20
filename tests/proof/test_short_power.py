"""A short power cut for the usual run: what `make proof` does with three hundred states, with a dozen."""

from __future__ import annotations

import pytest
from logged_site import LoggedDisk, cut_at_any_moment
from mailsite import Site


#  As for the tests of endtoend: real daemons on a machine that does other things, too.
@pytest.mark.flaky(reruns=1)
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("sync", "states"), [("files", 12), ("syncfs", 6)])
@pytest.mark.parametrize("logged", ["ext4"], indirect=True)
def test_cut_at_a_dozen_moments(site: Site, logged: LoggedDisk, sync: str, states: int) -> None:
    counts = cut_at_any_moment(site, logged, states, revived=1, seconds=1.0, goes_on=lambda: True, sync=sync)
    assert counts["states"] == states and counts["checks"]
