"""Several files as one document: groups are joined, lists go on, and a value that is given twice is an error.

Which of two values counts would depend on the names of the files, and be seen by nobody. Everything keeps the place
where it stood. Not here: which files these are (load.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from shared.config.problem import Problem, shown
from shared.config.yaml import Items, Settings


def merge(document: Settings, more: Settings) -> Iterator[Problem]:
    """Put the settings of `more` into `document`; yields what cannot be."""
    for key, value in more.items():
        if key not in document or document[key] is None:
            _put(document, more, key)
            continue
        old = document[key]
        if isinstance(old, Settings) and isinstance(value, Settings):
            yield from merge(old, value)
        elif isinstance(old, Items) and isinstance(value, Items):
            document[key] = Items([*old, *value], [*old.marks, *value.marks], [*old.files, *value.files])
        elif value is not None:
            first = f"{document.origin.file_of(key)}:{document.origin.keys[key][0]}"
            yield more.origin.problem_with_name(f"{shown(key)} is already given at {first}", key)


def _put(document: Settings, more: Settings, key: str) -> None:
    document[key] = more[key]
    there, here = document.origin, more.origin
    there.keys[key], there.values[key] = here.keys[key], here.values[key]
    there.files[key] = here.file_of(key)
