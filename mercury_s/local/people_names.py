"""Addresses made of people's names: "Anna Maria Berg" is anna.berg, anna.maria.berg and a.berg, and so with `_`.

Pure tables. What fits two accounts of a domain is nobody's: mail must not reach whoever came first in a file. Not
here: where names are kept (shared/config/account.py), in which order addresses are looked up (directory.py).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping

from shared.config.account import Account
from shared.mail.address import lower

_SEPARATORS = "._"
#  What people type who have no such keys; NFKD alone would make "u" of "ü" and nothing of "ß".
_TYPED = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "ø": "oe", "å": "aa", "œ": "oe",
                        "þ": "th", "ð": "d", "ł": "l", "đ": "d"})  # fmt: skip
_STRIPPED = str.maketrans({"ß": "ss", "æ": "ae", "ø": "o", "œ": "oe", "þ": "th", "ð": "d", "ł": "l", "đ": "d"})


def variants(name: str) -> Iterator[str]:
    """The local parts that a name is found by, in lower case; none for a name of one word."""
    for spelling in _spellings(lower(unicodedata.normalize("NFC", name))):
        words = [word for word in map(_letters, spelling.split()) if word]
        if len(words) < 2:
            continue
        for separator in _SEPARATORS:
            yield f"{words[0]}{separator}{words[-1]}"
            yield separator.join(words)
            yield f"{words[0][0]}{separator}{words[-1]}"


def tabulate(accounts: Iterable[Account]) -> tuple[dict[str, Account], dict[str, list[Account]]]:
    """Accounts by `variant@domain`, and the variants that fit more than one account."""
    found: dict[str, list[Account]] = {}
    for account in accounts:
        if account.name:
            domain = account.address.ascii_domain
            for variant in dict.fromkeys(variants(account.name)):
                found.setdefault(f"{variant}@{domain}", []).append(account)
    single = {key: those[0] for key, those in found.items() if len(those) == 1}
    return single, {key: those for key, those in found.items() if len(those) > 1}


class PeopleNames:
    """The table of the accounts in force, made anew when they are others."""

    def __init__(self, accounts: Callable[[], Mapping[str, Account]]) -> None:
        self._accounts = accounts
        self._seen: Mapping[str, Account] | None = None
        self._single: dict[str, Account] = {}
        self._shared: dict[str, list[Account]] = {}

    def find(self, key: str) -> Account | None:
        """The one account that `key`, an address in lower case, names by its owner's name."""
        self._refresh()
        return self._single.get(key)

    def ambiguous(self) -> list[str]:
        """One line for each address that fits several people, for the operator."""
        self._refresh()
        return [
            f"{key} is nobody's: it fits {' and '.join(str(account.address) for account in those)}"
            for key, those in self._shared.items()
        ]

    def _refresh(self) -> None:
        accounts = self._accounts()
        if accounts is not self._seen:
            self._single, self._shared = tabulate(accounts.values())
            self._seen = accounts


def _spellings(name: str) -> Iterator[str]:
    yield name
    yield _plain(name.translate(_TYPED))
    yield _plain(name.translate(_STRIPPED))


def _plain(text: str) -> str:
    """Without accents."""
    return "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))


def _letters(word: str) -> str:
    """Letters, digits and hyphens: neither "O'Neill" nor "jun." brings its punctuation into an address."""
    return "".join(letter for letter in word if letter.isalnum() or letter == "-").strip("-")
