"""Line ends of message text, looked at a piece at a time and at C speed: CRLF and nothing else (RFC 5321 §2.3.8), and
a dot behind one (§4.5.2).
"""

from __future__ import annotations

import ctypes
from io import IncrementalNewlineDecoder

DOT = b"\r\n."
#  From here on asking the C library costs less than it saves.
LONG = 4096

#  What text has no line end that is not CRLF. The decoder names the kinds that it has seen, all of them at once.
_STRICT = (None, "\r\n")


def has_only_crlf(data: bytes) -> bool:
    """Every CR and every LF in `data` is part of a CRLF."""
    #  It is what universal newlines are made of in Python, and looks at each octet once; two counts and `splitlines`
    #  take three to five times as long.
    decoder = IncrementalNewlineDecoder(None, False)
    decoder.decode(data.decode("latin-1"), True)
    return decoder.newlines in _STRICT


def has_dotted_line(data: bytes) -> bool:
    """A line behind another one begins with a dot: DOT is somewhere in `data`."""
    if len(data) < LONG or b"\0" in data:
        return b"." in data and DOT in data
    #  Bytes end in a NUL that is not theirs, so it is a string to C. Where Python looks at four octets in one step,
    #  glibc looks at 64.
    return _strstr(data, DOT) is not None


#  PyDLL: nobody else runs meanwhile; a change of threads would cost more than the search.
_strstr = ctypes.PyDLL(None).strstr
_strstr.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
_strstr.restype = ctypes.c_void_p
