"""The address that strangers see when this host connects to them: from the kernel, or from a page that tells it.

Nobody outside is asked unless the operator names the page (preflight.echo).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import urllib.error
import urllib.request

#  Anything far away does: a datagram socket that connects sends nothing (RFC 5737, RFC 3849).
_FAR = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
_LONGEST_PAGE = 256


def source_addresses() -> tuple[str, ...]:
    """One of each family: the address that the kernel puts on connections to the Internet."""
    found = []
    for family, far in _FAR:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((far, 25))
                found.append(str(ipaddress.ip_address(probe.getsockname()[0].partition("%")[0])))
        except OSError:
            continue
    return tuple(found)


async def echoed_address(url: str, patience: float) -> str:
    """What the page says our address is. Raises OSError, ValueError; the message is printable."""
    text = await asyncio.get_running_loop().run_in_executor(None, _read, url, patience)
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        raise ValueError(f"{url} does not answer with an address") from None


def _read(url: str, timeout: float) -> str:
    #  The scheme is http or https: parse_web_url has seen to it.
    try:
        with urllib.request.urlopen(url, timeout=timeout) as page:
            return bytes(page.read(_LONGEST_PAGE)).decode("ascii", "replace")
    except urllib.error.HTTPError as error:
        raise OSError(f"{url}: status {error.code}") from None
    except urllib.error.URLError as error:
        raise OSError(f"{url}: {error.reason}") from None
