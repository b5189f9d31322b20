"""The pages of the project as tests see them: their blocks, the commands in them, what they show.

A fenced block marked `console` is a session. A line after "$ " is run as it stands; one after "# " is for root on a real
host (packages, systemd) and is only listed. What stands below a command is its output: "…" is any text of a line, a
line of nothing else any lines; queue ids, dates, times and ages are examples of themselves. A command that ends with
something else than 0 says so: `$ mercury config check   # exit 2`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

QUEUE_ID = r"[0-9A-Z]{4}-[0-9A-Z]{4}"
_EXAMPLES = (
    QUEUE_ID,
    r"\d{4}-\d\d-\d\d",
    r"\d\d:\d\d:\d\d(?:\.\d+)?",
    r"\b\d+(?:\.\d+)? (?:[KMG]i)?B\b",
    r"\b\d+(?:\.\d+)?[dhms](?:\d+[hms])?\b",
    r"\bpid \d+",
)


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    text: str


@dataclass(frozen=True)
class Shown:
    """A command as a page shows it."""

    block: Block
    command: str
    output: str
    exit_code: int
    is_for_root: bool


def blocks(page: Path) -> list[Block]:
    found, opened, lines = [], None, []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = re.fullmatch(r"(\s*)```(.*)", line)
        if fence and opened is None:
            opened, lines = (number, fence[2].strip(), fence[1]), []
        elif fence and opened is not None:
            found.append(Block(page, opened[0], opened[1], "\n".join(lines) + "\n"))
            opened = None
        elif opened is not None:
            lines.append(line.removeprefix(opened[2]))
    assert opened is None, f"{page}: a fence is not closed"
    return found


def commands(block: Block) -> list[Shown]:
    found: list[Shown] = []
    for line in block.text.splitlines():
        if prompt := re.fullmatch(r"([$#]) (.*?)(?:\s+# exit (\d+))?", line):
            found.append(Shown(block, prompt[2], "", int(prompt[3] or 0), prompt[1] == "#"))
        elif found and found[-1].command.endswith("\\"):
            last = found.pop()
            end = re.fullmatch(r"(.*?)(?:\s+# exit (\d+))?", line)
            assert end
            joined = last.command.removesuffix("\\").rstrip() + " " + end[1].strip()
            found.append(Shown(block, joined, "", int(end[2] or 0), last.is_for_root))
        elif found:
            last = found.pop()
            found.append(Shown(block, last.command, last.output + line + "\n", last.exit_code, last.is_for_root))
        else:
            assert not line.strip(), (
                f"{block.page.name}:{block.line}: a session begins with a prompt, not with {line!r}"
            )
    return found


def is_as_shown(shown: str, said: str) -> bool:
    """Nothing shown is nothing promised."""
    if not shown.strip():
        return True
    lines = said.strip().splitlines()
    reached = {0}  # so many lines of what was said can be behind us
    for line in shown.strip().splitlines():
        if line.strip() == "…":
            reached = set(range(min(reached), len(lines) + 1))
        else:
            pattern = re.compile(_line_pattern(line))
            reached = {at + 1 for at in reached if at < len(lines) and pattern.fullmatch(lines[at].strip())}
        if not reached:
            return False
    return len(lines) in reached


def _line_pattern(line: str) -> str:
    parts = re.split(f"({'|'.join(f'(?:{example})' for example in _EXAMPLES)}|…|\\s+)", line.strip())
    return "".join(_word_pattern(part) for part in parts if part)


def _word_pattern(part: str) -> str:
    if part == "…":
        return r".*?"
    if part.isspace():
        return r"[ \t]+"
    return next((f"(?:{example})" for example in _EXAMPLES if re.fullmatch(example, part)), re.escape(part))
