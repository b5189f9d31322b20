"""The aliases file and the files it includes: read at the door, and read again when one of them changes.

Not here: the grammar (aliases.py), what an alias leads to (directory.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from mercury_s.local.aliases import AliasesError, AliasRule, Include, Target, parse_aliases, parse_included
from shared.config.watched import WatchedFile

_LARGEST = 16 * 1024 * 1024


def _ignore(error: AliasesError) -> None:
    pass


class AliasesFile:
    """The rules of one file, includes resolved. What turns bad is reported once, and the rules read before stay.

    Without a path there are no aliases; a file that is not there when first read is an empty one.
    """

    def __init__(
        self, path: Path | None, clock: Callable[[], float], report: Callable[[AliasesError], None] = _ignore
    ) -> None:
        self.path = path
        self.version = 0  #  grows with every change that was read
        self._clock = clock
        self._report = report
        self._files: list[WatchedFile] = []
        self._rules: dict[str, AliasRule] = {}

    @classmethod
    def load(
        cls, path: Path | None, clock: Callable[[], float], report: Callable[[AliasesError], None] = _ignore
    ) -> AliasesFile:
        """Raises AliasesError when the file or one it includes is wrong or cannot be read."""
        aliases = cls(path, clock, report)
        aliases._read(missing_is_empty=True)
        return aliases

    @property
    def rules(self) -> Mapping[str, AliasRule]:
        """By name, without Include targets."""
        self.refresh()
        return self._rules

    def refresh(self) -> None:
        """Read the files again if one has changed; at most one look a second."""
        #  Asked several times for each message; a list, as a generator would cost more than what it asks.
        if True in [file.has_changed() for file in self._files]:
            try:
                self._read(missing_is_empty=False)
            except AliasesError as error:
                self._report(error)

    def expire(self) -> None:
        """The next look is not put off."""
        for file in self._files:
            file.expire()

    def _read(self, missing_is_empty: bool) -> None:
        if self.path is None:
            return
        self._files = []
        try:
            text = self._read_text(self.path)
        except FileNotFoundError:
            if not missing_is_empty:
                raise AliasesError([f"{self.path}:1:1: error: no such file"])
            text = ""
        rules = parse_aliases(text, str(self.path))
        problems: list[str] = []
        resolved = {name: self._resolve(rule, problems) for name, rule in rules.items()}
        if problems:
            raise AliasesError(problems)
        self._rules = resolved
        self.version += 1

    def _resolve(self, rule: AliasRule, problems: list[str]) -> AliasRule:
        if not any(isinstance(target, Include) for target in rule.targets):
            return rule
        targets: list[Target] = []
        for target in rule.targets:
            if isinstance(target, Include):
                targets += self._read_included(target, rule, problems)
            else:
                targets.append(target)
        return AliasRule(rule.name, tuple(targets), rule.line)

    def _read_included(self, target: Include, rule: AliasRule, problems: list[str]) -> tuple[Target, ...]:
        try:
            return parse_included(self._read_text(Path(target.path)), target.path)
        except FileNotFoundError:
            problems.append(f"{self.path}:{rule.line}:1: error: {target.path}: no such file")
        except AliasesError as error:
            problems.extend(error.problems)
        return ()

    def _read_text(self, path: Path) -> str:
        """Raises FileNotFoundError, and AliasesError for every other trouble."""
        watched = WatchedFile(path, self._clock)
        watched.mark()
        self._files.append(watched)
        try:
            with open(path, "rb") as file:
                content = file.read(_LARGEST + 1)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise AliasesError([f"{path}:1:1: error: {error.strerror}"])
        if len(content) > _LARGEST:
            raise AliasesError([f"{path}:1:1: error: larger than {_LARGEST // 1024 // 1024} MiB"])
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise AliasesError([f"{path}:{line}:1: error: not UTF-8"])
