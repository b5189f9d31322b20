"""The words of the configuration: sizes, durations, networks, domains, hosts, paths, choices.

Each `parse_*` takes what YAML gave (text or number) and raises ValueError with a sentence for the operator. The types
below them are what the models use.
"""

from __future__ import annotations

import base64
import ipaddress
import os
import re
import string
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

from shared.config.problem import shown
from shared.config.secret import credential_for
from shared.config.setting import Checked, Parsed
from shared.mail.address import AddressError, parse_domain, to_ascii
from shared.routing.table import parse_pattern

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
Word = TypeVar("Word", bound=StrEnum)
Item = TypeVar("Item")

_SIZE = re.compile(r"([0-9]+)\s*([KMGT]?)(?:i?B)?\Z", re.IGNORECASE)
_SHIFT = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|[smhdw]))+\Z")
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|[smhdw])")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LONGEST = 10 * 366 * 86400  # seconds; more is a slip of the pen


def parse_size(value: object) -> int:
    """Octets: 52428800, 512K, 50M, 2G (each step is 1024)."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value > 0:
            return value
    elif isinstance(value, str) and (found := _SIZE.match(value)) and len(found[1]) <= 15 and int(found[1]):
        return int(found[1]) << _SHIFT[found[2].upper()]
    raise ValueError(f"{shown(value)} is no size: write octets, or a number with K, M or G, like 50M")


def parse_duration(value: object) -> float:
    """Seconds: 90, 90s, 5m, 1h30m, 5d."""
    if isinstance(value, str) and _DURATION.match(value):
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(value))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value)
    else:
        raise ValueError(f"{shown(value)} is no duration: write a number with s, m, h, d or w, like 5m or 1h30m")
    if not 0 < seconds <= _LONGEST:
        raise ValueError(f"{shown(value)} is not between nothing and ten years")
    return seconds


def parse_text(value: object) -> str:
    """Text of one line. What YAML took for a number must be quoted, as its digits may not be what was written."""
    if isinstance(value, (bool, int, float)):
        raise ValueError(f"expects text; put it in quotes: '{value}'")
    if not isinstance(value, str):
        raise ValueError("expects text")
    if not value or not value.isprintable():
        raise ValueError("is empty" if not value else f"{shown(value)} holds characters that cannot be printed")
    return value


def parse_network(value: object) -> IpNetwork:
    """192.168.1.0/24, 2001:db8::/32, or one address."""
    text = parse_text(value)
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        pass
    try:
        loose = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{shown(text)} is no IP network, like 192.168.1.0/24 or 2001:db8::/32")
    raise ValueError(f"{shown(text)} has host bits set; did you mean {loose}?")


def parse_name(value: object) -> str:
    """A domain in A-labels and lower case, or an address literal."""
    text = parse_text(value)
    try:
        return to_ascii(parse_domain(text))
    except AddressError as error:
        raise ValueError(f"{shown(text)}: {error}")


def parse_hostname(value: object) -> str:
    """A host's name, which is no IP address: it stands in greetings and in Received."""
    name = parse_name(value)
    if name.startswith("[") or is_ip(name):
        raise ValueError(f"{shown(name)} is an address; a name is wanted, like mail.example.org")
    return name


def parse_host(value: object) -> str:
    """A name or an IP address to connect to, without a port."""
    text = parse_text(value)
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if is_ip(bare):
        return str(ipaddress.ip_address(bare))
    if ":" in text:
        raise ValueError(f"{shown(text)}: the host stands without its port; write the port as 'port:'")
    if re.fullmatch(r"[0-9.]+", text):
        raise ValueError(f"{shown(text)} is no IP address")
    return parse_name(text)


def parse_ip(value: object) -> str:
    text = parse_text(value)
    if not is_ip(text):
        raise ValueError(f"{shown(text)} is no IP address")
    return str(ipaddress.ip_address(text))


def parse_server(value: object) -> str:
    """`address` or `address:port` of a name server; always with its port (53 by default) in the end."""
    text = parse_text(value)
    host, port = text, "53"
    if found := re.fullmatch(r"\[(.+)\](?::([0-9]{1,5}))?|([^:]+):([0-9]{1,5})", text):
        host, port = found[1] or found[3], found[2] or found[4] or "53"
    if not is_ip(host) or not 1 <= int(port) <= 65535:
        raise ValueError(f"{shown(text)} is no IP address with or without a port, like 127.0.0.1:53 or [::1]:53")
    address = ipaddress.ip_address(host)
    return f"[{address}]:{int(port)}" if address.version == 6 else f"{address}:{int(port)}"


def parse_endpoint(value: object) -> str:
    """`host` or `host:port`, `[address]:port` for IPv6; the port is only there when it was written."""
    text = parse_text(value)
    found = re.fullmatch(r"(\[.+\]|[^:\[\]]+):([0-9]{1,5})", text)
    if not found:
        host = parse_host(text)
        return f"[{host}]" if ":" in host else host
    host, port = parse_host(found[1]), int(found[2])
    if not 1 <= port <= 65535:
        raise ValueError(f"{shown(text)}: there is no port {port}")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_route_pattern(value: object) -> str:
    text = parse_text(value)
    try:
        return parse_pattern(text)
    except AddressError as error:
        raise ValueError(f"{shown(text)}: {error}; write a domain, '*.domain', 'user@domain' or '*'")


def parse_host_pattern(value: object) -> str:
    """A host name, `*.domain` or `*`."""
    pattern = parse_route_pattern(value)
    if "@" in pattern:
        raise ValueError(f"{shown(pattern)} is an address: write the name of a mail host, '*.domain' or '*'")
    return pattern


def parse_path(value: object, folder: str) -> Path:
    """A path; a relative one counts from the folder of the file (the context's `folder`)."""
    if isinstance(value, Path):
        value = str(value)
    text = parse_text(value)
    return Path(os.path.normpath(os.path.join(folder, text)))


def parse_secret(value: object, folder: str) -> Path:
    """As parse_path; for a file that holds a secret, which may have come to this process another way."""
    return credential_for(parse_path(value, folder))


def is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def parse_pin(value: object) -> str:
    """The SHA-256 of a public key in base64, with or without `sha256/` before it."""
    text = parse_text(value).removeprefix("sha256/").removeprefix("sha256:")
    try:
        if len(base64.b64decode(text, validate=True)) == 32:
            return text
    except ValueError:
        pass
    raise ValueError(f"{shown(text)} is no pin: write the SHA-256 of the public key in base64, 44 characters")


def parse_port(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65535:
        return value
    raise ValueError(f"{shown(value)} is no port: write a number from 1 to 65535")


def parse_count(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 10_000_000:
        return value
    raise ValueError(f"{shown(value)} is no number from 1 to 10000000")


def parse_factor(value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 1 <= value <= 100:
        return float(value)
    raise ValueError(f"{shown(value)} is no number from 1 to 100")


def places_in(text: str, known: Sequence[str]) -> set[str]:
    """The names that stand in braces in `text`. Raises ValueError for one that is not known, or a form behind it."""
    try:
        braces = [part[1:] for part in string.Formatter().parse(text) if part[1] is not None]
    except ValueError:
        raise ValueError(f"{shown(text)}: a brace that does not close")
    if any(name not in known or form or bang for name, form, bang in braces):
        *others, last = (f"{{{name}}}" for name in known)
        raise ValueError(f"{shown(text)}: only {', '.join(others)} and {last} can stand in braces")
    return {str(name) for name, *_ in braces}


def parse_flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError(f"{shown(value)}: say true or false")


def parse_word(words: type[Word], elsewhere: dict[str, str] | None = None) -> Callable[[object], Word]:
    """One of the words; `elsewhere` answers those that people may expect and that we do not have."""

    def parse(value: object) -> Word:
        choices = [str(word) for word in words]
        if isinstance(value, str) and value in choices:
            return words(value)
        if isinstance(value, str) and elsewhere and value in elsewhere:
            raise ValueError(elsewhere[value])
        said = f"say {', '.join(choices[:-1])} or {choices[-1]}"
        raise ValueError(f"{shown(value)} is not possible here: {said}{did_you_mean(value, choices)}")

    return parse


def not_empty(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """An empty list says neither nobody nor everybody."""
    if not items:
        raise ValueError("the list is empty")
    return items


def did_you_mean(value: object, choices: list[str]) -> str:
    import difflib  # only when something is wrong

    close = difflib.get_close_matches(str(value).lower(), choices, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


Size = Annotated[int, Parsed(parse_size)]
Duration = Annotated[float, Parsed(parse_duration)]
Text = Annotated[str, Parsed(parse_text)]
Network = Annotated[IpNetwork, Parsed(parse_network)]
Name = Annotated[str, Parsed(parse_name)]
Hostname = Annotated[str, Parsed(parse_hostname)]
Host = Annotated[str, Parsed(parse_host)]
IpAddress = Annotated[str, Parsed(parse_ip)]
Server = Annotated[str, Parsed(parse_server)]
Endpoint = Annotated[str, Parsed(parse_endpoint)]
HostPattern = Annotated[str, Parsed(parse_host_pattern)]
Pattern = Annotated[str, Parsed(parse_route_pattern)]
File = Annotated[Path, Parsed(parse_path, in_folder=True)]
SecretFile = Annotated[Path, Parsed(parse_secret, in_folder=True)]
Pin = Annotated[str, Parsed(parse_pin)]
Port = Annotated[int, Parsed(parse_port)]
Count = Annotated[int, Parsed(parse_count)]
Factor = Annotated[float, Parsed(parse_factor)]
Several = Annotated[tuple[Item, ...], Checked(not_empty)]
Flag = Annotated[bool, Parsed(parse_flag)]
