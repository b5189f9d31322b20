"""The record: every envelope comes back exactly; damage is always seen; nothing in a message is taken for a record."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mail.address import Address, parse_address
from shared.mail.envelope import Body, Envelope, Notify, Recipient, Return
from shared.spool.record import RecordError, parse_record, record_size, render_record

#  Everything a local part can hold: no controls, but quotes, spaces, @, +, = and the rest of Unicode.
LOCAL = st.text(
    st.one_of(st.sampled_from('+=@ "\\<>,;%'), st.characters(min_codepoint=0x20).filter(lambda c: c != "\x7f")),
    max_size=64,
)
DOMAIN = st.one_of(
    st.sampled_from(
        ["", "hq.example", "[192.0.2.1]", "[IPv6:2001:db8::1]", "bücher.example", "例え.テスト", "a-b_c.x"]
    ),
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z0-9]{1,10}){0,3}", fullmatch=True),
)
ADDRESS = st.builds(Address, LOCAL, DOMAIN)
RECIPIENT = st.builds(
    Recipient,
    ADDRESS,
    st.lists(st.sampled_from(Notify), max_size=3, unique=True).map(tuple),
    st.one_of(st.just(""), st.text(max_size=40)),
)
ENVELOPE = st.builds(
    Envelope,
    id=st.sampled_from(["7Q2M-K4ZC", "0000-0000", ""]),
    sender=st.one_of(st.none(), ADDRESS),
    recipients=st.lists(RECIPIENT, max_size=5).map(tuple),
    arrived=st.floats(allow_nan=False, allow_infinity=False),
    site=st.text(max_size=20),
    body=st.sampled_from(Body),
    smtputf8=st.booleans(),
    requiretls=st.booleans(),
    tls_optional=st.booleans(),
    ret=st.one_of(st.none(), st.sampled_from(Return)),
    envid=st.text(max_size=30),
    login=st.text(max_size=30),
    client=st.text(max_size=60),
    priority=st.integers(min_value=-9, max_value=9),
    cause=st.sampled_from(["", "7Q2M-K4ZD"]),
)
SIMPLE = Envelope(
    id="0T3H-7K2V",
    sender=parse_address("anna@hq.example"),
    recipients=(
        Recipient(parse_address("berta@partner.example"), (Notify.SUCCESS, Notify.FAILURE)),
        Recipient(parse_address("jürgen@bücher.example"), original="utf-8;jürgen@bücher.example"),
    ),
    arrived=1790000123.25,
    site="hq",
    body=Body.EIGHT_BIT,
)
MESSAGE = b"Received: x\r\nMercury-To: nobody@nowhere.example\r\n\r\nbody\r\n"


@settings(derandomize=True, max_examples=400)
@given(envelope=ENVELOPE, message=st.binary(max_size=50))
def test_every_envelope_comes_back_and_the_message_begins_behind_it(envelope: Envelope, message: bytes) -> None:
    record = render_record(envelope)
    assert parse_record(record + message) == (envelope, len(record))
    assert record_size(record.partition(b"\r\n")[0] + b"\r\n") == len(record)


@settings(derandomize=True, max_examples=200)
@given(envelope=ENVELOPE)
def test_a_record_is_header_lines_without_a_control_or_an_empty_one(envelope: Envelope) -> None:
    lines = render_record(envelope).split(b"\r\n")
    assert lines.pop() == b""
    assert lines[0].startswith(b"Mercury-Envelope: 1 ")
    assert all(line.startswith(b"Mercury-To: ") for line in lines[1:])
    assert not any(octet < 0x20 or octet == 0x7F for line in lines for octet in line)


def test_it_is_readable() -> None:
    lines = render_record(SIMPLE).decode().split("\r\n")
    first = lines[0].split(" ")
    assert first[:2] == ["Mercury-Envelope:", "1"] and first[3].startswith("2,")
    assert first[4:] == ["id=0T3H-7K2V", "arrived=1790000123.25", "from=anna@hq.example", "body=8BITMIME", "site=hq"]
    assert lines[1:] == [
        "Mercury-To: berta@partner.example notify=SUCCESS,FAILURE",
        "Mercury-To: jürgen@bücher.example orcpt=utf-8;jürgen@bücher.example",
        "",
    ]


@pytest.mark.parametrize("local", ["a@b", "john doe", 'quote"d', "plus+tag", "equal=sign", "<>", "@", "+40"])
def test_local_parts_that_need_quotes_or_look_like_syntax(local: str) -> None:
    envelope = Envelope("X", Address(local, "x.example"), (Recipient(Address(local, "")),), 0.0)
    assert parse_record(render_record(envelope))[0] == envelope


def test_a_thousand_recipients() -> None:
    everyone = tuple(Recipient(parse_address(f"user{number}@partner.example")) for number in range(1000))
    envelope = Envelope("7Q2M-K4ZC", None, everyone, 1.0)
    record = render_record(envelope)
    assert parse_record(record + MESSAGE) == (envelope, len(record))


def test_a_field_that_is_not_known_is_skipped() -> None:
    record = resealed(render_record(SIMPLE).replace(b" site=hq", b" site=hq shoesize=43"))
    assert parse_record(record + MESSAGE) == (SIMPLE, len(record))


def test_an_address_in_a_file_cannot_end_a_command() -> None:
    for bad in (b"a+0D+0Ab@x.example", b"a@x.example+3E", b"a@x+20y.example", b"a@x+0A", b"a+00@x", b"nodomain"):
        with pytest.raises(RecordError):
            parse_record(resealed(render_record(SIMPLE).replace(b"anna@hq.example", bad)))


@pytest.mark.parametrize(
    ("was", "instead"),
    [
        (b"Mercury-Envelope: 1 ", b"Mercury-Envelope: 2 "),
        (b"Mercury-Envelope: ", b"Received: from x"),
        (b" id=0T3H-7K2V", b" id"),
        (b" id=0T3H-7K2V", b""),
        (b"arrived=1790000123.25", b"arrived=soon"),
        (b"body=8BITMIME", b"body=9BITMIME"),
        (b"notify=SUCCESS", b"notify=PERHAPS"),
        (b"\r\nMercury-To: j", b"\r\nMercury-Cc: j"),
        (b"2,", b"1,"),
        (b"site=hq", b"site=h+q"),
        (b"site=hq", b"site=+FF+FF"),
    ],
)
def test_what_does_not_make_sense_is_an_error_with_a_reason(was: bytes, instead: bytes) -> None:
    broken = resealed(render_record(SIMPLE).replace(was, instead, 1))
    with pytest.raises(RecordError) as caught:
        parse_record(broken + MESSAGE)
    assert str(caught.value)


@settings(derandomize=True, max_examples=1000)
@given(data=st.data())
def test_a_flipped_bit_anywhere_in_the_record_is_seen(data: st.DataObject) -> None:
    record = bytearray(render_record(SIMPLE))
    position = data.draw(st.integers(min_value=0, max_value=len(record) - 1))
    record[position] ^= 1 << data.draw(st.integers(min_value=0, max_value=7))
    with pytest.raises(RecordError):
        parse_record(bytes(record) + MESSAGE)


def test_a_record_cut_off_anywhere_is_seen() -> None:
    record = render_record(SIMPLE)
    for end in range(len(record)):
        with pytest.raises(RecordError):
            parse_record(record[:end])


@settings(derandomize=True)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_record_or_a_record_error(data: bytes) -> None:
    for candidate in (data, b"Mercury-Envelope: " + data, b"Mercury-Envelope: 1 00000000 1,5 " + data):
        with pytest.raises(RecordError):
            parse_record(candidate)


def resealed(record: bytes) -> bytes:
    """`record` after a change, with length and checksum made right again, so that only the change is judged."""
    from zlib import crc32

    first, separator, lines = record.partition(b"\r\n")
    words = first.split(b" ")
    words[3] = b"%b,%d" % (words[3].partition(b",")[0], len(lines))
    summed = b" ".join(words[3:]) + separator + lines
    return b" ".join([*words[:2], b"%08x" % crc32(summed)]) + b" " + summed
