"""Passwords and secrets of ours for others: read from files that only we can read, never said to anybody else.

A file is read when a login is used, and again when it has changed; so a new password needs no reload. systemd puts
credentials into a folder of its own (LoadCredential=), whose access it guards itself.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from shared.observe.secret import Secret

LONGEST = 65536
_SHARED = stat.S_IRWXG | stat.S_IRWXO


class SecretUnusable(ValueError):
    """The file cannot be used; one line says what is wrong and what to do, and nothing of what is in it."""


class Credentials:
    """`environment` is asked for CREDENTIALS_DIRECTORY."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        folder = environment.get("CREDENTIALS_DIRECTORY", "")
        self._guarded = Path(folder).resolve() if folder else None
        self._known: dict[str, tuple[tuple[int, int, int, int], Secret]] = {}

    def read(self, path: str) -> str:
        """The password in the file `path`, without its line end. Raises SecretUnusable."""
        return self._read(path, _parse).reveal()

    def read_whole(self, path: str) -> str:
        """All that is in the file, as of a key in PEM. Raises SecretUnusable."""
        return self._read(path, _text).reveal()

    def _read(self, path: str, parse: Callable[[str, bytes], Secret]) -> Secret:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise SecretUnusable(f"{path}: cannot be read: {error.strerror}")
        try:
            #  What is checked and what is read is the same file, whatever happens to the name meanwhile.
            state = os.fstat(descriptor)
            mark = (state.st_mtime_ns, state.st_size, state.st_ino, state.st_mode)
            known = self._known.get(path)
            if known is not None and known[0] == mark:
                return known[1]
            self._check(path, state)
            secret = parse(path, os.read(descriptor, LONGEST + 1))
        except OSError as error:
            raise SecretUnusable(f"{path}: cannot be read: {error.strerror}")
        finally:
            os.close(descriptor)
        self._known[path] = (mark, secret)
        return secret

    def _check(self, path: str, state: os.stat_result) -> None:
        if not stat.S_ISREG(state.st_mode):
            raise SecretUnusable(f"{path}: is not a file")
        if state.st_mode & _SHARED and not self._is_guarded(path):
            mode = stat.S_IMODE(state.st_mode)
            raise SecretUnusable(f"{path}: others than its owner may use it (mode {mode:04o}): chmod 600 {path}")

    def _is_guarded(self, path: str) -> bool:
        return self._guarded is not None and Path(path).resolve().is_relative_to(self._guarded)


def _text(path: str, content: bytes) -> Secret:
    if len(content) > LONGEST:
        raise SecretUnusable(f"{path}: is longer than a password can be")
    try:
        return Secret(content.decode())
    except UnicodeDecodeError:
        raise SecretUnusable(f"{path}: is not UTF-8 text") from None


def _parse(path: str, content: bytes) -> Secret:
    text = _text(path, content).reveal().removesuffix("\n").removesuffix("\r")
    if not text:
        raise SecretUnusable(f"{path}: is empty: write the password into it")
    if "\0" in text or "\n" in text:
        raise SecretUnusable(f"{path}: holds more than one line: write the password alone into it")
    return Secret(text)
