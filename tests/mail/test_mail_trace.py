"""Our trace fields: one header field each, whatever a peer called itself."""

from __future__ import annotations

from email.parser import BytesParser

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mail.address import Address
from shared.mail.trace import Arrival, render_delivered_to, render_received, render_return_path


@settings(derandomize=True, max_examples=200)
@given(st.text(max_size=80))
def test_a_hostile_name_stays_inside_its_field(helo: str) -> None:
    field = render_received(
        Arrival(helo, "2001:db8::1", "ESMTPS", "mx.example", "7Q2M-K4ZC", 1_800_000_000.0, "TLSv1.3 with X")
    )
    assert field.isascii()
    parsed = BytesParser().parsebytes(field + b"\r\n")
    assert parsed.keys() == ["Received"]
    assert not parsed.defects
    assert "by mx.example (Mercury) with ESMTPS id 7Q2M-K4ZC;" in parsed["Received"]
    assert "[IPv6:2001:db8::1]" in parsed["Received"]


def test_the_only_recipient_is_named() -> None:
    field = render_received(Arrival("x", "192.0.2.1", "SMTP", "mx", "ID", 0.0), Address("anna", "hq.example"))
    assert b"for <anna@hq.example>;" in field


def test_fields_of_final_delivery() -> None:
    assert render_return_path(None) == b"Return-Path: <>\n"
    assert render_return_path(Address("a b", "x")) == b'Return-Path: <"a b"@x>\n'
    assert render_delivered_to(Address("jörg", "x")) == "Delivered-To: jörg@x\n".encode()
