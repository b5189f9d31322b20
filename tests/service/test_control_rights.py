"""Who may have a daemon act: as the kernel knows them, and never by a number that stands for everybody."""

from __future__ import annotations

import pytest

from shared.service.control import NOBODY, Peer, Rights


def peer(uid: int, *groups: int) -> Peer:
    return Peer(1, uid, frozenset(groups))


@pytest.mark.parametrize(
    ("who", "may"),
    [
        (peer(0, 0), True),
        (peer(990, 990), True),
        (peer(1000, 1000, 2000), True),
        (peer(1000, 1000), False),
        (peer(NOBODY, NOBODY), False),
    ],
)
def test_root_the_account_and_the_group_of_the_spool(who: Peer, may: bool) -> None:
    assert Rights(990, 2000).may_act(who) is may


def test_a_group_that_the_namespace_does_not_know_is_nobodys() -> None:
    assert not Rights(990, NOBODY).may_act(peer(NOBODY, NOBODY))
    assert Rights(990, NOBODY).may_act(peer(990, NOBODY))
