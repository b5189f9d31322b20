"""The letters of the demonstration: what is sent, to whom, and how each must end."""

from __future__ import annotations

import base64
import random
import smtplib
from dataclasses import dataclass
from email.utils import formatdate
from enum import Enum

OFFICE = "office.example"
CUSTOMER = "customer.example"
PARTNER = "partner.example"
ANNA = f"anna@{OFFICE}"
MAILBOXES = ("anna", "bert")
STRANGER = "nobody"
CLIENT = "laptop.office.example"
TIMEOUT = 20


class Ending(Enum):
    """How a letter must end; the value is how the view says it."""

    LOCAL = "in the mailbox here"
    SMARTHOST = "at the smarthost"
    PARTNER = "at the partner's MX"
    BOUNCED = "came back as a bounce"
    REFUSED = "refused at the door"


@dataclass(frozen=True)
class Letter:
    title: str
    recipient: str
    ending: Ending
    message: bytes
    options: tuple[str, ...] = ()
    sender: str = ANNA


@dataclass(frozen=True)
class Answer:
    """What MercuryS said: the code and text that ended the transaction, and the queue id if it took the letter."""

    code: int
    text: str
    queue_id: str = ""


def the_letters() -> tuple[Letter, ...]:
    return (
        _plain(1, "plain, to a colleague", f"bert@{OFFICE}", Ending.LOCAL),
        _with_attachment(2, f"carol@{CUSTOMER}"),
        _international(3, f"jürgen@{PARTNER}"),
        _plain(4, "end to end, to the partner", f"dora@{PARTNER}", Ending.PARTNER),
        _plain(5, "to a mailbox that is not there", f"{STRANGER}@{PARTNER}", Ending.BOUNCED),
        _plain(6, "to an unknown colleague", f"ghost@{OFFICE}", Ending.REFUSED),
    )


def message_id(number: int) -> str:
    return f"<letter-{number}@{CLIENT}>"


def _head(number: int, recipient: str, subject: str) -> str:
    return (
        f"From: Anna <{ANNA}>\r\nTo: <{recipient}>\r\nSubject: {subject}\r\n"
        f"Date: {formatdate(localtime=True)}\r\nMessage-ID: {message_id(number)}\r\nMIME-Version: 1.0\r\n"
    )


def _plain(number: int, title: str, recipient: str, ending: Ending) -> Letter:
    text = _head(number, recipient, title.capitalize()) + (
        "Content-Type: text/plain; charset=us-ascii\r\n\r\nGood morning,\r\n\r\n"
        "this came to you by way of Mercury.\r\n.a line that begins with a dot\r\n\r\nAnna\r\n"
    )
    return Letter(title, recipient, ending, text.encode())


def _with_attachment(number: int, recipient: str) -> Letter:
    #  Any octets will do, the same at every run.
    picture = base64.encodebytes(random.Random(number).randbytes(200_000)).replace(b"\n", b"\r\n")
    head = _head(number, recipient, "The drawings") + 'Content-Type: multipart/mixed; boundary="=_demo"\r\n\r\n'
    text = "--=_demo\r\nContent-Type: text/plain\r\n\r\nAs promised.\r\n"
    part = (
        "--=_demo\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
        'Content-Disposition: attachment; filename="drawings.bin"\r\n\r\n'
    )
    message = (head + text + part).encode() + picture + b"--=_demo--\r\n"
    return Letter("with an attachment, to a customer", recipient, Ending.SMARTHOST, message)


def _international(number: int, recipient: str) -> Letter:
    text = _head(number, recipient, "Grüße aus Köln ✉") + (
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        "Lieber Jürgen,\r\n\r\nalles Gute zum neuen Büro! Здравствуй, 您好.\r\n"
    )
    return Letter(
        "UTF-8 in subject and address", recipient, Ending.PARTNER, text.encode(), ("SMTPUTF8", "BODY=8BITMIME")
    )


def send(letter: Letter, address: str, port: int) -> Answer:
    """Hand the letter in over SMTP, as a mail program would. Raises OSError or SMTPException."""
    with smtplib.SMTP(address, port, local_hostname=CLIENT, timeout=TIMEOUT) as client:
        client.ehlo()
        if letter.options:
            client.command_encoding = "utf-8"
        steps = ((client.mail, letter.sender), (client.rcpt, letter.recipient))
        for step, path in steps:
            code, said = step(path, letter.options if step == client.mail else ())
            if code >= 400:
                return Answer(code, said.decode(errors="replace"))
        code, said = client.data(letter.message)
        text = said.decode(errors="replace")
        return Answer(code, text, find_queue_id(text) if code < 400 else "")


def find_queue_id(text: str) -> str:
    """The queue id in a reply: the word of the form XXXX-XXXX."""
    words = (word.strip(".,;:()[]<>") for word in text.split())
    return next((word for word in words if len(word) == 9 and word[4] == "-"), "")
