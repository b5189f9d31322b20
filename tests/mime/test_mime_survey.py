"""What is converted, how, and what must go back: small messages, each saying one thing."""

from __future__ import annotations

import email
import email.policy
from email.header import decode_header, make_header

import pytest

from shared.mail.content import BytesContent
from shared.mail.envelope import Body, Envelope
from shared.mail.lacks import Lacks
from shared.mime.fitted import fit
from shared.mime.survey import MOST_PARTS, MustNotChange

SEVEN = Lacks(eight_bit=True, utf8_header=True)
UTF8 = Lacks(utf8_header=True)
BINARY = Lacks(binary=True)


def envelope(body: Body = Body.EIGHT_BIT) -> Envelope:
    return Envelope("0T3H-7K2V", None, (), 0.0, body=body, smtputf8=True)


def fitted(message: bytes | str, lacks: Lacks = SEVEN) -> bytes:
    raw = message.replace("\n", "\r\n").encode() if isinstance(message, str) else message
    _, content = fit(envelope(), BytesContent(raw), lacks)
    out = b"".join(content.chunks())
    assert content.size == len(out) and content.head() == out[: len(content.head())]
    if not content.is_changed:
        assert out == raw
    if lacks.eight_bit:
        assert out.isascii()
    return out


def refused(message: bytes | str, lacks: Lacks = SEVEN) -> str:
    with pytest.raises(MustNotChange) as caught:
        fitted(message, lacks)
    reply = caught.value.reply
    return f"{reply.code} {reply.enhanced} {reply.text}"


def test_text_with_a_charset_becomes_quoted_printable() -> None:
    text = "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nGrüße = gut \n"
    assert fitted(text) == (
        b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe =3D gut=20\r\n"
    )


@pytest.mark.parametrize(
    ("body", "charset"), [("Grüße\r\n".encode(), b"utf-8"), (b"Gr\xfc\xdfe\r\n", b"unknown-8bit")]
)
def test_text_without_any_mime_is_labelled(body: bytes, charset: bytes) -> None:
    """UTF-8 is recognised by being valid; the rest gets the name that RFC 1428 has for it: nothing is made up."""
    out = fitted(b"Subject: x\r\n\r\n" + body)
    assert b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=" + charset + b"\r\n" in out
    assert email.message_from_bytes(out).get_payload(decode=True) == body


def test_a_type_without_a_charset_is_left_as_the_sender_gave_it() -> None:
    out = fitted("Content-Type: text/html\n\n<p>Grüße\n")
    assert out.startswith(b"Content-Type: text/html\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: q")


def test_what_is_not_mostly_ascii_or_no_text_becomes_base64() -> None:
    assert b"Content-Transfer-Encoding: base64" in fitted(
        "Subject: x\n\nЗдравствуйте, Анна!\n Как дела? Всё хорошо.\n"
    )
    assert b"Content-Transfer-Encoding: base64" in fitted(
        "Content-Type: application/x-y\n\nan ü and much that is ASCII\n"
    )


MIXED = """MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b=_1"
Content-Transfer-Encoding: 8bit

A preamble für alte Leser.
--b=_1
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Grüße
--b=_1
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain

ASCII only
--inner

без типа
--inner--
--b=_1
Content-Type: message/rfc822
Content-Transfer-Encoding: 8bit

Subject: Ünder
Content-Type: text/plain; charset=utf-8

Wörter
--b=_1--
ein Nachwört
"""


def test_every_part_by_itself_and_nothing_else() -> None:
    out = fitted(MIXED)
    assert b"A preamble f??r alte Leser." in out and b"ein Nachw??rt" in out
    assert b"8bit" not in out and b"--inner\r\nContent-Type: text/plain\r\n\r\nASCII only\r\n--inner" in out
    parts = [part for part in email.message_from_bytes(out).walk() if not part.is_multipart()]
    assert [part.get_payload(decode=True) for part in parts] == [
        "Grüße".encode(), b"ASCII only", "без типа".encode(), "Wörter".encode()
    ]  # fmt: skip
    inner = email.message_from_bytes(out, policy=email.policy.default).get_payload(2).get_payload(0)
    assert inner["Subject"] == "Ünder" and inner["MIME-Version"] == "1.0"


def test_ascii_mail_stays_whatever_its_labels_and_signatures_say() -> None:
    raw = "DKIM-Signature: v=1\nContent-Type: multipart/mixed; boundary=x\nContent-Transfer-Encoding: 8bit\n\n--x\n\na\n--x--\n"
    assert fitted(raw) == raw.replace("\n", "\r\n").encode()


SIGNED = (
    "Content-Type: multipart/signed; boundary=s\n\n--s\nContent-Type: text/plain\n\n{}\n--s\n\nsignature\n--s--\n"
)


def test_signed_mail_goes_back_and_says_so() -> None:
    assert refused("DKIM-Signature: v=1; d=a.example\n\nGrüße\n") == (
        "554 5.6.2 The next server takes no 8-bit mail (8BITMIME), and the message is signed (DKIM): "
        "a conversion would break the signature"
    )
    assert refused(SIGNED.format("Grüße")).startswith("554 5.6.2")
    #  Its subject is not signed; and what is signed is ASCII, as RFC 1847 §2.1 has it.
    out = fitted("Subject: Grüße\n" + SIGNED.format("Gruesse"))
    assert SIGNED.format("Gruesse").replace("\n", "\r\n").encode() in out


def test_signatures_that_a_conversion_does_not_touch() -> None:
    opaque = b"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: binary\r\n\r\n\x30\x80\0\n\r\xff"
    out = fitted(opaque, Lacks(True, True, True))
    assert email.message_from_bytes(out).get_payload(decode=True) == b"\x30\x80\0\n\r\xff"
    enclosed = "Content-Type: message/rfc822\n\nDKIM-Signature: v=1\nContent-Type: text/plain\n\nGrüße\n"
    assert b"Gr=C3=BC=C3=9Fe" in fitted(enclosed)


def test_a_report_brings_back_what_could_not_be_sent_on() -> None:
    """The copy in it is for reading: its signature counts no more, and a header without a sound form is said as text."""
    text = "Content-Type: multipart/report; boundary=r\n\n--r\n\nIt failed.\n--r\nContent-Type: message/rfc822\n\n"
    out = fitted(text + "From: jürgen@hq.example\nMIME-Version: 1.0\n" + SIGNED.format("Grüße") + "--r--\n")
    assert b"Gr=C3=BC=C3=9Fe" in out


@pytest.mark.parametrize(
    "message",
    [
        "Content-Type: multipart/mixed\n\nGrüße\n",
        "Content-Type: multipart/mixed; boundary=x\n\nGrüße\n",
        "Content-Type: multipart/mixed; boundary=x\nContent-Type: text/plain\n\nGrüße\n",
        "Content-Type: multipart/mixed; boundary=x\nContent-Transfer-Encoding: base64\n\n--x\n\nGrüße\n--x--\n",
        "Content-Transfer-Encoding: base64\n\nGrüße\n",
        "Content-Type: message/delivery-status\n\nDiagnostic: Grüße\n",
        "no field at all\nSubject: x\n\nGrüße\n",
        "Content-Type: multipart/mixed; boundary=x\n\n" + "--x\n\nGrüße\n" * (MOST_PARTS + 1) + "--x--\n",
    ],
)
def test_what_readers_could_read_in_two_ways_is_not_taken_apart(message: str) -> None:
    assert refused(message).startswith("554 5.6.5")


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("Subject: Grüße aus Köln", "Grüße aus Köln"),
        ("Subject: =?utf-8?q?schon?= Grüße =?utf-8?q?da?=", "schon Grüße da"),
        ("X-Reason: überall", "überall"),
        ("From: Jörg Müller <j@hq.example>", "Jörg Müller <j@hq.example>"),
        ('From: "Müller, Jörg" <j@hq.example>, b@x.example', 'Müller, Jörg <j@hq.example>, b@x.example'),
        ("To: j@hq.example (Jörg)", "j@hq.example (Jörg)"),
        ("To: Kollegen für alle: a@x.example;", "Kollegen für alle : a@x.example;"),
        ("To: Bär <a@bär.example>", "Bär <a@xn--br-via.example>"),
        ("Date: Mon, 23 Nov 2026 12:00:00 +0000 (Köln)", "Mon, 23 Nov 2026 12:00:00 +0000 (Köln)"),
        ("Received: from a by b for <jürgen@x.example>; Mon, 23 Nov 2026 12:00:00 +0000",
         "from a by b; Mon, 23 Nov 2026 12:00:00 +0000"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("lacks", [SEVEN, UTF8])
def test_a_field_means_the_same_in_ascii(field: str, shown: str, lacks: Lacks) -> None:
    out = fitted(field + "\n\nx\n", lacks)
    assert out.isascii() and all(len(line) <= 76 for line in out.split(b"\r\n"))
    [value] = email.message_from_bytes(out).values()
    assert str(make_header(decode_header(value.replace("\r\n", "")))) == shown


@pytest.mark.parametrize(
    "field",
    ["From: jürgen@hq.example", "To: x <jürgen@hq.example>", "Message-ID: <ü@x.example>", "References: ü",
     "Date: März", "Content-Type: text/plain; ü=x"],
)  # fmt: skip
def test_a_field_that_has_no_other_spelling_goes_back(field: str) -> None:
    assert refused(field + "\n\nx\n", UTF8).startswith("554 5.6.9")


@pytest.mark.parametrize(
    "name", ["Grüße.pdf", "Ein sehr langer Name, über den man viel sagen könnte, für später.pdf"]
)
def test_a_file_name_keeps_its_letters(name: str) -> None:
    text = f'MIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\nContent-Disposition: attachment; filename="{name}"\n\nx\n'
    out = fitted(text, UTF8)
    assert email.message_from_bytes(out, policy=email.policy.default).get_filename() == name


def test_only_what_the_server_lacks_is_converted() -> None:
    text = "Subject: Grüße\nContent-Type: text/plain; charset=utf-8\n\nGrüße\n"
    assert fitted(text, UTF8).endswith("\r\n\r\nGrüße\r\n".encode())
    assert fitted(text, BINARY) == text.replace("\n", "\r\n").encode()


def test_binary_parts_alone_are_encoded_for_a_server_that_takes_eight_bits() -> None:
    raw = (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        b"--x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n"
        b"--x\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n\x89PNG\r\n\x1a\n\0\r\n--x--\r\n"
    )
    out = fitted(raw, BINARY)
    assert b"\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n--x" in out and b"binary" not in out
    assert email.message_from_bytes(out).get_payload(1).get_payload(decode=True) == b"\x89PNG\r\n\x1a\n\0"
    plain = b"Subject: x\r\n\r\n" + b"y" * 999 + b"\r\n"
    assert email.message_from_bytes(fitted(plain, BINARY)).get_payload(decode=True) == b"y" * 999 + b"\r\n"


def test_no_delimiter_comes_about_in_converted_text() -> None:
    long = "ü" + "x" * 71 + "--b" + "-" * 200
    out = fitted(f"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\n{long}\n--b--\n")
    [part] = email.message_from_bytes(out).get_payload()
    assert part.get_payload(decode=True) == long.encode()
    assert all(len(line) <= 76 for line in out.split(b"\r\n"))
    tricky = 'Content-Type: multipart/mixed; boundary="b=3D"\n\n--b=3D\nContent-Type: text/plain\n\nü\n--b=\nend\n--b=3D--\n'
    [part] = email.message_from_bytes(fitted(tricky)).get_payload()
    assert part.get_payload(decode=True) == "ü\r\n--b=\r\nend".encode()


def test_the_envelope_says_what_it_has_become() -> None:
    content = BytesContent("Subject: ü\r\n\r\nü\r\n".encode())
    assert [fit(envelope(), content, lacks)[0].body for lacks in (SEVEN, UTF8, BINARY)] == [
        "7BIT",
        "8BITMIME",
        "8BITMIME",
    ]
    assert [fit(envelope(), content, lacks)[0].smtputf8 for lacks in (SEVEN, UTF8, BINARY)] == [False, False, True]
