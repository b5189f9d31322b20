"""R-03: the power is cut at any moment, and of what the disk had not yet been told to flush each write may be missing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from account import enough
from logged_site import LoggedDisk, cut_at_any_moment
from mailsite import Site

STATES = {"files": 150, "syncfs": 75}


@pytest.mark.timeout(400)
@pytest.mark.parametrize("sync", STATES)
@pytest.mark.parametrize("logged", ["ext4", "xfs"], indirect=True)
def test_cut_at_any_moment(
    site: Site, logged: LoggedDisk, sync: str, tell: Callable[..., None], left: Callable[[float], Callable[[], bool]]
) -> None:
    states = STATES[sync]
    counts = cut_at_any_moment(site, logged, states, revived=3, seconds=6.0, goes_on=left(1.2 * states), sync=sync)
    tell(**{f"{logged.kind}_{sync}_{name}": count for name, count in counts.items()}, lost=0, torn=0)
    enough(int(str(counts["states"])), states, "states")
