"""The arguments of MAIL and RCPT: paths and parameters (RFC 5321 §4.1.2, RFC 1870, 3461, 6152, 6531, 8689, 4954).

Here bytes become values or a SyntaxFault that carries its reply. Not here: Mailbox itself (shared/mail/address.py),
which verb may come when (server.py).
"""

from __future__ import annotations

import re
from functools import lru_cache

from shared.mail.address import LONGEST_PATH, Address, AddressError, parse_address, parse_domain
from shared.mail.envelope import Body, Notify, Return
from shared.mail.reply import Reply
from shared.smtp import replies
from shared.smtp.events import RecipientGiven, SenderGiven

#  RFC 5321 §4.1.2   esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
#                    esmtp-value   = 1*(%d33-60 / %d62-126)
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9\-]*)(?:=([\x21-\x3c\x3e-\x7e\u0080-\U0010ffff]+))?\Z")
#  RFC 1870 §3       size-value ::= 1*20DIGIT
_SIZE = re.compile(r"[0-9]{1,20}\Z")
#  RFC 3461 §4       xtext = *( xchar / hexchar ); hexchar = "+" and two upper case hexadecimal digits
_XTEXT = re.compile(r"(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})+\Z")
_HEXCHAR = re.compile(r"\+([0-9A-F]{2})")
#  RFC 3461 §4.2     original-recipient-address = addr-type ";" xtext; RFC 6533 §3 adds utf-8-addr-xtext for utf-8.
_ORIGINAL = re.compile(r"([A-Za-z0-9\-]{1,40});(.+)\Z")
_UTF8_ORIGINAL = re.compile(
    r"(?:[\x21-\x2a\x2c-\x3c\x3e-\x5b\x5d-\x7e\u0080-\U0010ffff]|\\x\{[0-9A-F]{2,6}\}|\+[0-9A-F]{2})+\Z"
)
LONGEST_ENVID = 100  #  characters, RFC 3461 §4.4
LONGEST_ORCPT = 500  #  characters, RFC 3461 §4.2


class SyntaxFault(Exception):
    """The command is malformed; `reply` says so."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


def _fault(code: int, enhanced: str, text: str) -> SyntaxFault:
    return SyntaxFault(Reply(code, enhanced, text))


def parse_mail(argument: str, home: str = "") -> SenderGiven:
    """`FROM:<reverse-path> [parameters]`. `home`: the domain of an address without one. Raises SyntaxFault."""
    path, rest = _split_path(argument, "FROM:", "Say MAIL FROM:<sender@example.org>, or MAIL FROM:<> for a report")
    given = _parameters(rest, _MAIL_PARAMETERS)
    try:
        sender = _parse_path(path, home) if path else None
    except AddressError as error:
        raise _fault(553, "5.1.7", f"Bad sender address: {error}")
    if sender is not None and not sender.is_ascii and "SMTPUTF8" not in given:
        raise SyntaxFault(replies.UTF8_WANTED)
    if not given:
        return SenderGiven(sender)
    return SenderGiven(
        sender,
        _parse_size(given["SIZE"]) if "SIZE" in given else None,
        _parse_body(given["BODY"]) if "BODY" in given else Body.SEVEN_BIT,
        "SMTPUTF8" in given,
        "REQUIRETLS" in given,
        _parse_return(given["RET"]) if "RET" in given else None,
        _parse_envid(given["ENVID"]) if "ENVID" in given else "",
    )


def parse_rcpt(argument: str, smtputf8: bool, home: str = "") -> RecipientGiven:
    """`TO:<forward-path> [parameters]`. `home`: the domain of an address without one. Raises SyntaxFault."""
    path, rest = _split_path(argument, "TO:", "Say RCPT TO:<recipient@example.org>")
    given = _parameters(rest, _RCPT_PARAMETERS)
    if path.lower() == "postmaster":
        recipient = Address("postmaster", "")  #  RFC 5321 §4.5.1: always accepted without a domain
    else:
        try:
            recipient = _parse_path(path, home)
        except AddressError as error:
            raise _fault(553, "5.1.3", f"Bad recipient address: {error}")
    if not recipient.is_ascii and not smtputf8:
        raise SyntaxFault(replies.UTF8_WANTED)
    if not given:
        return RecipientGiven(recipient)
    return RecipientGiven(
        recipient,
        _parse_notify(given["NOTIFY"]) if "NOTIFY" in given else (),
        _parse_original(given["ORCPT"]) if "ORCPT" in given else "",
    )


def decode_xtext(text: str) -> str:
    """The characters that xtext stands for (RFC 3461 §4). `text` has been through `_XTEXT`."""
    return _HEXCHAR.sub(lambda found: chr(int(found[1], 16)), text)


def _split_path(argument: str, keyword: str, usage: str) -> tuple[str, str]:
    """The text between the angle brackets, and what follows them."""
    size = len(keyword)
    if argument[:size].upper() != keyword:
        raise _fault(501, "5.5.4", usage)
    text = argument[size:].lstrip(" ")
    if text[:1] != "<":
        raise _fault(501, "5.5.4", f"The address must stand in angle brackets: {usage}")
    end = text.find(">") if '"' not in text else _end_of_quoted_path(text)
    if end < 0:
        raise _fault(501, "5.5.4", f"The address has no closing angle bracket: {usage}")
    rest = text[end + 1 :]
    if rest and rest[0] != " ":
        raise _fault(501, "5.5.4", "After the closing angle bracket comes a space or nothing")
    path = text[1:end]
    if len(path) > LONGEST_PATH * 4 or len(path.encode("utf-8")) > LONGEST_PATH - 2:
        raise _fault(501, "5.1.3" if keyword == "TO:" else "5.1.7", "The path is longer than 256 octets")
    return path, rest


def _end_of_quoted_path(text: str) -> int:
    """Where the closing bracket stands when a `>` may also stand between quotes."""
    quoted = False
    position = 1
    while position < len(text):
        character = text[position]
        if quoted and character == "\\":
            position += 1
        elif character == '"':
            quoted = not quoted
        elif character == ">" and not quoted:
            return position
        position += 1
    return -1


@lru_cache(maxsize=8192)
def _parse_path(path: str, home: str) -> Address:
    """RFC 5321 §4.1.2  Path = "<" [ A-d-l ":" ] Mailbox ">"; a source route is read and ignored (appendix C)."""
    if path.startswith("@"):
        route, colon, path = path.partition(":")
        if not colon:
            raise AddressError("the source route has no colon and no mailbox behind it")
        for hop in route.split(","):
            if not hop.startswith("@"):
                raise AddressError("the source route is malformed")
            parse_domain(hop[1:])
    if home and "@" not in path:
        path = f"{path}@{home}"  #  RFC 6409 §4.2: only where our own people submit
    return parse_address(path)


_MAIL_PARAMETERS = {
    "SIZE": True,
    "BODY": True,
    "RET": True,
    "ENVID": True,
    "AUTH": True,
    "SMTPUTF8": False,
    "REQUIRETLS": False,
}
_RCPT_PARAMETERS = {"NOTIFY": True, "ORCPT": True}


def _parameters(rest: str, known: dict[str, bool]) -> dict[str, str]:
    """Keyword to value; `known` says which keywords there are and whether they take a value."""
    given: dict[str, str] = {}
    if not rest:
        return given
    for word in rest.split(" "):
        if not word:
            continue
        found = _PARAMETER.match(word)
        if not found:
            raise _fault(501, "5.5.4", "A parameter is malformed; it is KEYWORD or KEYWORD=value")
        keyword, value = found[1].upper(), found[2]
        if keyword not in known:
            raise _fault(555, "5.5.4", f"The parameter {keyword[:40]} is not known here")
        if keyword in given:
            raise _fault(501, "5.5.4", f"The parameter {keyword} is given twice")
        if (value is not None) != known[keyword]:
            raise _fault(501, "5.5.4", f"The parameter {keyword} takes {'a' if known[keyword] else 'no'} value")
        if value is not None and not value.isascii() and keyword != "ORCPT":
            raise _fault(501, "5.5.4", f"The value of {keyword} is not ASCII")
        given[keyword] = value or ""
    if "AUTH" in given:
        _check_auth(given["AUTH"])
    return given


def _parse_size(value: str) -> int:
    if not _SIZE.match(value):
        raise _fault(501, "5.5.4", "SIZE takes a decimal number of octets")
    return int(value)


def _parse_body(value: str) -> Body:
    try:
        return Body(value.upper())
    except ValueError:
        raise _fault(501, "5.5.4", "BODY is 7BIT, 8BITMIME or BINARYMIME")


def _parse_return(value: str) -> Return:
    try:
        return Return(value.upper())
    except ValueError:
        raise _fault(501, "5.5.4", "RET is FULL or HDRS")


def _parse_envid(value: str) -> str:
    #  The decoded value goes into the header of a report, so it must be printable (RFC 3461 §4.4).
    if len(value) > LONGEST_ENVID or not _XTEXT.match(value) or not _is_printable(decode_xtext(value)):
        raise _fault(501, "5.5.4", "ENVID takes at most 100 characters of printable xtext")
    return value


def _parse_notify(value: str) -> tuple[Notify, ...]:
    try:
        wishes = tuple(Notify(word) for word in value.upper().split(","))
    except ValueError:
        raise _fault(501, "5.5.4", "NOTIFY is NEVER, or a list of SUCCESS, FAILURE, DELAY")
    if len(set(wishes)) != len(wishes) or (Notify.NEVER in wishes and len(wishes) > 1):
        raise _fault(501, "5.5.4", "NOTIFY=NEVER stands alone, and no word comes twice")
    return wishes


def _parse_original(value: str) -> str:
    """ORCPT as it came; what it decodes to must be printable, since reports repeat it (RFC 3461 §4.2)."""
    found = _ORIGINAL.match(value) if len(value) <= LONGEST_ORCPT else None
    if found and found[1].lower() == "utf-8":
        well_formed = _UTF8_ORIGINAL.match(found[2]) is not None and decode_xtext(found[2]).isprintable()
    else:
        well_formed = bool(found and _XTEXT.match(found[2]) and _is_printable(decode_xtext(found[2])))
    if not well_formed:
        raise _fault(501, "5.5.4", "ORCPT takes type;address in printable xtext, as in rfc822;anna@example.org")
    return value


def _check_auth(value: str) -> None:
    """RFC 4954 §5: AUTH=<> or xtext of a mailbox. No right follows from it, so it is checked and not kept."""
    if value != "<>" and not (_XTEXT.match(value) and _is_printable(decode_xtext(value))):
        raise _fault(501, "5.5.4", "AUTH takes <> or a mailbox in xtext")


def _is_printable(text: str) -> bool:
    return text.isascii() and text.isprintable()
