"""The status page as programs see it: who gets in, from where, and what an act does to the queue."""

from __future__ import annotations

import http.client
import json
import os
import socket
import stat
from typing import Any

import pytest
from clients import send
from deadline import eventually
from mailsite import Site
from process import free_port

PASSWORD = "correct horse"


class Socket(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(self._path)


class Visitor:
    """Somebody with a cookie. `call` gives status, body and headers; as a browser on the page itself would ask."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.cookie = ""
        self.token = ""

    def call(
        self, method: str, path: str, body: object = None, **headers: str | None
    ) -> tuple[int, Any, http.client.HTTPMessage]:
        listen = str(self._site.config["web"]["listen"])
        link: http.client.HTTPConnection
        if listen.startswith("unix:"):
            link = Socket(listen.removeprefix("unix:"))
        else:
            link = http.client.HTTPConnection(listen, timeout=30)
        host = "localhost"
        sent: dict[str, str | None] = {"Host": host, "Cookie": self.cookie, "X-Mercury-Token": self.token}
        if method == "POST":
            sent |= {"Origin": f"http://{host}", "Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = json.dumps(body) if body is not None else None
        try:
            link.request(method, path, data, {name: value for name, value in sent.items() if value is not None})
            answer = link.getresponse()
            text = answer.read().decode()
            assert answer.reason and answer.reason != "Unknown Status"
            is_json = answer.headers.get("content-type") == "application/json"
            return answer.status, json.loads(text) if is_json else text, answer.headers
        finally:
            link.close()

    def log_in(self, person: str, password: str = PASSWORD) -> int:
        status, told, headers = self.call("POST", "/api/login", {"person": person, "password": password})
        if status == 200:
            self.cookie = headers["Set-Cookie"].partition(";")[0]
            self.token = told["token"]
        return status


@pytest.fixture
def page(site: Site) -> Site:
    """Mail that nobody takes, and a page for anna, who may act, and bert, who may look."""
    site.config["retry"] = {"first": "1h", "longest": "1h", "lifetime": "5h", "bounce_lifetime": "5h"}
    site.config["web"] = {
        "listen": f"unix:{site.root}/web.sock",
        "hosts": ["mail.hq.example"],
        "operators": ["anna@hq.example"],
        "viewers": ["bert@hq.example"],
    }
    site.write_config()
    site.start("sw")
    return site


def queued(site: Site, visitor: Visitor, lane: str = "") -> list[dict[str, Any]]:
    status, told, _ = visitor.call("GET", f"/api/queue?lane={lane}")
    assert status == 200, told
    entries: list[dict[str, Any]] = told["entries"]
    return entries


def test_who_gets_in_and_what_roles_may(page: Site) -> None:
    visitor = Visitor(page)
    assert stat.S_IMODE(os.stat(page.root / "web.sock").st_mode) == 0o666
    status, text, headers = visitor.call("GET", "/")
    assert status == 200 and "<title>Mercury</title>" in text
    assert "default-src 'none'; script-src 'self'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"] and headers["X-Content-Type-Options"] == "nosniff"
    assert "Server" not in headers
    for path in ("/api/me", "/api/queue", "/api/find?text=x", "/api/message?id=0T3H-7K2V", "/api/stream"):
        assert visitor.call("GET", path)[0] == 401, path
    assert visitor.call("POST", "/api/act", {})[0] == 401
    assert visitor.call("GET", "/../etc/passwd")[0] == 404
    assert visitor.log_in("anna@hq.example", "wrong") == 403
    assert visitor.log_in("nobody@hq.example") == 403
    assert visitor.log_in("bert@hq.example") == 200
    status, told, _ = visitor.call("GET", "/api/me")
    assert (told["person"], told["role"]) == ("bert@hq.example", "viewer")
    act = {"verb": "hold", "entries": [{"id": "0T3H-7K2V"}], "reason": "x"}
    assert visitor.call("POST", "/api/act", act)[0] == 403
    before = visitor.cookie
    assert visitor.log_in("anna@hq.example") == 200 and visitor.cookie != before
    _, _, headers = Visitor(page).call("POST", "/api/login", {"person": "anna@hq.example", "password": PASSWORD})
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(headers["Set-Cookie"].split("; "))
    assert visitor.call("POST", "/api/logout", {})[0] == 200
    assert visitor.call("GET", "/api/me")[0] == 401
    assert page.events("page-login-refused") and PASSWORD not in json.dumps(page.events())


def test_another_file_of_users_is_taken_up_by_a_reload(page: Site) -> None:
    visitor, users = Visitor(page), page.root / "others.yaml"
    text = (page.root / page.config["local"].get("users", "users.yaml")).read_text()
    users.write_text(text.replace("anna@", "berta@"))
    page.config["local"]["users"] = str(users)
    page.config["web"]["operators"] = ["berta@hq.example"]
    page.write_config()
    assert visitor.log_in("berta@hq.example") == 403
    page.mercury("reload")
    assert visitor.log_in("berta@hq.example") == 200
    users.write_text("accounts: {")  # a slip of the pen: who was known stays known
    page.config["local"]["users"] = str(page.root / "wrong.yaml")
    (page.root / "wrong.yaml").write_text("accounts: {")
    page.write_config()
    assert "wrong.yaml" in page.mercury("reload").stderr
    assert visitor.log_in("berta@hq.example") == 200


def test_requests_that_another_page_makes_are_refused(page: Site) -> None:
    visitor = Visitor(page)
    assert visitor.call("GET", "/", Host="evil.example")[0] == 421
    assert visitor.call("GET", "/", Host="mail.hq.example")[0] == 200
    assert visitor.log_in("anna@hq.example") == 200
    act = {"verb": "hold", "entries": [{"id": "0T3H-7K2V"}], "reason": "x"}
    assert visitor.call("POST", "/api/act", act)[0] == 200
    for wrong in (
        {"Origin": "http://evil.example"},
        {"Origin": None},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"X_Mercury_Token": None},
        {"X_Mercury_Token": "wrong"},
    ):
        assert visitor.call("POST", "/api/act", act, **wrong)[0] == 403, wrong
    assert visitor.call("POST", "/api/act", act, Content_Type="text/plain")[0] == 400
    assert visitor.call("GET", "/api/queue", Sec_Fetch_Site="cross-site")[0] == 403
    assert visitor.call("DELETE", "/api/act", Origin="http://localhost")[0] == 405
    assert visitor.call("POST", "/api/act", {"reason": "x" * 100_000})[0] == 413
    with pytest.raises((http.client.HTTPException, OSError)):
        visitor.call("POST", "/api/act", {"reason": "x" * 30_000_000})
    assert visitor.call("GET", "/api/me")[0] == 200


def test_acts_reach_the_queue_with_their_reason_and_can_be_undone(page: Site) -> None:
    page.start("c")
    send(page.port, "anna@hq.example", ["joe@branch.example"], b"Subject: one\r\n\r\nHello\r\n")
    visitor = Visitor(page)
    assert visitor.log_in("anna@hq.example") == 200
    eventually(lambda: any(entry["attempts"] for entry in queued(page, visitor)), what="a first attempt")
    (entry,) = queued(page, visitor)
    queue_id = entry["id"]

    def act(verb: str, *, reason: str = "", **fields: Any) -> dict[str, Any]:
        sent = {"verb": verb, "entries": [{"id": queue_id, "lane": entry["lane"]}], "reason": reason} | fields
        status, told, _ = visitor.call("POST", "/api/act", sent)
        assert status == 200, told
        answer: dict[str, Any] = told
        return answer

    told = act("hold", reason="asked\nby joe")
    assert [end["wrong"] for end in told["ends"]] == [""]
    assert [each["id"] for each in queued(page, visitor, "hold")] == [queue_id]
    act(told["undo"]["verb"], entries=told["undo"]["entries"])
    assert [each["lane"] for each in queued(page, visitor)] == ["relay"]
    assert visitor.call("POST", "/api/act", {"verb": "remove", "entries": [{"id": queue_id}]})[0] == 400
    told = act("remove", reason="spam")
    assert queued(page, visitor) == [] and told["undo"] == {"verb": "undelete", "entries": [{"id": queue_id}]}
    act("undelete", entries=told["undo"]["entries"])
    assert len(queued(page, visitor)) == 1
    begun = [json.loads(line) for line in page.mercury("audit", queue_id, "--json").stdout.splitlines()]
    begun = [line for line in begun if line["step"] == "begins"]
    assert [line["verb"] for line in begun] == ["hold", "release", "remove", "undelete"]
    assert all(line["for"] == "anna@hq.example" for line in begun) and begun[0]["reason"] == "asked by joe"
    _, told, _ = visitor.call("GET", f"/api/message?id={queue_id}")
    assert any("for anna@hq.example: spam" in str(step.get("detail")) for step in told["steps"])
    _, told, _ = visitor.call("GET", "/api/find?text=branch.example&days=1")
    assert [message["id"] for message in told["messages"]] == [queue_id]


def test_an_open_page_hears_what_changes_until_it_may_no_longer(page: Site) -> None:
    visitor = Visitor(page)
    assert visitor.log_in("bert@hq.example") == 200

    def opened() -> tuple[Socket, Any]:
        link = Socket(str(page.root / "web.sock"))
        link.request("GET", "/api/stream", headers={"Cookie": visitor.cookie})
        return link, link.getresponse()

    def hears(stream: Any, event: str, text: str) -> bool:
        """The stream says `text` in an `event`; it is open until then."""
        name = ""
        for line in stream:
            key, _, value = line.decode().strip().partition(": ")
            name = value if key == "event" else name
            if key == "data" and name == event and text in value:
                return True
        return False

    link, stream = opened()
    assert stream.headers["content-type"] == "text/event-stream" and stream.headers["Content-Security-Policy"]
    assert hears(stream, "daemons", '"name":"mercury-s","is_up":true,"is_needed":true')
    send(page.port, "bert@hq.example", ["anna@hq.example"], b"Subject: one\r\n\r\nHello\r\n")
    assert hears(stream, "consoles", "message-accepted")
    assert visitor.call("POST", "/api/logout", {})[0] == 200
    assert not hears(stream, "nothing", "")
    link.close()
    assert visitor.log_in("bert@hq.example") == 200
    link, stream = opened()
    assert hears(stream, "plot", '"received"')
    page.stop("w")  #  With a page open; a fault would stand in its log.
    assert not hears(stream, "nothing", "")
    link.close()


def test_a_right_that_is_taken_away_is_gone_at_once(page: Site) -> None:
    anna, bert = Visitor(page), Visitor(page)
    assert (anna.log_in("anna@hq.example"), bert.log_in("bert@hq.example")) == (200, 200)
    page.config["web"]["operators"] = []
    page.write_config()
    done = page.mercury("reload")
    assert done.returncode == 0 and "mercury-web: works by the configuration as it is now" in done.stdout
    eventually(lambda: anna.call("GET", "/api/me")[0] == 401, what="the session of anna is over")
    assert page.mercury("user", "disable", "bert@hq.example").returncode == 0
    eventually(lambda: bert.call("GET", "/api/me")[0] == 401, what="the session of bert is over")


def test_it_ends_with_a_reason_where_it_cannot_be(site: Site) -> None:
    code, said = site.run_to_its_end("w")
    #  2, with which systemd leaves it alone: only the configuration helps.
    assert code == 2 and "it is off, as `web.listen` is not set" in said and "web: {listen:" in said
    site.config["web"] = {"listen": f"127.0.0.1:{free_port('127.0.0.1')}", "viewers": ["anna@hq.example"]}
    site.write_config()
    site.start("w")
    visitor = Visitor(site)
    assert visitor.log_in("anna@hq.example") == 200
    _, told, _ = visitor.call("GET", "/api/queue")
    assert told["entries"] == []
    code, said = site.run_to_its_end("w")
    assert code == 1 and "already running" in said
