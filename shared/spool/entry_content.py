"""The message of a claimed entry: a small one is in memory from the claim on, a large one is read when asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator

from shared.mail.content import BytesContent
from shared.maildir.tree import READ

#  A header section beyond this is no header section; nobody wants it quoted in a report either.
LONGEST_HEAD = 1024 * 1024


class SmallContent(BytesContent):
    """A message that came with the same read as its record."""


class LargeContent:
    """The message in the file at `path`, from `offset` on. The file is opened anew for each reading."""

    def __init__(self, path: str, offset: int, size: int) -> None:
        self.path = path
        self.offset = offset
        self._size = size

    @property
    def size(self) -> int:
        return self._size

    def chunks(self, size: int = 65536) -> Iterator[bytes]:
        descriptor = self.open()
        try:
            missing = self._size
            while missing:
                chunk = os.read(descriptor, min(size, missing))
                if not chunk:
                    raise OSError(f"{self.path} ends {missing} octets early")
                missing -= len(chunk)
                yield chunk
        finally:
            os.close(descriptor)

    def open(self) -> int:
        """A descriptor that stands at the beginning of the message; the caller closes it. Raises OSError."""
        descriptor = os.open(self.path, READ)
        os.lseek(descriptor, self.offset, os.SEEK_SET)
        return descriptor

    def head(self) -> bytes:
        data = b""
        for chunk in self.chunks():
            data += chunk
            end = data.find(b"\r\n\r\n", max(0, len(data) - len(chunk) - 3))
            if end >= 0:
                return data[: end + 4]
            if len(data) >= LONGEST_HEAD:
                return data[: data.rfind(b"\r\n") + 2] + b"\r\n"
        return data
