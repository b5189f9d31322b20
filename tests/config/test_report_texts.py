"""A house's own words in reports: read, checked with the configuration, and said."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.config.load import load
from shared.config.problem import ConfigErrors
from shared.service.judge import manners

SAMPLE = """hostname: mail.hq.example
site: hq
local: {domains: [hq.example]}
sites:
  hq: {networks: [127.0.0.1/32], delivery: direct, language: de}
reports: {texts: words}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "words").mkdir()
    path = tmp_path / "mercury.yaml"
    path.write_text(SAMPLE)
    return path


def test_its_words_are_said_and_the_others_stay(file: Path) -> None:
    (file.parent / "words" / "de.txt").write_text("# Unsere\n[greeting]\nGuten Tag von {hostname}.\n")
    words = manners(load(file)).words["hq"]
    assert words.say("greeting", hostname="mx") == "Guten Tag von mx."
    assert words.say("one day", count=1) == "1 Tag"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("fr.txt", "[greeting]\nBonjour\n", "has none of the files en.txt, de.txt"),
        ("de.txt", "[gruss]\nHallo\n", "there is no text [gruss]"),
        ("en.txt", "[greeting]\na\n[greeting]\nb\n", "stands there twice"),
    ],
)
def test_what_will_not_do_is_refused_with_its_place(file: Path, name: str, text: str, said: str) -> None:
    (file.parent / "words" / name).write_text(text)
    with pytest.raises(ConfigErrors) as refused:
        load(file)
    assert said in str(refused.value) and "mercury.yaml:6" in str(refused.value)
