"""Bodies that are taken, cookies that are given."""

from __future__ import annotations

import pytest

from shared.web.exchange import Query, cookie_header, json_answer


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/plain", b"{}"),
        ("application/x-www-form-urlencoded", b"{}"),
        ("multipart/form-data; boundary=x", b"{}"),
        ("", b"{}"),
        ("application/json", b"[]"),
        ("application/json", b"1"),
        ("application/json", b""),
        ("application/json", b"\xff"),
        ("application/json", b"[" * 60_000),
    ],
)
def test_what_a_form_of_another_page_can_send_is_no_request(kind: str, body: bytes) -> None:
    with pytest.raises(ValueError):
        Query("POST", "/api/act", content_type=kind, body=body).json()


def test_json_is_taken_as_it_is() -> None:
    query = Query("POST", "/api/act", content_type="application/json; charset=utf-8", body=b'{"a": "\\u202e"}')
    assert query.json() == {"a": "\u202e"}


def test_no_script_and_no_other_site_gets_the_cookie() -> None:
    attributes = cookie_header("x", 60, is_secure=False).split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=60"} <= set(attributes) and "Secure" not in attributes
    assert "Secure" in cookie_header("x", 60, is_secure=True).split("; ")
    assert "Max-Age=0" in cookie_header("", 60, is_secure=False).split("; ")


def test_secrets_are_not_in_a_repr() -> None:
    query = Query("POST", "/api/login", cookie="sesame", token="sesame", body=b"sesame")
    assert "sesame" not in repr(query)


def test_whatever_was_said_stays_one_line_of_ascii() -> None:
    answer = json_answer({"error": "</script>\r\n\u2028\u202e\x00\ud800"})
    assert answer.body.isascii() and b"\n" not in answer.body and answer.content_type == "application/json"
