"""A house's own words in reports (`reports.texts`): a folder with en.txt, de.txt, whose texts take the place of ours
of the same names, which are in shared/dsn/words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from shared.config.model import Config
from shared.dsn.human import LANGUAGES, Words, faults_of, parse_words, reworded, words_in


def words_of(config: Config) -> Mapping[str, Words]:
    """By language. A file that has become unreadable or faulty since the configuration was read says nothing."""
    found = {}
    for language in LANGUAGES:
        usual = words_in(language)
        try:
            texts = _read(config.reports.texts, language)
        except (OSError, ValueError):
            texts = {}
        found[language] = reworded(usual, texts) if texts and not list(faults_of(usual, texts)) else usual
    return found


def faults_of_texts(config: Config) -> Iterator[str]:
    """What is wrong with the folder and its files."""
    folder = config.reports.texts
    if folder is None:
        return
    names = [f"{language}.txt" for language in LANGUAGES]
    if not any((folder / name).exists() for name in names):
        yield f"{folder} has none of the files {', '.join(names)}"
    for language, name in zip(LANGUAGES, names, strict=True):
        try:
            for fault in faults_of(words_in(language), _read(folder, language)):
                yield f"{folder / name}: {fault}"
        except (OSError, ValueError) as error:
            yield f"{folder / name}: {error}"


def _read(folder: Path | None, language: str) -> dict[str, str]:
    """Empty when there is no file. Raises OSError, and ValueError for one that is no file of texts."""
    if folder is None:
        return {}
    try:
        return parse_words((folder / f"{language}.txt").read_text("utf-8"))
    except FileNotFoundError:
        return {}
