"""The conversations in tests/dialogues, each played whole and byte by byte.

A script: `C:` is what the client says (CRLF is added; `\\r`, `\\n`, `\\x..` mean the octet), `S:` how the answer
begins, in order. `*` in an S line stands for anything. Lines before the first C or S may set `relay: yes`,
`listener: submission`, `closed: yes` (the server hangs up), and filters as `filter: {on: ..., match: ..., ...}`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fakes.doors import open_session

from mercury_s.door import ListenerTerms
from mercury_s.policy.filters import Filters
from shared.config.load import parse as parse_config

SCRIPTS = sorted((Path(__file__).parents[1] / "dialogues").glob("*.smtp"))


def parse(script: Path) -> tuple[dict[str, str], list[tuple[str, str]]]:
    settings: dict[str, str] = {}
    lines: list[tuple[str, str]] = []
    for line in script.read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        who, _, said = line.partition(":")
        if who in ("C", "S"):
            lines.append((who, said.removeprefix(" ")))
        else:
            settings[who.strip()] = (settings.get(who.strip(), "") + "\n" + said).strip()
    return settings, lines


def filters(lines: str) -> Filters | None:
    if not lines:
        return None
    text = "receive:\n  filters:\n" + "".join(f"    - {line.strip()}\n" for line in lines.split("\n"))
    return Filters(parse_config(text, Path("/m.yaml")).receive.filters)


def octets(text: str) -> bytes:
    return re.sub(rb"\\(r|n|x[0-9a-f]{2})", _octet, text.encode()) + b"\r\n"


def _octet(found: re.Match[bytes]) -> bytes:
    word = found[1]
    return {b"r": b"\r", b"n": b"\n"}.get(word) or bytes([int(word[1:], 16)])


def final_lines(sent: bytes) -> list[str]:
    """The last line of each reply."""
    return [line for line in sent.decode("ascii").split("\r\n") if line[3:4] == " "]


@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_dialogue(script: Path, bytewise: bool) -> None:
    settings, lines = parse(script)
    terms = ListenerTerms(settings.get("listener") == "submission", starttls=True, auth=("PLAIN",))
    visit = open_session(settings.get("relay") == "yes", terms, filters=filters(settings.get("filter", "")))
    spoken = b"".join(octets(said) for who, said in lines if who == "C")
    if bytewise:
        visit.say(*(bytes([octet]) for octet in spoken))
    else:
        visit.say(spoken)
    expected = [said for who, said in lines if who == "S"]
    heard = final_lines(visit.wire.sent)
    assert len(heard) == len(expected), f"{script.name}: heard\n" + "\n".join(heard)
    assert visit.wire.is_closed == (settings.get("closed") == "yes" or spoken.endswith(b"QUIT\r\n")), script.name
    for wanted, answer in zip(expected, heard, strict=True):
        pattern = ".*".join(re.escape(part) for part in wanted.split("*"))
        assert re.match(pattern, answer), f"{script.name}: wanted {wanted!r}, heard {answer!r}"


def test_there_are_dialogues() -> None:
    assert len(SCRIPTS) >= 8
