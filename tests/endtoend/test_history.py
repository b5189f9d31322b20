"""What became of a message is found after it has gone, by `mercury find` and `mercury queue trail`."""

from __future__ import annotations

import json
from typing import Any

from clients import Raw, send
from deadline import eventually
from mailsite import Site
from peers import FarEnd

MESSAGE = b"Message-ID: <one@branch.example>\r\nSubject: The bill\r\n\r\nHello\r\n"


def found(site: Site, *arguments: str) -> list[dict[str, Any]]:
    done = site.mercury("find", "--json", *arguments)
    assert done.returncode in (0, 4), done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_message_is_found_when_it_is_done(site: Site, far_end: FarEnd) -> None:
    site.relay_to(far_end.hop)
    site.config["history"] = {"subjects": True}
    site.write_config()
    site.start("sc")
    send(site.port, "bert@hq.example", ["joe@branch.example", "anna@hq.example"], MESSAGE)
    eventually(lambda: found(site, "--state", "delivered"))
    [message] = found(site, "--message-id", "one@branch")
    assert message["to"] == ["joe@branch.example", "anna@hq.example"] and message["state"] == "delivered"
    assert [found(site, *way) for way in (("--subject", "bill"), ("--client", "127.0.0.1"))] == [[message]] * 2
    assert found(site, "--from", "bert@", "--to", "anna@") == [message]
    site.stop()
    for records in (site.root / "state" / "events").glob("*.jsonl*"):
        records.unlink()  # what follows is told by the history alone
    assert found(site, "--id", message["id"])[0]["recipients"] == 2
    steps = [json.loads(line) for line in site.mercury("queue", "trail", message["id"], "--json").stdout.splitlines()]
    assert steps[0]["event"] == "message-accepted"
    assert {step["daemon"] for step in steps} == {"mercury-s", "mercury-c"}
    assert [step["event"] for step in steps].count("recipient-delivered") == 2


def test_a_refusal_is_found_by_client_and_words(site: Site) -> None:
    site.start("s")
    with Raw(site.port) as client:
        for command in ("EHLO x.example", "MAIL FROM:<joe@x.example>", "RCPT TO:<nobody@hq.example>"):
            client.say(command)
    eventually(lambda: found(site, "--to", "nobody@", "--client", "127.0.0.1", "--state", "refused"))
    assert found(site, "--reply", "5.1.1")[0]["id"] == ""


def test_mail_goes_on_when_the_history_cannot_be_written(site: Site) -> None:
    (site.root / "state").mkdir(exist_ok=True)
    (site.root / "state" / "history").write_text("in the way")
    site.start("s")
    eventually(lambda: site.events("history-trouble"))
    send(site.port, "joe@x.example", ["anna@hq.example"], MESSAGE)
    eventually(lambda: site.mailbox("anna"))
    assert len(site.events("history-trouble")) == 1
