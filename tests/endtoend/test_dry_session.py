"""What `mercury session` answers is what the daemon answers: the same commands to both, from the same addresses."""

from __future__ import annotations

import re

import pytest
from book import QUEUE_ID
from clients import Raw
from mailsite import Site
from setting import Stage

LETTER = ["Subject: cheap lottery", "", "..a line with a dot", "."]
DIALOGUES = {
    "mail": [
        "EHLO pc.example", "MAIL FROM:<a@b.example>", "RCPT TO:<anna@hq.example>", "DATA", *LETTER,
        "EHLO dyn-7.example", "MAIL FROM:<a@spam.example>", "RCPT TO:<anna@hq.example>",
        "EHLO pc.example", "AUTH PLAIN AGFubmEAeA==", "STARTTLS now", "QUIT",
    ],
    "mistakes": [
        "EHLO pc.example", "MAIL FROM:<a@b.example> SIZE=99999999", "MAIL FROM:<a@b.example> FOO=1", "MAIL FROM:<a@b",
        "MAIL FROM:<a@b.example>", "RCPT TO:<joe@elsewhere.example>", "RCPT TO:<ghost@hq.example>",
        "RCPT TO:<postmaster>", "RCPT TO:<info@hq.example>", "RCPT TO:<anna@hq.example>", "RSET", "RCPT TO:<x@y>",
        "DATA", "HELO pc.example", "BDAT 3 LAST", "NOOP x", "VRFY anna", "EXPN all", "WIZ", "HELP", "QUIT",
    ],
}  # fmt: skip
CLIENTS = {"of the site": "127.0.0.1", "a stranger": "127.0.0.7", "refused": "127.0.0.9", "may relay": "127.0.0.8"}


@pytest.fixture(scope="module")
def open_site(module_stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = module_stage.site(tmp_path_factory.mktemp("site"))
    site.config["receive"] |= {
        "max_message_size": "1M",
        "limits": {"recipients": 3},
        "rules": [
            {"networks": ["127.0.0.9/32"], "action": "refuse"},
            {"networks": ["127.0.0.8/32"], "action": "relay"},
        ],
        "filters": [
            {"on": "helo", "match": "dyn-*", "action": "fail", "reply": "550 5.7.1 Send through your provider"},
            {"on": "subject", "match": "*lottery*", "action": "fail", "reply": "554 5.7.1 We never win"},
        ],
    }
    (site.root / "aliases").write_text("postmaster: anna\ninfo: anna\n")
    site.write_config()
    site.add_users("anna")
    site.start("s")
    return site


def plain(reply: str) -> str:
    return re.sub(f"{QUEUE_ID}|DRY-RUN", "ID", reply)


def spoken(site: Site, client: str, commands: list[str]) -> list[str]:
    """What the daemon answers, a line each."""
    with Raw(site.port, client) as raw:
        heard = raw.greeting.split("\n")
        is_data = False
        for command in commands:
            try:
                raw.send(f"{command}\r\n".encode())
                if is_data and command != ".":
                    continue
                reply = raw.reply()
            except OSError:
                break  #  it has closed
            is_data = reply.startswith("354")
            heard += reply.split("\n")
    return list(map(plain, heard))


def rehearsed(site: Site, client: str, commands: list[str]) -> list[str]:
    done = site.mercury("session", "--from", client, given="".join(f"{each}\n" for each in commands))
    assert "Traceback" not in done.stderr, done.stderr
    return [plain(line) for line in done.stdout.splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("dialogue", DIALOGUES)
@pytest.mark.parametrize("client", CLIENTS)
def test_both_answer_alike(open_site: Site, client: str, dialogue: str) -> None:
    commands = DIALOGUES[dialogue]
    assert rehearsed(open_site, CLIENTS[client], commands) == spoken(open_site, CLIENTS[client], commands)
