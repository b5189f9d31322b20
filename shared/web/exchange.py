"""A request and an answer as values. Pure; the adapter to twisted.web is site.py."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from shared.mail.record import dataclass

COOKIE = "mercury"
NONE: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Query:
    """One request. `is_secure`: whoever forwarded it says that it came to him by TLS."""

    method: str
    path: str
    fields: Mapping[str, str] = field(default_factory=dict)
    host: str = ""
    origin: str | None = None
    fetch_site: str | None = None
    cookie: str = field(default="", repr=False)
    token: str | None = field(default=None, repr=False)
    content_type: str = ""
    body: bytes = field(default=b"", repr=False)
    is_secure: bool = False

    def json(self) -> dict[str, Any]:
        """The body. Raises ValueError. The type is asked for as a form of another page cannot send it."""
        if self.content_type.partition(";")[0].strip().lower() != "application/json":
            raise ValueError("send application/json")
        try:
            fields = json.loads(self.body)
        except RecursionError:
            fields = None
        if not isinstance(fields, dict):
            raise ValueError("send a JSON object")
        return fields

    def word(self, name: str) -> str:
        return self.fields.get(name, "")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


def json_answer(fields: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] = NONE) -> Answer:
    body = json.dumps(fields, separators=(",", ":")).encode()
    return Answer(status, body, "application/json", headers)


def refusal(status: int, reason: str, headers: Mapping[str, str] = NONE) -> Answer:
    return json_answer({"error": reason}, status, headers)


def cookie_header(value: str, seconds: float, is_secure: bool) -> str:
    """Scripts cannot read it and no other site can have it sent. An empty value takes it away."""
    age = int(seconds) if value else 0
    text = f"{COOKIE}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict"
    return text + "; Secure" if is_secure else text
