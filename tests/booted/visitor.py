"""Run inside the machine: visits the status page over its socket and prints what it was told, as JSON.

visitor.py SOCKET PERSON PASSWORD
"""

from __future__ import annotations

import http.client
import json
import socket
import sys
from typing import Any


class Link(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(sys.argv[1])


def call(path: str, body: object = None, **headers: str) -> tuple[http.client.HTTPResponse, dict[str, Any]]:
    link = Link("localhost")
    sent = {"Origin": "http://localhost", "Content-Type": "application/json", **headers}
    link.request("GET" if body is None else "POST", path, body and json.dumps(body), sent)
    answer = link.getresponse()
    return answer, json.loads(answer.read())


def overview(cookie: str) -> dict[str, Any]:
    """The first of each part."""
    link = Link("localhost")
    link.request("GET", "/api/stream", headers={"Cookie": cookie})
    parts: dict[str, Any] = {}
    name = ""
    for line in link.getresponse():
        key, _, text = line.decode().strip().partition(": ")
        if key == "event":
            name = text
        elif key == "data":
            parts[name] = json.loads(text)
        if {"daemons", "queue", "plot"} <= parts.keys():
            return parts
    raise SystemExit("the stream ended")


def main() -> None:
    answer, told = call("/api/login", {"person": sys.argv[2], "password": sys.argv[3]})
    if answer.status != 200:
        raise SystemExit(f"{answer.status}: {told}")
    cookie = str(answer.headers["Set-Cookie"]).partition(";")[0]
    seen = overview(cookie)
    act = {"verb": "hold", "entries": [{"id": "0000-0000"}], "reason": "a rehearsal"}
    answer, acted = call("/api/act", act, Cookie=cookie, **{"X-Mercury-Token": told["token"]})
    _, found = call("/api/find?text=hq.example&days=1", Cookie=cookie)
    print(json.dumps({**seen, "acted": [answer.status, acted], "found": found}))


if __name__ == "__main__":
    main()
