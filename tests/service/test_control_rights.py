"""Who may have a daemon act: as the kernel knows them, and never by a number that stands for everybody."""

from __future__ import annotations

import grp
import os
import pwd
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from shared.service.accounts import viewers_of
from shared.service.control import NOBODY, Peer, Rights, peer_of


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


def test_the_kernel_tells_the_peer_with_all_its_groups() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert peer_of(one) == Peer(os.getpid(), os.geteuid(), frozenset({os.getegid(), *os.getgroups()}))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another")
def test_a_member_by_a_supplementary_group_may_act(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for folder in tmp_path.parents[:-2]:
        folder.chmod(0o755)
    program = (
        "import os,socket,sys;os.setgroups([2000]);os.setgid(1000);os.setuid(1000);l=socket.socket(socket.AF_UNIX);"
    )
    program += "l.connect(sys.argv[1]);l.recv(1)"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        (tmp_path / "s").chmod(0o666)
        listener.listen()
        listener.settimeout(30)
        child = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "s")])
        link, _ = listener.accept()
        with link:
            assert Rights(990, 2000).may_act(peer_of(link)) and not Rights(990, 2001).may_act(peer_of(link))
        child.wait(30)


def test_viewers_look_and_do_not_act() -> None:
    account, group = pwd.getpwuid(1), grp.getgrgid(2)
    viewers, groups = viewers_of([account.pw_name, f"@{group.gr_name}", "no-such-account", "@no-such-group"])
    rights = Rights(990, 2000, viewers=viewers, viewing_groups=groups)
    for viewer in (peer(1, 5), peer(1000, 5, 2)):
        assert rights.may_look(viewer) and not rights.may_act(viewer)
    assert not rights.may_look(peer(1000, 5)) and not rights.may_look(peer(NOBODY, NOBODY))


def test_nobody_is_no_viewer() -> None:
    """Who comes out of another user namespace has that number, whoever he is."""
    assert viewers_of([pwd.getpwuid(NOBODY).pw_name, f"@{grp.getgrgid(NOBODY).gr_name}"]) == (
        frozenset(),
        frozenset(),
    )
