"""Names that come out of the DNS: any octets may stand there, so they are checked before they leave the room.

A name that passes can be written into a log, a path, an SMTP command or a certificate check as it is.
RFC 1123 §2.1 and RFC 5321 §2.3.5 say what a host name is; RFC 1035 §2.3.4 how long.
"""

from __future__ import annotations

import ipaddress
import re

import dns.exception
import dns.name

from shared.mail.address import AddressError, to_ascii

#  RFC 1123 §2.1   letters, digits and hyphens, no hyphen at either end. An underscore is no host name: some send it,
#  yet no certificate may hold it and no peer of ours asks for it.
_LABEL = re.compile(rb"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
LONGEST_NAME = 255  #  octets on the wire, RFC 1035 §2.3.4


def host_name(name: dns.name.Name) -> str | None:
    """`name` as text in lower case without the last dot; `.` for the root; None when it is no host name."""
    labels = [label.lower() for label in name.labels if label]
    if not labels:
        return "."
    if not all(map(_LABEL.match, labels)) or labels[-1].isdigit():
        # A last label of digits would be read as an IP address further on (RFC 3696 §2).
        return None
    return b".".join(labels).decode("ascii")


def question_name(text: str) -> dns.name.Name | None:
    """The name to ask for, absolute, in A-labels; None when `text` cannot be a name in the DNS."""
    try:
        name = dns.name.from_text(to_ascii(text.rstrip(".") if text != "." else text), dns.name.root)
    except (AddressError, dns.exception.DNSException, UnicodeError):
        return None
    return name if len(name.to_wire() or b"") <= LONGEST_NAME and host_name(name) not in (None, ".") else None


def literal_address(text: str) -> str | None:
    """The IP address in `text` in its short form, or None when it is none (a zone index makes it none)."""
    if text[-1:].isalpha() and ":" not in text:
        return None  #  a name, nearly always; to find that out from the exception takes twenty times as long
    try:
        return None if "%" in text else ipaddress.ip_address(text).compressed
    except ValueError:
        return None
