"""The page is made of its own files, and its script has no way to turn text into markup."""

from __future__ import annotations

import re

from shared.web.files import FOLDER, read_files


def test_nothing_comes_from_elsewhere() -> None:
    for path, answer in read_files().items():
        text = answer.body.decode()
        foreign = [link for link in re.findall(r"https?://[^\s\"')]+", text) if "www.w3.org" not in link]
        assert not foreign, path
    page = (FOLDER / "page.html").read_text()
    assert set(re.findall(r'(?:src|href)="([^"#]+)"', page)) == {"/page.css", "/page.js", "/icon.svg"}
    assert " style=" not in page and "<style" not in page and not re.search(r"\son\w+=", page)


def test_the_script_makes_text_nodes_only() -> None:
    script = (FOLDER / "page.js").read_text()
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "DOMParser",
                "srcdoc", "javascript:", "setAttribute(\"style", "createContextualFragment"):  # fmt: skip
        assert way not in script, way
