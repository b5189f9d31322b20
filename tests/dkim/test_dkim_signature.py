"""What we sign, somebody else's verifier accepts: dkimpy, over odd messages, however their bytes are cut."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from functools import cache

import dkim
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dkim.private_key import KeyUnusable, PrivateKey, make_key, parse_private_key
from shared.dkim.relaxed import BodyHash
from shared.dkim.signature import Seal, author_domain, end_of_header, hash_body, render_signature
from shared.dkim.signed import SevenBitSigned, Signed, with_signatures
from shared.mail.content import BytesContent, SevenBit

NOW = 1_795_000_000.0
HEADER = (
    b"Received: from a by b; Mon, 23 Nov 2026 10:00:00 +0000\r\n"
    b"From: Anna <anna@hq.example>\r\nTo: x@elsewhere.example,\r\n y@elsewhere.example\r\n"
    b"Subject:  a   folded\r\n\tsubject \r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@hq.example>\r\n"
)


@cache
def key(kind: str) -> PrivateKey:
    return make_key(kind)


def seal(kind: str = "rsa") -> Seal:
    return Seal("hq.example", kind, key(kind))


def signed(message: bytes, *seals: Seal) -> bytes:
    content = BytesContent(message)
    hashed, header = hash_body(content), content.head()
    fields = b"".join(render_signature(header, hashed, each, NOW) for each in seals or (seal(),))
    return b"".join(with_signatures(content, fields).chunks())


def dnsfunc(name: bytes, timeout: int = 5) -> bytes | None:
    selector, _, domain = name.rstrip(b".").partition(b"._domainkey.")
    return key(selector.decode()).record.encode() if domain == b"hq.example" else None


def is_valid(message: bytes, index: int = 0) -> bool:
    """As it arrives: SMTP gives the last line its end, if it has none (RFC 5321 §4.1.1.4)."""
    if not message.endswith(b"\r\n"):
        message += b"\r\n"
    try:
        return bool(dkim.DKIM(message).verify(idx=index, dnsfunc=dnsfunc))
    except dkim.ValidationError:
        return False


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\r\n", b"\r\n\r\n\r\n", b" \r\n", b"\t \r\n \r\n", b"hello\r\n", b"hello", b"hello \t\r\n\r\n\r\n", b"\r\n\r\nhello\r\n",
        b" leading\r\n", b"a \t b\t\r\n\r\n  c  \r\n \t\r\n", "Grüße\r\n".encode(), b"\xff\xfe\x00\r\n", b"x" * 200_000,
        b"line\r\n" * 30_000 + b"\r\n" * 40_000, b"\r\n" * 40_000 + b"end \r\n", b" \t" * 300 + b"x\r\n",
    ],
)  # fmt: skip
def test_odd_bodies_are_signed_as_others_read_them(body: bytes) -> None:
    assert is_valid(signed(HEADER + b"\r\n" + body))


#  Without bare CR and LF: no such message is in the spool, but for binary mail.
BODIES = st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"a", b"\xe4", b".", b"  \r\n", b"-" * 70])).map(b"".join)


@given(BODIES, st.lists(st.integers(1, 9), min_size=1))
def test_any_cut_of_any_body_gives_the_same_hash(body: bytes, cuts: list[int]) -> None:
    whole, cut = BodyHash(), BodyHash()
    whole.feed(body)
    for piece in _pieces(body, cuts):
        cut.feed(piece)
    assert whole.digest() == cut.digest() == hashlib.sha256(_as_written(body)).digest()


def test_white_space_larger_than_a_piece_is_counted_and_not_kept() -> None:
    body = b" \t" * 70_000 + b"x" + b"\r\n" * 100_000 + b" " * 70_000 + b"\r\n"
    hashed = BodyHash()
    for piece in _pieces(body + b"y", [65536]):
        hashed.feed(piece)
    assert hashed.digest() == hashlib.sha256(b" x" + b"\r\n" * 100_001 + b"y\r\n").digest()


@given(st.lists(st.sampled_from([b" ", b"\t", b"\r", b"\n", b"\r\n", b"a"])).map(b"".join), st.integers(1, 5))
def test_bare_line_ends_of_binary_mail_are_cut_alike(body: bytes, size: int) -> None:
    whole, cut = BodyHash(), BodyHash()
    whole.feed(body)
    for piece in _pieces(body, [size]):
        cut.feed(piece)
    assert whole.digest() == cut.digest()


def _pieces(body: bytes, cuts: list[int]) -> Iterator[bytes]:
    start = number = 0
    while start < len(body):
        yield body[start : start + cuts[number % len(cuts)]]
        start += cuts[number % len(cuts)]
        number += 1


def _as_written(body: bytes) -> bytes:
    """RFC 6376 §3.4.4 word by word, a line at a time."""
    lines = [b" ".join(line.replace(b"\t", b" ").rstrip(b" ").split(b" ")) for line in body.split(b"\r\n")]
    for number, line in enumerate(lines):
        while b"  " in line:
            line = line.replace(b"  ", b" ")
        lines[number] = line
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"Subject", b"TO", b"cc", b"X-Odd", b"List-Id", b"Comments", b"References"]),
            st.lists(st.sampled_from([b" ", b"\t", b"\r\n ", b"\r\n\t", b"word", "ö".encode(), b":", b";", b"b="])),
        ),
        max_size=8,
    ),
    BODIES,
)
def test_odd_headers_are_signed_as_others_read_them(fields: list[tuple[bytes, list[bytes]]], body: bytes) -> None:
    header = HEADER + b"".join(name + b":" + b"".join(text) + b"x\r\n" for name, text in fields)
    assert is_valid(signed(header + b"\r\n" + body, seal("ed25519")))


def test_both_kinds_of_key_sign_one_message() -> None:
    message = signed(HEADER + b"\r\nhello\r\n", seal("ed25519"), seal("rsa"))
    assert message.count(b"DKIM-Signature:") == 2
    assert is_valid(message, 0) and is_valid(message, 1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"hello", b"hallo"),
        (b"Subject:", b"Subject: x"),
        (b"To: x@", b"To: z@"),
        (b"Message-ID: <1@", b"Message-ID: <2@"),
        (b"From: Anna", b"From: mallory@evil.example\r\nFrom: Anna"),
        (b"Date:", b"Subject: a second one\r\nDate:"),
        (b"Date:", b"Reply-To: mallory@evil.example\r\nDate:"),
        (b"Date:", b"Content-Type: text/html\r\nDate:"),
        (b"hello\r\n", b"hello\r\nand more\r\n"),
    ],
)
def test_what_a_reader_believes_cannot_be_changed_or_added(old: bytes, new: bytes) -> None:
    message = signed(HEADER + b"\r\nhello\r\n")
    assert old in message and is_valid(message)
    assert not is_valid(message.replace(old, new, 1) if old != b"From: Anna" else message.replace(old, new))


def test_the_way_may_add_trace_fields_and_white_space() -> None:
    message = signed(HEADER + b"\r\nhello  there\r\n")
    assert is_valid(b"Received: from b by c\r\n" + message.replace(b"hello  there\r\n", b"hello there \r\n\r\n"))


def test_the_field_says_all_and_no_length() -> None:
    message = signed(HEADER + b"\r\nhello\r\n")
    field = message[: message.index(b"Received:")].decode()
    flat = "".join(field.split())
    assert f"v=1;a=rsa-sha256;c=relaxed/relaxed;d=hq.example;s=rsa;t={int(NOW)};h=from:from:sender:" in flat
    assert ";l=" not in flat and "to:to:" in flat and "subject:subject:" in flat
    assert max(map(len, field.split("\r\n"))) <= 78


@pytest.mark.parametrize(
    ("header", "domain"),
    [
        (b"From: anna@HQ.example\r\n", "hq.example"),
        (b'From: "a@b" <anna@hq.example>, bert@other.example\r\n', "hq.example"),
        (b"From: Anna\r\n <anna@hq.example>\r\n", "hq.example"),
        ("From: a@bücher.example\r\n".encode(), "xn--bcher-kva.example"),
        (b"From: a@hq.example\r\nFrom: b@hq.example\r\n", ""),
        (b"From: undisclosed:;\r\n", ""),
        (b"From: nobody\r\n", ""),
        (b"Subject: none\r\n", ""),
        (b"", ""),
    ],
)
def test_the_domain_of_the_author(header: bytes, domain: str) -> None:
    assert author_domain(header + b"\r\n") == domain


def test_the_signed_message_is_the_signatures_and_the_message() -> None:
    content = BytesContent(HEADER + b"\r\n" + b"body\r\n" * 1000)
    both = Signed(content, b"DKIM-Signature: x\r\n")
    whole = b"".join(content.chunks())
    for size in (1, 7, 100, 65536):
        chunks = list(both.chunks(size))
        assert b"".join(chunks) == b"DKIM-Signature: x\r\n" + whole
        assert max(map(len, chunks)) <= size
    assert both.size == len(b"DKIM-Signature: x\r\n") + len(whole)
    assert both.head() == b"DKIM-Signature: x\r\n" + content.head()


def test_ascii_stays_known_as_ascii() -> None:
    class Ascii(BytesContent, SevenBit):
        pass

    assert isinstance(with_signatures(Ascii(b"\r\n"), b""), SevenBitSigned)
    assert not isinstance(with_signatures(BytesContent(b"\r\n"), b""), SevenBit)


def test_a_message_without_a_header_ends_it_at_once() -> None:
    assert end_of_header(b"\r\nbody\r\n\r\n") == 2


def test_a_key_keeps_itself() -> None:
    for kind in ("rsa", "ed25519"):
        pem = key(kind).as_pem()
        again = parse_private_key(pem)
        assert again.record == key(kind).record
        secret = base64.b64encode(base64.b64decode(b"".join(pem.split(b"\n")[1:-2]))).decode()
        assert secret[40:60] not in repr(again) and not hasattr(again, "__dict__")


def test_what_is_no_key_is_refused_and_not_shown() -> None:
    for text in (b"", b"sesame", b"-----BEGIN PRIVATE KEY-----\nc2VzYW1l\n-----END PRIVATE KEY-----\n"):
        with pytest.raises(KeyUnusable) as caught:
            parse_private_key(text)
        assert "sesame" not in str(caught.value) and "c2VzYW1l" not in str(caught.value)
