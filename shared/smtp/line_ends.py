"""Line ends of message text, looked at a piece at a time and at C speed (RFC 5321 §2.3.8: CRLF and nothing else)."""

from __future__ import annotations


def has_only_crlf(data: bytes) -> bool:
    """Every CR and every LF in `data` is part of a CRLF."""
    lines = data.count(b"\n")
    if data.count(b"\r") != lines:
        return False
    if not lines:
        return True
    #  `splitlines` ends a line at CRLF, a lone CR and a lone LF. As many ends as LFs, and as CRs: none is alone.
    #  It takes half the time of counting CRLF.
    ends = len(data.splitlines())
    return (ends if data[-1] in b"\r\n" else ends - 1) == lines
