"""In the name of the account: three fields change, and no other octet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mercury_c.account_name import in_name_of, rename_author
from shared.mail.address import parse_address
from shared.mail.content import BytesContent
from shared.mail.envelope import Envelope, Recipient

ACCOUNT = parse_address("office@isp.example")
REST = b"Subject: Gr\xfc\xdfe,\r\n\tfolded  \r\nX-Odd:no space\r\n\r\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"From: anna@hq.example\r\n", b"From: office@isp.example\r\nReply-To: anna@hq.example\r\n"),
        (
            b'from : "Berg, Anna"\r\n <anna@hq.example> (home)\r\n',
            b'from : "Berg, Anna"\r\n <office@isp.example> (home)\r\nReply-To: "Berg, Anna"\r\n <anna@hq.example> (home)\r\n',
        ),
        (
            b"Reply-To: team@hq.example\r\nFrom: anna@hq.example\r\n",
            b"Reply-To: team@hq.example\r\nFrom: office@isp.example\r\n",
        ),
        (
            b"From: a@hq.example, b@hq.example\r\nSender: a@hq.example\r\n",
            b"From: office@isp.example\r\nReply-To: a@hq.example, b@hq.example\r\nSender: office@isp.example\r\n",
        ),
        (b"From: a: b@hq.example;\r\n", b"From: office@isp.example\r\nReply-To: a: b@hq.example;\r\n"),
        (b"From: Office <office@isp.example>\r\n", b"From: Office <office@isp.example>\r\n"),
        (b"Received: by x\r\n", b"Received: by x\r\nFrom: office@isp.example\r\n"),
        (b"From:\r\n", b"From: office@isp.example\r\n"),
        (
            b"From: J\xfcrgen <j@hq.example>\r\n",
            b"From: J\xfcrgen <office@isp.example>\r\nReply-To: J\xfcrgen <j@hq.example>\r\n",
        ),
    ],
)
def test_who_wrote_goes_into_reply_to(old: bytes, new: bytes) -> None:
    assert rename_author(old + REST, ACCOUNT) == new + REST


@given(st.binary(max_size=300), st.integers(1, 50))
def test_the_body_and_the_size_are_right_whatever_the_message(noise: bytes, size: int) -> None:
    message = b"From: anna@hq.example\r\n" + REST + noise
    envelope = Envelope("ID", parse_address("anna@hq.example"), (Recipient(ACCOUNT),), 0.0)
    renamed, content = in_name_of(ACCOUNT, envelope, BytesContent(message))
    carried = b"".join(content.chunks(size))
    assert renamed.sender == ACCOUNT
    assert carried == b"From: office@isp.example\r\nReply-To: anna@hq.example\r\n" + REST + noise
    assert content.size == len(carried) and carried.startswith(content.head())


def test_a_report_keeps_having_no_sender() -> None:
    envelope = Envelope("ID", None, (Recipient(ACCOUNT),), 0.0)
    assert in_name_of(ACCOUNT, envelope, BytesContent(b"From: x@hq.example\r\n\r\n"))[0].sender is None
