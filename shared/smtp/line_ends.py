"""Line ends of message text, looked at a piece at a time and at C speed (RFC 5321 §2.3.8: CRLF and nothing else)."""

from __future__ import annotations

from io import IncrementalNewlineDecoder

#  What text has no line end that is not CRLF. The decoder names the kinds that it has seen, all of them at once.
_STRICT = (None, "\r\n")


def has_only_crlf(data: bytes) -> bool:
    """Every CR and every LF in `data` is part of a CRLF."""
    #  It is what universal newlines are made of in Python, and looks at each octet once; two counts and `splitlines`
    #  take three to five times as long.
    decoder = IncrementalNewlineDecoder(None, False)
    decoder.decode(data.decode("latin-1"), True)
    return decoder.newlines in _STRICT
