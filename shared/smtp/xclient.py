"""XCLIENT as Postfix has it (its XCLIENT_README): a peer that is believed says for whom it speaks.

    xclient = "XCLIENT" 1*( SP attribute "=" xtext ); [UNAVAILABLE] and [TEMPUNAVAIL] are values that are not known

Who is believed is decided above. LOGIN, DESTADDR and DESTPORT are not taken.
"""

from __future__ import annotations

import ipaddress

from shared.mail.reply import Reply
from shared.smtp.events import ClientIntroduced
from shared.smtp.grammar import SyntaxFault, decode_xtext

ATTRIBUTES = ("NAME", "ADDR", "PORT", "PROTO", "HELO")

_UNKNOWN = ("[UNAVAILABLE]", "[TEMPUNAVAIL]")
_LONGEST = 255


def parse_xclient(argument: str) -> ClientIntroduced:
    """Raises SyntaxFault."""
    values: dict[str, str] = {}
    for word in argument.split(" "):
        name, equals, value = word.partition("=")
        name = name.upper()
        if name not in ATTRIBUTES or not equals or name in values:
            raise _fault(f"XCLIENT takes {', '.join(ATTRIBUTES)}, each once, as NAME=value")
        values[name] = "" if value.upper() in _UNKNOWN else _text(value)
    if values.get("PROTO", "").upper() not in ("", "SMTP", "ESMTP"):
        raise _fault("PROTO is SMTP or ESMTP")
    port = values.get("PORT", "")
    if port and not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise _fault("PORT is a number up to 65535")
    address = values.get("ADDR", "")
    return ClientIntroduced(_address(address) if address else "", values.get("NAME", ""), values.get("HELO", ""))


def _text(value: str) -> str:
    text = decode_xtext(value)
    if not text or len(text) > _LONGEST or not text.isascii() or not text.isprintable():
        raise _fault("the value is empty, too long or cannot be printed")
    return text


def _address(text: str) -> str:
    is_v6 = text.upper().startswith("IPV6:")
    try:
        address = ipaddress.ip_address(text[5:] if is_v6 else text)
    except ValueError:
        raise _fault("ADDR is no IP address") from None
    if (address.version == 6) is not is_v6 or "%" in text:
        raise _fault("ADDR is 192.0.2.1 or IPV6:2001:db8::1")
    return str(getattr(address, "ipv4_mapped", None) or address)


def _fault(text: str) -> SyntaxFault:
    return SyntaxFault(Reply(501, "5.5.4", text))
