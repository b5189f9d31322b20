"""MERCURY.INI, the configuration of Mercury/32: what of it Mercury can do, as a configuration, and what it cannot.

The file is sections in brackets with lines `Keyword : value`; "#" and ";" begin a comment. Keywords are compared
without spaces and underscores, as versions differ in them. Nothing is passed over in silence: each line is taken
over, or named in the notes with the reason. Pure. Not here: what is proposed (proposal.py), files and the command
line (config_import.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_network, summarize_address_range

#  What has no counterpart: section, beginning of the keyword ("" for all of the section) → why, or what to use.
_NO_EQUAL = {
    "general": {
        "mailqueue": "the queue is `spool`",
        "smtpqueue": "the queue is `spool`",
        "newmailpath": "mailboxes are Maildirs, see `local.maildir`",
        "retry": "see `retry`: growing pauses up to 5 days, unless said otherwise",
        "timezone": "the host's own",
        "log": "events go to the journal, see docs/events.md",
    },
    "mercurys": {
        "relay": "here nobody may relay but clients in `sites.*.networks`, and logins",
        "strictrelay": "here nobody may relay but clients in `sites.*.networks`, and logins",
        "timeout": "see `receive.limits.idle`",
        "ssl": "certificates are `tls`, in PEM; STARTTLS is then offered at each port",
        "certificate": "certificates are `tls`, in PEM",
        "authfile": "passwords are set anew: `mercury user passwd ADDR`",
    },
    "mercury": {
        "aliasfile": "aliases are the file `aliases` beside the configuration; see docs/from-mercury32.md",
        "synfile": "synonyms are aliases, or `local.names.first_last`",
        "listfile": "mailing lists are `local.lists`",
        "failfile": "reports have texts of their own, see `sites.*.language`",
        "confirmfile": "reports have texts of their own, see `sites.*.language`",
        "retries": "see `retry`",
        "retry": "see `retry`",
    },
    "mercuryp": {"": "Mercury has no POP3 server: let Dovecot serve the Maildirs"},
    "mercuryi": {"": "Mercury has no IMAP server: let Dovecot serve the Maildirs"},
    "mercuryd": {"": "Mercury fetches no mail by POP3: fetchmail or getmail can, and hand it to mercury-sendmail"},
    "mercuryh": {"": "there is no PH server"},
    "mercuryf": {"": "there is no finger server"},
    "mercuryx": {"": "nothing is scheduled by hours of the day but `smarthosts[].window`"},
    "mercuryb": {"": "there is no web server for mail"},
    "maiser": {"": "there are no lists by mail command: see `local.lists`"},
    "groups": {"": "a group is an alias with several addresses, in the file `aliases`"},
    "rewrite": {"": "addresses are not rewritten but by aliases"},
}
_MODULES = {
    "mercurys": "", "mercuryc": "", "mercurye": "",
    "mercuryp": "mercuryp", "mercuryi": "mercuryi", "mercuryd": "mercuryd", "mercuryh": "mercuryh",
    "mercuryf": "mercuryf", "mercuryx": "mercuryx", "mercuryb": "mercuryb",
}  # fmt: skip
_UNKNOWN = "it has no counterpart, or this program does not know it"
_MOST_NETWORKS = 64  # more of them out of one range is a slip of the pen


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    section: str  #  in small letters
    keyword: str  #  in small letters, without spaces and underscores; empty where there is no colon
    value: str

    @property
    def is_on(self) -> bool:
        return self.value.lower() in ("1", "y", "yes", "true", "on")


def read_lines(text: str) -> Iterator[Line]:
    section = ""
    for number, raw in enumerate(text.splitlines(), 1):
        line = re.sub(r"(^|\s)[#;].*", "", raw).strip()
        if found := re.fullmatch(r"\[\s*(.+?)\s*\]", line):
            section = found[1].lower()
        elif line:
            keyword, colon, value = line.partition(":" if ":" in line else "=")
            if not colon:
                keyword, value = "", line
            yield Line(number, section, re.sub(r"[\s_]", "", keyword.lower()), value.strip())


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
    known = _NO_EQUAL.get(line.section, {})
    why = next((words for start, words in known.items() if line.keyword.startswith(start)), _UNKNOWN)
    #  Never the value: it may be a password.
    draft.note(line, f"[{line.section}] {line.keyword or 'a line without a keyword'} is not taken over: {why}")


# Each takes a line of its section and says whether it could.


def _nothing(draft: Draft, line: Line) -> bool:
    return False


def _general(draft: Draft, line: Line) -> bool:
    match line.keyword:
        case "myname":
            draft.hostname = line.value
        case "postmaster":
            draft.aliases.append(f"postmaster: {line.value}")
        case _:
            return False
    return True


def _protocols(draft: Draft, line: Line) -> bool:
    """A module a line, by the name of its file; what is before a colon are switches."""
    name = re.sub(r"\.dll.*", "", (line.value or line.keyword).lower()).split("\\")[-1]
    if _MODULES.get(name):
        draft.note(line, f"module {name} is not taken over: {_NO_EQUAL[name]['']}")
    elif name in _MODULES:
        draft.modules.add(name)
    else:
        return False
    return True


def _domains(draft: Draft, line: Line) -> bool:
    """`server : domain`; `DM=user : domain` is a mailbox for a whole domain."""
    if not line.keyword or not line.value:
        return False
    if _is_domain(line.value) and line.value.lower() not in draft.domains:
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
    """`192.168.1.1-192.168.1.254`, one address, or a network; what follows behind a space are switches."""
    words = re.sub(r"\s*-\s*", "-", line.value).split()
    try:
        first, _, last = words[0].partition("-")
        if not last:
            return [str(ip_network(first, strict=False))]
        found = [str(each) for each in summarize_address_range(IPv4Address(first), IPv4Address(last))]
    except (ValueError, IndexError, TypeError):
        draft.note(line, f"{line.value!r} is no range of addresses, and not taken over")
        return []
    if len(found) > _MOST_NETWORKS:
        draft.note(line, f"{line.value} are too many networks")
        return []
    return found


_SECTIONS = {
    "general": _general,
    "protocols": _protocols,
    "domains": _domains,
    "mercuryc": _relay,
    "mercurye": _direct,
    "mercurys": _receive,
}


def _is_domain(text: str) -> bool:
    return "." in text and re.fullmatch(r"[\w.-]+", text) is not None
