"""Which requests are let in at all, and the headers that every answer has. Pure.

A browser on this host can be made to send requests by any page it shows. So a request must call us by a name of
ours (a foreign name that leads to 127.0.0.1 does not), and must not come from another page: its Origin is its Host,
and if it changes something it brings the token of the login (session.py).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

#  Nothing from anywhere but here, no script but our file, no way for text to become markup, no frame around us.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
TOKEN = "x-mercury-token"

_OWN_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?\Z")


def is_our_name(host: str | None, names: Collection[str]) -> bool:
    """Whether the Host field calls us by one of `names` or as this host; the port is up to who forwards."""
    found = _HOST.match(host or "")
    if not found:
        return False
    name = found[1].lower()
    return name in _OWN_NAMES or name.rstrip(".") in names or name.strip("[]") in names


def is_from_elsewhere(host: str, origin: str | None, site: str | None, is_change: bool) -> bool:
    """By Origin and Sec-Fetch-Site. What changes something must say where it comes from."""
    if site is not None and site not in ("same-origin", "none"):
        return True
    if origin is None:
        return is_change
    try:
        return urlsplit(origin).netloc.lower() != host.lower()
    except ValueError:
        return True
