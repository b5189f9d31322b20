"""A dialogue as it may be shown to an operator: commands and replies, no secrets, and of the content its size alone.

What is not known to be a command is not shown: a password that comes where none is expected is counted like content.
Not here: who looks on, and which dialogues (shared/observe/tap.py).
"""

from __future__ import annotations

import base64
import binascii
from collections import deque
from enum import Enum

_VERBS = frozenset({
    b"EHLO", b"HELO", b"LHLO", b"MAIL", b"RCPT", b"DATA", b"BDAT", b"RSET", b"NOOP", b"QUIT", b"VRFY", b"EXPN",
    b"HELP", b"STARTTLS", b"AUTH", b"XCLIENT", b"ETRN", b"TURN",
})  # fmt: skip
_MECHANISMS = frozenset({
    b"PLAIN", b"LOGIN", b"CRAM-MD5", b"DIGEST-MD5", b"SCRAM-SHA-1", b"SCRAM-SHA-1-PLUS", b"SCRAM-SHA-256",
    b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-512", b"SCRAM-SHA-512-PLUS", b"XOAUTH2", b"OAUTHBEARER", b"EXTERNAL",
    b"GSSAPI", b"NTLM", b"ANONYMOUS",
})  # fmt: skip
#  Octets of a line that are shown; the longest that is waited for (RFC 4954 §4 allows 12288 in an exchange).
_SHOWN = 1000
_LONGEST = 16384
#  Secrets of an exchange that are looked for in replies, and the shortest that is worth it.
_MOST_SECRETS = 16
_SHORTEST_SECRET = 3


class _Mode(Enum):
    COMMANDS = "commands"
    LOGIN = "login"  #  until AUTH is answered
    ASKING = "asking"  #  until DATA is answered
    CONTENT = "content"  #  until the dot
    CHUNK = "chunk"  #  so many octets


class Overheard:
    """Give it every octet of either side, in the order in which they pass; it gives the lines that may be shown."""

    def __init__(self) -> None:
        self._mode = _Mode.COMMANDS
        self._owed = 1  #  Replies until the one that ends the mode; the greeting is owed.
        self._client = self._server = b""
        self._chunk = self._counted = 0
        self._tail = b"\r\n"
        self._secrets: deque[bytes] = deque(maxlen=_MOST_SECRETS)

    def client(self, data: bytes) -> list[str]:
        shown: list[str] = []
        while data:
            if self._mode in (_Mode.CHUNK, _Mode.CONTENT):
                data = self._content(data, shown)
                continue
            line, end, data = data.partition(b"\n")
            self._client += line[: _LONGEST - len(self._client)]
            if end:
                line, self._client = self._client.rstrip(b"\r"), b""
                shown.append(self._command(line))
        return shown

    def server(self, data: bytes) -> list[str]:
        lines = (self._server + data).split(b"\n")
        self._server = lines.pop()[:_LONGEST]
        return [self._reply(line.rstrip(b"\r")) for line in lines]

    def secured(self) -> None:
        """TLS begins: nothing that came before it in clear counts (RFC 3207 §4.2)."""
        self._client = self._server = b""
        self._mode, self._owed = _Mode.COMMANDS, 0

    # ---- the client's side ----

    def _command(self, line: bytes) -> str:
        if self._mode is _Mode.LOGIN:
            self._note_secret(line)
            return f"({len(line)} octets of a login, not shown)"
        if self._mode is _Mode.ASKING:
            return f"({len(line)} octets before the answer to DATA)"
        words = line.split(None, 2)
        verb = words[0].upper() if words else b""
        self._owed += 1
        if verb not in _VERBS:
            self._note_secret(line)
            return f"({len(line)} octets that are no command, not shown)"
        if verb == b"AUTH":
            return self._auth(words)
        if verb == b"DATA":
            self._mode = _Mode.ASKING
        elif verb == b"BDAT" and len(words) > 1 and words[1].isdigit() and len(words[1]) <= 18:
            self._chunk = int(words[1])
            if self._chunk:
                self._mode = _Mode.CHUNK
        return _text(line)

    def _auth(self, words: list[bytes]) -> str:
        self._mode = _Mode.LOGIN
        self._secrets.clear()
        rest = words[2] if len(words) > 2 else b""
        if len(words) < 2 or words[1].upper() not in _MECHANISMS:
            self._note_secret(b" ".join(words[1:]))
            return "AUTH (not shown)"
        self._note_secret(rest)
        more = f" ({len(rest)} octets, not shown)" if rest else ""
        return f"AUTH {words[1].upper().decode()}{more}"

    def _content(self, data: bytes, shown: list[str]) -> bytes:
        """What comes after it."""
        if self._mode is _Mode.CHUNK:
            taken = min(self._chunk, len(data))
            self._chunk -= taken
            self._counted += taken
            if not self._chunk:
                shown.append(self._end_content("chunk"))
            return data[taken:]
        seen = self._tail + data
        end = seen.find(b"\r\n.\r\n")
        if end < 0:
            self._counted += len(data)
            self._tail = seen[-4:]
            return b""
        rest = seen[end + 5 :]
        self._counted += len(data) - len(rest)
        shown.append(self._end_content("content"))
        self._owed += 1
        return rest

    def _end_content(self, what: str) -> str:
        counted, self._counted = self._counted, 0
        self._mode = _Mode.COMMANDS
        return f"({counted} octets of {what}, not shown)"

    # ---- the server's side ----

    def _reply(self, line: bytes) -> str:
        if line[:4] in (b"334 ", b"334"):
            self._mode = _Mode.LOGIN
            self._owed = max(self._owed, 1)
            return f"334 ({max(len(line) - 4, 0)} octets of a challenge, not shown)"
        if line[3:4] != b"-":
            self._settle(line)
        for secret in sorted(self._secrets, key=len, reverse=True):
            line = line.replace(secret, b"***")
        if self._mode is _Mode.COMMANDS and not self._owed and line[3:4] != b"-":
            self._secrets.clear()
        return _text(line)

    def _settle(self, line: bytes) -> None:
        self._owed = max(self._owed - 1, 0)
        if self._mode is _Mode.ASKING and line.startswith(b"354"):
            self._mode, self._tail = _Mode.CONTENT, b"\r\n"
        elif self._mode in (_Mode.ASKING, _Mode.LOGIN) and not self._owed:
            self._mode = _Mode.COMMANDS

    def _note_secret(self, line: bytes) -> None:
        """A server may repeat what it was told, or what that means."""
        parts = [line.strip()]
        try:
            parts += base64.b64decode(line, validate=True).split(b"\0")
        except binascii.Error:
            pass
        for part in parts:
            if len(part) >= _SHORTEST_SECRET:
                self._secrets.append(part)


def _text(line: bytes) -> str:
    more = f" ... ({len(line) - _SHOWN} octets more)" if len(line) > _SHOWN else ""
    return line[:_SHOWN].decode("utf-8", "backslashreplace") + more
