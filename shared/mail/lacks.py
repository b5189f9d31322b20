"""What a next server cannot take of a message as it is. Values only: shared/smtp finds out, shared/mime converts."""

from __future__ import annotations

from shared.mail.record import dataclass


@dataclass(frozen=True, slots=True)
class Lacks:
    """`eight_bit`: octets beyond ASCII, header included (RFC 6152). `binary`: octets that are no lines of text (RFC
    3030). `utf8_header`: UTF-8 in header fields (RFC 6531)."""

    eight_bit: bool = False
    binary: bool = False
    utf8_header: bool = False

    def __str__(self) -> str:
        if self.eight_bit:
            return "The next server takes no 8-bit mail (8BITMIME)"
        if self.binary:
            return "The next server takes no binary mail (BINARYMIME)"
        return "The next server takes no UTF-8 in the header (SMTPUTF8)"
