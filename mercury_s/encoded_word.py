"""Encoded words (RFC 2047 §2): what a Subject says when a mail program shows it.

Bounded and forgiving: what is malformed, or in a character set not listed here, stays as it stands.
"""

from __future__ import annotations

import binascii
import re

#  RFC 2047 §2   encoded-word = "=?" charset "?" encoding "?" encoded-text "?="; RFC 2231 §5 adds "*" language.
_WORD = re.compile(r"=\?([!-)+->@-~]{1,40})(?:\*[!->@-~]{0,40})?\?([BbQq])\?([!->@-~ ]{0,1000})\?=")
#  White space between two encoded words is not shown.
_BETWEEN = re.compile(r"(\?=)[ \t]+(?==\?)")
#  Python knows codecs that are no character sets, and slow ones: only those that mail is written in.
_CHARSETS = frozenset(
    ["us-ascii", "ascii", "utf-8", "koi8-r", "koi8-u", "big5", "gb2312", "gbk", "gb18030", "euc-jp", "euc-kr",
     "ks_c_5601-1987", "shift_jis", "iso-2022-jp", "iso-2022-kr"]
    + [f"iso-8859-{number}" for number in range(1, 17) if number != 12]
    + [f"windows-{number}" for number in range(1250, 1259)]
)  # fmt: skip


def decode_words(text: str) -> str:
    """`text` with its encoded words decoded."""
    if "=?" not in text:
        return text
    return _WORD.sub(_decode, _BETWEEN.sub(r"\1", text))


def _decode(found: re.Match[str]) -> str:
    charset, encoding, encoded = found[1].lower(), found[2].upper(), found[3]
    if charset not in _CHARSETS:
        return found[0]
    try:
        if encoding == "B":
            octets = binascii.a2b_base64(encoded + "=" * (-len(encoded) % 4))
        else:
            octets = binascii.a2b_qp(encoded, header=True)
        return octets.decode(charset, "replace")
    except (binascii.Error, ValueError):
        return found[0]
