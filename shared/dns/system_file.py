"""A file of the system's resolver, hosts(5) or resolv.conf(5), read again when it changes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class SystemFile(Generic[Value]):
    """`absent` is what a file that cannot be read is taken for."""

    def __init__(self, path: str | os.PathLike[str], parse: Callable[[Iterable[str]], Value], absent: Value) -> None:
        self._path = path
        self._parse = parse
        self._absent = absent
        self._seen: tuple[int, int] | None = None

    def news(self) -> Value | None:
        """What stands in it, if it is another file than when it was last asked for; else None."""
        try:
            status = os.stat(self._path)
            if self._seen == (status.st_mtime_ns, status.st_ino):
                return None
            self._seen = (status.st_mtime_ns, status.st_ino)
            with open(self._path, encoding="utf-8", errors="replace") as file:
                return self._parse(file)
        except OSError:
            self._seen = None
            return self._absent
