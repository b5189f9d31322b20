"""What each setting means, as docs/configuration.md says it: for `config explain` and for the schema.

The page is installed beside the sample, so there is one text and no copy of it that grows old.
"""

from __future__ import annotations

import re
import sysconfig
from pathlib import Path

from shared.mail.record import dataclass

PAGE = "configuration.md"
_ROW = re.compile(r"(?m)^\| `([^`]+)` \| ([^|]*?) ?\| (.*) \|$")
_LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")


@dataclass(frozen=True, slots=True)
class Meaning:
    """`name` as `names_of` has it: `sites.*.delivery`. `default` empty: a group; `–`: must be given."""

    name: str
    default: str
    text: str


def meanings() -> dict[str, Meaning]:
    """Every setting by its name. Raises OSError when the page is not installed."""
    rows = _ROW.findall(page_path().read_text(encoding="utf-8"))
    return {name: Meaning(name, plain(default), plain(text)) for name, default, text in rows}


def page_path() -> Path:
    """In a checkout the page of that checkout, so that an old one installed beside it is not read."""
    own = Path(__file__).resolve().parents[2] / "docs" / PAGE
    return own if own.is_file() else Path(sysconfig.get_path("data")) / "share" / "mercury" / PAGE


def plain(markdown: str) -> str:
    """Without the marks of links and code, which say nothing on a terminal."""
    text = _LINK.sub(lambda found: found[1] if found[1] != "below" else "docs/configuration.md", markdown)
    return text.replace("\\|", "|").replace("`", "").strip()
