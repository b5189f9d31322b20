"""The replies of a server: bytes in, Reply values out (RFC 5321 §4.2, RFC 2034, RFC 3463).

Here: the limits on what a foreign server may say, and how its text is made harmless. Not here: what a reply means for
a recipient (judge.py), which command it answers (client.py). Text that leaves this file is printable ASCII, one
"\\n" between the lines of a reply, so that no later room has to ask what a peer may have put into it.
"""

from __future__ import annotations

import re
from collections import deque
from functools import lru_cache

from shared.mail.reply import Reply, printable

#  RFC 5321 §4.2   Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
#  A line may also end in a bare LF here: some old servers do, and a reply smuggles nothing.
_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?\Z", re.DOTALL)
#  RFC 2034 §4     text = status-code SP text; some servers leave the text and the space away.
_ENHANCED = re.compile(r"([245])\.[0-9]{1,3}\.[0-9]{1,3}(?: |\Z)")

LONGEST_LINE = 2048  #  octets kept of a line; §4.5.3.1.5 allows 512, the rest is skipped
MOST_LINES = 100
LONGEST_REPLY = 65536  #  octets of one reply, skipped ones included


class MalformedReply(Exception):
    """What the server sent is no reply; the message says why. Nothing after it can be trusted."""


class ReplyParser:
    """Feed it what came; ask for replies until there are none."""

    def __init__(self) -> None:
        self._ready: deque[bytes] = deque()  #  whole lines, without their LF
        self._rest = b""  #  the beginning of one
        self._octets = 0
        self._code = b""
        self._lines: list[str] = []

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._ready += lines

    @property
    def is_empty(self) -> bool:
        """Nothing has come that is not yet part of a reply handed out."""
        return not (self._ready or self._rest or self._lines)

    def next_reply(self) -> Reply | None:
        """The next complete reply, or None. Raises MalformedReply."""
        while self._ready:
            line = self._ready.popleft()
            if line[3:4] != b"-" and len(line) < 512 and not self._lines:
                return _parse_single(line)
            reply = self._take_line(line)
            if reply is not None:
                return reply
        if self._octets + len(self._rest) > LONGEST_REPLY:
            raise MalformedReply("a reply is longer than 64 kB")
        return None

    def _take_line(self, line: bytes) -> Reply | None:
        self._octets += len(line) + 1
        if self._octets > LONGEST_REPLY:
            raise MalformedReply("a reply is longer than 64 kB")
        code, separator, text = _split(line)
        if self._code and code != self._code:
            raise MalformedReply("the code changes within a reply")
        self._code = code
        self._lines.append(text)
        if len(self._lines) > MOST_LINES:
            raise MalformedReply("a reply has more than 100 lines")
        if separator == b"-":
            return None
        reply = _assemble(int(code), self._lines)
        self._lines, self._code, self._octets = [], b"", 0
        return reply


#  A relay hears the same few replies all day. Kept short, so that queue ids in replies cost no memory.
@lru_cache(maxsize=128)
def _parse_single(line: bytes) -> Reply:
    code, _, text = _split(line)
    return _assemble(int(code), [text])


def _split(line: bytes) -> tuple[bytes, bytes, str]:
    line = line.removesuffix(b"\r")[:LONGEST_LINE]
    found = _LINE.match(line)
    if not found:
        raise MalformedReply(f"{printable(line[:40].decode('latin-1'))!r} is no reply")
    text = found[3] or b""
    #  A reply may be UTF-8 (RFC 6531 §3.7.4.2); escapes are shown for it, as for every control character.
    return found[1], found[2] or b" ", printable(text.decode("utf-8", "backslashreplace"))


def _assemble(code: int, lines: list[str]) -> Reply:
    """One Reply; the enhanced code of its first line is taken off every line that repeats it."""
    found = _ENHANCED.match(lines[0])
    if not found or found[1] != str(code)[0]:
        #  A class that contradicts the basic code is not believed (RFC 3463 §2); the text is kept as it came.
        return Reply(code, "", "\n".join(lines))
    enhanced = found[0].rstrip(" ")
    width = len(enhanced)
    texts = [line[width:].removeprefix(" ") if _ENHANCED.match(line) and line.startswith(enhanced) else line
             for line in lines]  # fmt: skip
    return Reply(code, enhanced, "\n".join(texts))
