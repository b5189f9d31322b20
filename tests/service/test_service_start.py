"""What stands before a daemon's life: sockets, the lock, the words to the service manager, and one line of trouble."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from shared.service.listen import InheritedSockets, _trouble
from shared.service.lock import InstanceLock, lock_path, running_pid
from shared.service.notify import ServiceManager
from shared.service.trouble import StartTrouble, line_of
from shared.spool.spool import SpoolUnusable


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (StartTrouble("open the\ndoor", "push"), "mercury-s: cannot open the door; push"),
        (SpoolUnusable("spool /x: is full; make room"), "mercury-s: cannot use the spool /x: is full; make room"),
        (RuntimeError("\x1b[2J"), "mercury-s: cannot start: \\x1b[2J"),
    ],
)
def test_trouble_is_one_line(error: Exception, line: str) -> None:
    assert line_of("mercury-s", error) == line


def test_an_error_of_the_system_names_its_file() -> None:
    line = line_of("mercury-s", PermissionError(errno.EACCES, "Permission denied", "/etc/key"))
    assert line.startswith("mercury-s: cannot use /etc/key: Permission denied; see that ")


@pytest.mark.parametrize(
    ("code", "part"),
    [
        (errno.EADDRINUSE, "the port is in use; see who has it with `ss -ltnp 'sport = :25'`"),
        (errno.EACCES, "permission denied; run `mercury setup`, which makes its socket unit"),
        (errno.EADDRNOTAVAIL, "this host has no such address"),
        (errno.ENOBUFS, "correct the listener"),
    ],
)
def test_a_listener_that_cannot_be_opened_says_what_to_do(code: int, part: str) -> None:
    text = str(_trouble("::1", 25, OSError(code, os.strerror(code))))
    assert text.startswith("listen on [::1]:25: ") and part in text


def test_descriptors_are_taken_by_name_or_port(monkeypatch: pytest.MonkeyPatch) -> None:
    class FakeSocket:
        def __init__(self, port: int) -> None:
            self._port = port

        def getsockname(self) -> tuple[str, int]:
            return "0.0.0.0", self._port

        def close(self) -> None:
            closed.append(self._port)

    closed: list[int] = []

    one, two, three = FakeSocket(25), FakeSocket(587), FakeSocket(465)
    sockets = InheritedSockets([("mx", one), ("x.socket", two), ("y", three)])  # type: ignore[list-item]
    assert sockets.take("mx", 9999) == [one]
    assert sockets.take("mx", 9999) == []
    assert sockets.take("submission", 587) == [two]
    assert sockets.take("mercury-s-127.0.0.1-465", 465, "127.0.0.1") == []
    assert sockets.close_left() == ["y"] and closed == [465]
    assert sockets.take("z", 465) == sockets.close_left() == []


@pytest.mark.parametrize(
    ("environ", "count"),
    [
        ({"LISTEN_PID": "7", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b"}, 2),
        ({"LISTEN_FDNAMES": "a:b"}, 2),  # what an import of Twisted's endpoints leaves
        ({"LISTEN_PID": "7", "LISTEN_FDS": "1"}, 1),
        ({"LISTEN_PID": "8", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b"}, 0),
        ({}, 0),
    ],
)
def test_the_environment_of_socket_activation(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], count: int
) -> None:
    taken: list[int] = []

    def take(descriptor: int) -> socket.socket:
        taken.append(descriptor)
        return socket.socket()

    monkeypatch.setattr("shared.service.listen._take", take)
    InheritedSockets.from_environment(environ, pid=7)
    assert taken == list(range(3, 3 + count))
    assert environ == {}, "a child process must not see them"


def test_an_inherited_socket_is_made_non_blocking() -> None:
    from shared.service.listen import _take

    one, two = socket.socketpair()
    with one, two, _take(os.dup(one.fileno())) as taken:
        assert taken.getblocking() is False
        assert not os.get_inheritable(taken.fileno())


def test_one_instance_and_no_more(tmp_path: Path) -> None:
    path = lock_path(tmp_path / "spool", "mercury-s")
    assert running_pid(path) is None
    first, second = InstanceLock(path, "mercury-s"), InstanceLock(path, "mercury-s")
    first.take()
    assert running_pid(path) == os.getpid()
    with pytest.raises(StartTrouble, match=f"already running as pid {os.getpid()}"):
        second.take()
    first.release()
    assert running_pid(path) is None
    second.take()
    second.release()


def test_a_spool_that_cannot_be_made_is_trouble(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartTrouble, match="write in"):
        InstanceLock(lock_path(tmp_path / "file" / "spool", "mercury-s"), "mercury-s").take()


@pytest.mark.parametrize("is_abstract", [False, True])
def test_the_service_manager_hears_us(tmp_path: Path, is_abstract: bool) -> None:
    name = f"@mercury-test-{os.getpid()}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind("\0" + name[1:] if is_abstract else name)
        manager = ServiceManager.from_environment({"NOTIFY_SOCKET": name}, 7)
        manager.ready("two\nlines")
        manager.status("two\nlines")
        manager.status("other")
        manager.alive()
        ear.settimeout(1)
        heard = [ear.recv(999).decode() for _ in range(3)]
    assert heard == ["READY=1\nSTATUS=two lines", "STATUS=other", "WATCHDOG=1"]


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "7"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_for_us_alone(environ: dict[str, str], seconds: float | None) -> None:
    assert ServiceManager.from_environment(environ, 7).watchdog == seconds
    assert environ == {}
