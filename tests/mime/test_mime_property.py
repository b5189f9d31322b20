"""Whatever is converted decodes to the same content: Python's email parser is the judge, on messages made at random."""

from __future__ import annotations

import email
import email.message
import itertools
import tracemalloc
from collections.abc import Iterator
from email.header import decode_header, make_header

from hypothesis import given
from hypothesis import strategies as st

from shared.mail.content import BytesContent
from shared.mail.envelope import Body, Envelope
from shared.mail.lacks import Lacks
from shared.mime.encoding import Base64, QuotedPrintable
from shared.mime.fitted import fit

ENVELOPE = Envelope("0T3H-7K2V", None, (), 0.0, body=Body.BINARY, smtputf8=True)
NAMES = ["b", "=_b", "b--c", "b=3D", "'()+_,-./:=?", "x" * 70]

words = st.text(st.sampled_from('aZ0-=_.,<@"\\(äß€ж漢\u00a0'), min_size=1, max_size=12)
lines = (
    st.text(st.sampled_from("ab -=.\tüж漢"), max_size=180)
    .map(str.encode)
    .filter(lambda line: not line.startswith(b"--"))
)
latin = st.text(st.sampled_from("ab =üß"), max_size=90).map(lambda text: text.encode("latin-1"))
delimiters = st.sampled_from([b"--" + name.encode() for name in NAMES]).map(lambda line: line + b" no more")
bodies = st.lists(st.one_of(lines, latin, delimiters), max_size=6).map(b"\r\n".join)
octets = st.binary(max_size=300).filter(lambda raw: b"--" not in raw)


@st.composite
def leaves(draw: st.DrawFn, binary: bool = True) -> bytes:
    label = draw(st.sampled_from(["", "7bit", "8bit", "8BIT "]))
    kind = draw(st.sampled_from(["", "text/plain", "text/html; charset=utf-8", "application/octet-stream", "x"]))
    content = draw(bodies)
    if binary and draw(st.integers(0, 3)) == 0:
        kind, label, content = "application/octet-stream", "binary", draw(octets)
    fields = [f"Content-Type: {kind}"] if kind else []
    fields += [f"Content-Transfer-Encoding: {label}"] if label else []
    return "".join(f"{each}\r\n" for each in fields).encode() + b"\r\n" + content


@st.composite
def parts(draw: st.DrawFn, names: tuple[str, ...] = tuple(NAMES), inner: str = "") -> bytes:
    """`inner`: a header in front, for a message."""
    choice = draw(st.integers(0, 3)) if names else 0
    if choice == 0:
        return inner.encode() + draw(leaves())
    if choice == 1:
        subject = f"Subject: {draw(words)}\r\nMIME-Version: 1.0\r\n"
        return (inner + "Content-Type: message/rfc822\r\n\r\n").encode() + draw(parts(names[1:], subject))
    name, rest = names[0], names[1:]
    label = draw(st.sampled_from(["", "Content-Transfer-Encoding: 8bit\r\n"]))
    head = f'{inner}Content-Type: multipart/mixed; boundary="{name}"\r\n{label}\r\n'.encode() + draw(lines)
    delimiter = b"\r\n--" + name.encode()
    pieces = draw(st.lists(parts(rest), min_size=1, max_size=3))
    tail = draw(st.sampled_from([b"--", b"--\r\n", "--\r\nü\r\n".encode()]))
    return head + b"".join(delimiter + b"\r\n" + piece for piece in pieces) + delimiter + tail


def judged(message: email.message.Message) -> Iterator[object]:
    yield [(name, *said(message, name)) for name in ("Subject", "From", "X-Y") if name in message]
    yield message.get_content_type()
    if message.is_multipart():
        for part in message.get_payload():
            yield from judged(part)
    else:
        yield message.get_payload(decode=True)


def said(message: email.message.Message, name: str) -> list[str]:
    raw = [value.encode("ascii", "surrogateescape") for key, value in message.raw_items() if key == name]
    return [
        str(make_header(decode_header(each.decode()))).replace("\r\n", "") if each.isascii() else each.decode()
        for each in raw
    ]


def fitted(raw: bytes, lacks: Lacks) -> bytes:
    _, content = fit(ENVELOPE, BytesContent(raw), lacks)
    out = b"".join(content.chunks(100))
    assert content.size == len(out)
    return out


@given(parts(inner="From: a@b.example\r\nMIME-Version: 1.0\r\n"))
def test_the_content_of_every_part_is_the_same(raw: bytes) -> None:
    out = fitted(raw, Lacks(True, True, True))
    assert out.isascii() and b"\0" not in out and out.count(b"\n") == out.count(b"\r\n") == out.count(b"\r")
    assert list(judged(email.message_from_bytes(out))) == list(judged(email.message_from_bytes(raw)))


@given(st.lists(words, min_size=1, max_size=12).map(" ".join), words)
def test_a_subject_reads_the_same(subject: str, name: str) -> None:
    name = name.translate({ord(letter): None for letter in '"\\(<@,.?'}).strip()
    raw = f'Subject: {subject}\r\nFrom: "{name}" <a@b.example>\r\n\r\n'.encode()
    out = fitted(raw, Lacks(utf8_header=True))
    assert out.isascii()
    before, after = email.message_from_bytes(raw), email.message_from_bytes(out)
    assert said(after, "Subject") == said(before, "Subject")
    assert said(after, "From")[0].replace('"', "").split() == said(before, "From")[0].replace('"', "").split()


@given(st.lists(st.one_of(lines, latin), max_size=5).map(b"\r\n".join), st.lists(st.integers(0, 400), max_size=4))
def test_any_cut_encodes_to_the_same(body: bytes, cuts: list[int]) -> None:
    for make in (QuotedPrintable, Base64):
        whole, pieces = make(), make()
        places = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
        cut = b"".join(pieces.feed(body[a:b]) for a, b in itertools.pairwise(places)) + pieces.finish()
        assert cut == whole.feed(body) + whole.finish()
        assert all(len(line) <= 76 for line in cut.split(b"\r\n"))


class Endless:
    """A message of 30 MB that is nowhere in memory: text of one line, of many, and lines that could be delimiters."""

    HEAD = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n"
    PIECES = ("ü and ASCII ".encode() * 5000, "Grüße an alle\r\n".encode() * 4000, b"--y\r\n" * 13000)
    TIMES = 160

    size = len(HEAD) + TIMES * sum(map(len, PIECES))

    def chunks(self, size: int = 65536) -> Iterator[bytes]:
        yield self.HEAD
        for piece in self.PIECES:
            for _ in range(self.TIMES):
                yield piece

    def head(self) -> bytes:
        return self.HEAD


def test_thirty_megabytes_need_a_few_hundred_kilobytes() -> None:
    content = Endless()
    assert content.size > 28e6
    tracemalloc.start()
    try:
        _, converted = fit(ENVELOPE, content, Lacks(True, False, True))
        written = sum(map(len, converted.chunks()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert written == converted.size > content.size
    assert peak < 3e6, f"{peak / 1e6:.1f} MB"
