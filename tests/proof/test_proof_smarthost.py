"""R-21, R-22: a smarthost that storms with 4xx at each place, falls silent at each place, drops, reads slowly; another
destination goes on all the while, nothing is bounced, and all of it is delivered when the mood is good."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from account import Flow, is_whole, token_of
from clients import send
from deadline import eventually
from mailsite import Site
from moody import PLACES
from peers import FarEnd
from process import Process, free_port

LETTERS = 60
STORMS = [f"{code} at {place}" for place in PLACES for code in ("421", "451")]
TROUBLE = [f"hole at {place}" for place in PLACES] + [f"drop at {place}" for place in PLACES] + ["slow reader at -"]
WINDOW = 2.5


class Smarthost:
    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        folder.mkdir()
        command = [
            sys.executable,
            str(Path(__file__).with_name("moody.py")),
            "--folder",
            str(folder),
            "--port",
            str(port),
        ]
        self.process = Process("moody", command, folder / "log")
        self.mood("451 at RCPT")
        self.process.start((folder / "ready").exists)

    def mood(self, words: str) -> None:
        (self.folder / "mood").write_text(words)

    def connections(self) -> int:
        path = self.folder / "connections"
        return int(path.read_text() or 0) if path.exists() else 0

    def tokens(self) -> list[str]:
        messages = [path.read_bytes() for path in self.folder.glob("*.eml")]
        return [token for message in messages if is_whole(message, token := token_of(message))]


@pytest.fixture
def smarthost(tmp_path: Path) -> Iterator[Smarthost]:
    smarthost = Smarthost(tmp_path / "moody", free_port("127.0.0.1"))
    yield smarthost
    smarthost.process.kill()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("moods", [STORMS, TROUBLE], ids=["storms", "holes"])
def test_a_smarthost_in_every_mood(
    site: Site, far_end: FarEnd, smarthost: Smarthost, moods: list[str], tell: Callable[..., None]
) -> None:
    via = {"host": far_end.hop[0], "port": far_end.port, "tls": "off", "in_clear": True}
    site.config["routes"] = [{"to": ["partner.example"], "via": via}]
    site.relay_to(("127.0.0.1", smarthost.port))
    site.write_config()
    site.start("sc")
    size = b"x" * 76 + b"\r\n"
    waiting = set()
    for number in range(LETTERS):
        token = f"tok-mood-{number}-."
        waiting.add(token)
        text = (
            f"Subject: {token}\r\n\r\n".encode()
            + size * (3000 if number % 10 == 0 else 10)
            + f"end {token}\r\n".encode()
        )
        send(site.port, "bert@hq.example", [f"x{number}@elsewhere.example"], text)
    other = Flow(site.port, "x@partner.example", 1, 0.1, 5_000).start()
    most = 0
    for mood in moods:
        smarthost.mood(mood)
        before, arrived = smarthost.connections(), far_end.count()
        time.sleep(WINDOW)
        most = max(most, smarthost.connections() - before)
        eventually(lambda arrived=arrived: far_end.count() > arrived, 30, f"the other destination goes on at {mood}")
    #  Whoever hangs in a hole hangs there for the minutes of RFC 5321: a new start lets go of them.
    smarthost.mood("250 at nowhere")
    site.kill("c")
    site.start("c")
    other.end()
    eventually(site.is_empty, 90, "all of it goes when the mood is good")
    tokens = smarthost.tokens()
    tell(
        moods=len(moods), letters=LETTERS, lost=len(waiting - set(tokens)), bounced=len(site.events("message-bounced")),
        other_letters=len(other.acknowledged), most_connections_a_mood=most, second_copies=len(tokens) - len(set(tokens)),
    )  # fmt: skip
    assert not waiting - set(tokens)
    assert len(tokens) == len(set(tokens)), "the mood took none but at the end"
    assert not site.events("message-bounced") and not site.mailbox("bert")
    assert other.acknowledged <= {token_of(kept.content) for kept in far_end.kept()}
