"""The files of the page: one document, one style sheet, one script, one picture. Read once, at the start."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from shared.web.exchange import Answer

FOLDER = Path(__file__).resolve().parent / "static"
_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}


def read_files() -> Mapping[str, Answer]:
    """Raises OSError."""
    return {path: Answer(200, (FOLDER / name).read_bytes(), kind) for path, (name, kind) in _FILES.items()}
