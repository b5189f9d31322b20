"""MERCURY.INI, the configuration of Mercury/32: what of it Mercury can do, as a configuration, and what it cannot.

The file is sections in brackets with lines `Keyword : value`; "#" begins a comment anywhere, ";" at the beginning of
a line. Keywords are compared without spaces and underscores, as versions differ in them. Nothing is passed over in
silence: each line is taken over, or named in the notes with the reason. Pure. Not here: the words that are left
(mercury_words.py), what is proposed (proposal.py), files and the command line (config_import.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field
from ipaddress import IPv4Address, ip_network, summarize_address_range

from shared.admin.mercury_words import MODULES, NO_EQUAL, OF_NO_MATTER, OURS
from shared.mail.record import dataclass

_MOST_NETWORKS = 64  # more of them out of one range is a slip of the pen


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    section: str  #  in small letters
    keyword: str  #  in small letters, without spaces and underscores; empty where there is no colon
    value: str
    heading: str = ""
    word: str = ""
    """Section and keyword as the file has them."""

    @property
    def is_on(self) -> bool:
        return self.value.lower() in ("1", "y", "yes", "true", "on")


def decode(octets: bytes) -> str:
    """The text of a file by programs of several decades: UTF-8 or UTF-16 of today's editors, or a code page.

    Windows wrote 1252; octets that it does not have can only be DOS's 437 or its kin. A wrong guess spoils an accent
    and no host name. Ctrl-Z ends a file of DOS.
    """
    if octets.startswith((b"\xff\xfe", b"\xfe\xff")):
        return octets.decode("utf-16", "replace")
    octets = octets.partition(b"\x1a")[0]
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return octets.decode(encoding)
        except UnicodeDecodeError:
            continue
    return octets.decode("cp437")


def read_lines(text: str) -> Iterator[Line]:
    section = heading = ""
    #  Not splitlines(), which knows more ends of lines than an editor counts.
    for number, raw in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        line = re.sub(r"#.*|^\s*;.*", "", raw).strip()
        if found := re.fullmatch(r"\[\s*(.+?)\s*\]", line):
            heading, section = found[1], found[1].lower()
        elif line:
            keyword, colon, value = line.partition(":" if ":" in line else "=")
            if not colon:
                keyword, value = "", line
            word = keyword.strip()
            yield Line(number, section, re.sub(r"[\s_]", "", word.lower()), value.strip(), heading, word)


@dataclass(slots=True)
class Draft:
    """What was understood: words of the file, by what they mean to us."""

    hostname: str = ""
    domains: list[str] = field(default_factory=list)
    modules: set[str] = field(default_factory=set)
    smarthosts: list[str] = field(default_factory=list)
    port: str = ""
    login: str = ""
    helo: str = ""
    servers: list[str] = field(default_factory=list)
    listen: dict[str, str] = field(default_factory=dict)
    size: str = ""
    networks: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)
    """Lines for aliases(5)."""
    notes: list[tuple[int, str]] = field(default_factory=list)
    left: dict[tuple[str, str], list[Line]] = field(default_factory=dict)
    """Lines that are not taken over, by section and reason; the reason is empty where the word is not known."""
    of_no_matter: list[int] = field(default_factory=list)
    """Numbers of lines that say how that program works and nothing about mail."""

    def note(self, line: Line, words: str) -> None:
        self.notes.append((line.number, words))


def read_ini(text: str) -> Draft:
    draft = Draft()
    for line in read_lines(text):
        take = _SECTIONS.get(line.section, _nothing)
        if not take(draft, line):
            _leave(draft, line)
    return draft


def _leave(draft: Draft, line: Line) -> None:
    if line.keyword in OF_NO_MATTER.get(line.section, ()):
        draft.of_no_matter.append(line.number)
        return
    known = NO_EQUAL.get(line.section, {})
    why = next((words for start, words in known.items() if line.keyword.startswith(start)), "")
    draft.left.setdefault((line.heading, why), []).append(line)


# Each takes a line of its section and says whether it could.


def _nothing(draft: Draft, line: Line) -> bool:
    return False


def _general(draft: Draft, line: Line) -> bool:
    match line.keyword:
        case "myname":
            draft.hostname = line.value
        case _:
            return _postmaster(draft, line)
    return True


def _postmaster(draft: Draft, line: Line) -> bool:
    """In [Mercury] since version 3, before in [General]."""
    if line.keyword != "postmaster" or not line.value:
        return False
    draft.aliases.append(f"postmaster: {line.value}")
    return True


def _protocols(draft: Draft, line: Line) -> bool:
    """A module a line, by the name of its file; what is before a colon are switches."""
    name = re.sub(r"\.dll.*", "", (line.value or line.keyword).lower()).split("\\")[-1]
    if name in OURS:
        draft.modules.add(name)
    elif name in MODULES:
        draft.note(line, f"module {name} is not taken over: {NO_EQUAL[name]['']}")
    else:
        return False
    return True


def _domains(draft: Draft, line: Line) -> bool:
    """`server : domain`; `DM=user : domain` is a mailbox for a whole domain."""
    if not line.keyword or not line.value:
        return False
    if line.value.startswith("["):
        draft.note(line, f"{line.value} needs no line: mail to the address of this host itself is taken")
    elif _is_domain(line.value) and line.value.lower() not in draft.domains:
        draft.domains.append(line.value.lower())
    elif not _is_domain(line.value) and line.value != draft.hostname:
        draft.note(line, f"{line.value} is no domain that mail is sent to from outside, and not taken over")
    if line.keyword.startswith("dm="):
        draft.aliases.append(f"@{line.value.lower()}: {line.keyword.removeprefix('dm=')}")
    return True


def _relay(draft: Draft, line: Line) -> bool:
    match line.keyword:
        case "host" | "smarthost":
            draft.smarthosts += [host for host in re.split(r"[;,\s]+", line.value) if host]
        case "port" | "tcpport" | "tcp/ipport":
            draft.port = line.value
        case "helo":
            draft.helo = line.value
        case "username" | "authuser":
            draft.login = line.value
        case "password" | "authpassword":
            pass  # said once, at the end; its value is nobody's business
        case "sslmode" | "ssl" | "sslencryption":
            if line.value == "0":
                draft.note(
                    line, "without TLS before; `smarthosts[].tls` is verify now. Say opportunistic if it has none"
                )
        case _:
            return False
    return True


def _direct(draft: Draft, line: Line) -> bool:
    match line.keyword:
        case "nameservers" | "dnsservers" | "nameserver":
            draft.servers += [server for server in re.split(r"[;,\s]+", line.value) if server]
        case "helo":
            draft.note(line, f"MercuryE greets with `hostname`, not with {line.value}")
        case _:
            return False
    return True


def _receive(draft: Draft, line: Line) -> bool:
    match line.keyword:
        case "tcpport" | "port" | "alternateport" | "altport" | "sslport" | "interface" | "ipinterface":
            draft.listen[re.sub(r"^tcp|^ip|ernate", "", line.keyword)] = line.value
        case "size" | "maxsize" | "maximumsize":
            draft.size = line.value if line.value != "0" else ""
        case "allow":
            draft.networks += _networks(draft, line)
        case "refuse":
            draft.refused += _networks(draft, line)
        case "smtpauthentication":
            if line.is_on:
                draft.note(line, "people log in with `mercury user passwd ADDR`, on port 587, and need `tls`")
        case _:
            return False
    return True


def _networks(draft: Draft, line: Line) -> list[str]:
    """`192.168.1.1-192.168.1.254`, one address, or a network; what follows behind a space or comma are switches."""
    words = re.sub(r"\s*-\s*", "-", line.value).replace(",", " ").split()
    try:
        first, _, last = words[0].partition("-")
        if not last:
            return [str(ip_network(first, strict=False))]
        low, high = IPv4Address(first), IPv4Address(last)
        if whole := _whole_network(low, high):
            return [whole]
        found = [str(each) for each in summarize_address_range(low, high)]
    except (ValueError, IndexError, TypeError):
        draft.note(line, f"{line.value!r} is no range of addresses, and not taken over")
        return []
    if len(found) > _MOST_NETWORKS:
        draft.note(line, f"{line.value} are too many networks")
        return []
    return found


def _whole_network(low: IPv4Address, high: IPv4Address) -> str:
    """`192.168.1.1-192.168.1.254` is meant as 192.168.1.0/24: no client has the first or the last address of it."""
    if low < high and int(low) % 2 == 1 and int(high) < 0xFFFFFFFF:
        spans = list(summarize_address_range(low - 1, high + 1))
        return str(spans[0]) if len(spans) == 1 else ""
    return ""


_SECTIONS = {
    "general": _general,
    "mercury": _postmaster,
    "protocols": _protocols,
    "domains": _domains,
    "mercuryc": _relay,
    "mercurye": _direct,
    "mercurys": _receive,
}


def _is_domain(text: str) -> bool:
    return "." in text and re.fullmatch(r"[\w.-]+", text) is not None
