"""Message content on its way in: between DATA and the final dot (RFC 5321 §4.5.2), or inside BDAT (RFC 3030).

Knows line ends and dots, nothing of headers. The end of DATA is CRLF.CRLF and nothing else. A CR or LF that is not
part of CRLF spoils the message, so that no two hops can disagree about where it ends. Works on whole chunks with
searches at C speed; any way of cutting the input gives the same result.
"""

from __future__ import annotations

from shared.mail.reply import Reply
from shared.smtp import replies
from shared.smtp.line_ends import DOT, LONG, has_dotted_line, has_only_crlf

_END = b"\r\n.\r\n"
#  The beginnings of _END that may stand at the end of a chunk, longest first.
_BEGINNINGS = (b"\r\n.\r", b"\r\n.", b"\r\n", b"\r")


#  A message may be spoiled in several ways; which one is answered must not depend on which piece came first.
_RANK = {replies.TOO_LARGE: 3, replies.BARE_LINE_END_IN_MESSAGE: 2, replies.NUL_IN_MESSAGE: 1, None: 0}


def _worse(one: Reply | None, other: Reply | None) -> Reply | None:
    return one if _RANK[one] >= _RANK[other] else other


class DotDecoder:
    """Takes apart what follows 354. `feed` until `is_ended`; then `rest` holds what came behind the final dot.

    `fault` is set at the first thing that spoils the message; from then on content is dropped, not returned, while
    the true end is still sought.
    """

    __slots__ = ("_carry", "_fresh", "fault", "is_ended", "rest", "size", "size_limit")

    def __init__(self, size_limit: int) -> None:
        self.size_limit = size_limit
        self.fault: Reply | None = None
        self.is_ended = False
        self.rest = b""
        #  As if a line had just ended (a message may begin with its dot); those two octets are not content.
        self._carry = b"\r\n"
        self.size = -2
        self._fresh = True

    def feed(self, data: bytes) -> bytes:
        """The content in `data`, unstuffed; empty when there is none yet or the message is spoiled."""
        data = self._carry + data
        #  One search says of most pieces that they hold neither the end nor a stuffed dot.
        dot = data.find(DOT) if len(data) < LONG or has_dotted_line(data) else -1
        end = data.find(_END, dot) if dot >= 0 else -1
        if end >= 0:
            self.is_ended = True
            self.rest = data[end + 5 :]
            data = data[: end + 2]
        else:
            held = self._held(data)
            self._carry = data[len(data) - held :]
            data = data[: len(data) - held] if held else data
        if not data:
            return b""
        if dot >= 0 and dot != end:
            data = data.replace(DOT, b"\r\n")
        self._check(data)
        if self.fault is not None:
            return b""
        if self._fresh:
            self._fresh = False
            return data[2:]
        return data

    @staticmethod
    def _held(data: bytes) -> int:
        """How many octets at the end may be the beginning of _END, or of a stuffed dot, and must wait."""
        for beginning in _BEGINNINGS:
            if data.endswith(beginning):
                return len(beginning)
        return 0

    def _check(self, data: bytes) -> None:
        """Pieces never begin or end inside a CRLF, because `feed` holds a CR at the end back."""
        self.size += len(data)
        if self.size > self.size_limit:
            self.fault = replies.TOO_LARGE
        elif not has_only_crlf(data):
            self.fault = _worse(self.fault, replies.BARE_LINE_END_IN_MESSAGE)
        elif b"\0" in data:
            self.fault = _worse(self.fault, replies.NUL_IN_MESSAGE)


class ChunkDecoder:
    """Takes the octets of the BDAT chunks of one message: counted, never parsed, checked for strict line ends unless
    the message is `binary` (BODY=BINARYMIME, RFC 3030 §3).

    `begin` announces a chunk; `feed` until `missing` is 0; `finish` once after the last chunk.
    """

    __slots__ = ("_ends_in_cr", "binary", "fault", "missing", "size", "size_limit")

    def __init__(self, size_limit: int, binary: bool = False) -> None:
        self.size_limit = size_limit
        self.binary = binary
        self.size = 0
        self.missing = 0
        self.fault: Reply | None = None
        self._ends_in_cr = False

    def begin(self, size: int) -> None:
        self.missing = size
        if self.size + size > self.size_limit:
            self.fault = replies.TOO_LARGE

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """The content in `data`, and what stands behind the chunk."""
        rest = data[self.missing :]
        if rest:
            data = data[: self.missing]
        self.missing -= len(data)
        self.size += len(data)
        self._check(data)
        return (b"" if self.fault is not None else data), rest

    def finish(self) -> None:
        """The last chunk has ended: a CR that nothing follows is a bare one."""
        if self._ends_in_cr:
            self.fault = _worse(self.fault, replies.BARE_LINE_END_IN_MESSAGE)

    def _check(self, data: bytes) -> None:
        if not data or self.binary:
            return
        is_broken = False
        begins, ends = 0, len(data)
        if self._ends_in_cr:
            #  The CR at the end of the last piece must find its LF here.
            is_broken = data[0] != 10
            begins = 1
        self._ends_in_cr = data[-1] == 13
        if self._ends_in_cr:
            ends -= 1
        if is_broken or not has_only_crlf(data[begins:ends]):
            self.fault = _worse(self.fault, replies.BARE_LINE_END_IN_MESSAGE)
        elif b"\0" in data:
            self.fault = _worse(self.fault, replies.NUL_IN_MESSAGE)
