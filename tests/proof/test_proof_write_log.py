"""R-03: the power is cut at any moment, and of what the disk had not yet been told to flush each write may be missing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from account import enough
from logged_site import LoggedDisk, cut_at_any_moment
from mailsite import Site

STATES = 150


@pytest.mark.timeout(400)
@pytest.mark.parametrize("logged", ["ext4", "xfs"], indirect=True)
def test_cut_at_any_moment(
    site: Site, logged: LoggedDisk, tell: Callable[..., None], left: Callable[[float], Callable[[], bool]]
) -> None:
    counts = cut_at_any_moment(site, logged, STATES, revived=3, seconds=6.0, goes_on=left(180))
    tell(**{f"{logged.kind}_{name}": count for name, count in counts.items()}, lost=0, torn=0)
    enough(int(str(counts["states"])), STATES, "states")
