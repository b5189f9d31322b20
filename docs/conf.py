"""How Sphinx makes HTML and man pages of the files beside this one: `make docs`.

The pages are plain Markdown that reads well as it is. The one table of contents is README.md: the order of its links
is the order of the book, so there is no second list to keep.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import shared  # noqa: E402 - found by the line above

project = "Mercury"
version = release = shared.__version__
extensions = ["myst_parser"]
myst_enable_extensions = ["deflist"]
source_suffix = {".md": "markdown"}
root_doc = "README"
exclude_patterns = ["README-*"]
myst_heading_anchors = 4  # as the forges make them: file.md#a-heading
#  Files of the project that are no pages are linked for those who read the pages there; the book leaves them as text.
suppress_warnings = ["myst.xref_missing", "myst.header"]

html_theme = "alabaster"
html_theme_options = {"description": "A mail server for an office", "fixed_sidebar": True, "page_width": "70em"}
html_show_copyright = False
html_copy_source = False
html_show_sourcelink = False
#  Nothing is fetched from elsewhere when a page is read.
html_use_opensearch = ""

man_pages = [
    ("configuration", "mercury.yaml", "the configuration of the Mercury mail suite", "", "5"),
    ("man/mercury.1", "mercury", "look after the Mercury mail suite", "", "1"),
    ("man/mercury.7", "mercury", "a mail server for an office, in three daemons", "", "7"),
]


def add_contents(app: Sphinx, name: str, source: list[str]) -> None:
    """Behind the table of contents stands the list that Sphinx wants, made of the links in it."""
    if name != root_doc:
        return
    text = source[0]
    for heading, part in re.findall(r"(?ms)^## (.+?)\n(.*?)(?=^## |\Z)", text):
        pages = dict.fromkeys(re.findall(r"\]\(([\w./-]+)\.md\)", part))
        listed = "\n".join(page for page in pages if (HERE / f"{page}.md").is_file())
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {heading}\n\n{listed}\n```\n"


def list_settings(app: Sphinx, name: str, source: list[str]) -> None:
    """The tables of settings are too wide for a terminal: in the man page each row is an entry of a list."""
    if app.builder.name == "man" and name == "configuration":
        text = re.sub(r"(?m)^\| setting \| default \| meaning \|\n\|[-|]+\|\n", "", source[0])
        row = re.compile(r"(?m)^\| (`[^`|]+`) \| ([^|]*?) ?\| ?([^|]*?) ?\|\n")
        text = row.sub(lambda row: f"{row[1]}\n: {row[3]} {_default(row[2])}\n\n", text)
        #  And so in tables of two columns, whose first may be as long: a cell of one word a line reads badly.
        text = re.sub(r"(?m)^\| [^|\n]+ \| [^|\n]+ \|\n\|-+\|-+\|\n", "", text)
        source[0] = re.sub(r"(?m)^\| ([^|\n]+) \| ([^|\n]+) \|\n", r"\1\n: \2\n\n", text)


def _default(text: str) -> str:
    if text == "–":
        return "Must be given."
    return f"Default: {text}." if text else ""


def add_index(app: Sphinx, failure: Exception | None) -> None:
    """A folder on a web server is opened by its index.html."""
    if failure is None and app.builder.name == "html":
        Path(app.outdir, "index.html").write_text(
            '<!doctype html><meta charset="utf-8"><title>Mercury</title>'
            '<meta http-equiv="refresh" content="0; url=README.html"><a href="README.html">Mercury</a>\n'
        )


def setup(app: Sphinx) -> None:
    app.connect("source-read", add_contents)
    app.connect("source-read", list_settings)
    app.connect("build-finished", add_index)
