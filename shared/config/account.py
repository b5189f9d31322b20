"""One account, and the users file as text: parsed with every problem in it, and rendered again.

    anna@hq.example: {password: "scrypt:16384:8:1:...", disabled: false}
    archive@hq.example: {}

Not here: where the file is, when it is read (accounts.py), how passwords are kept (passwords.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import yaml

from shared.config.passwords import PasswordHash, parse_password_hash
from shared.config.scalars import parse_size
from shared.config.scram import parse_scram_keys, render_scram_keys
from shared.mail.address import Address, AddressError, parse_address
from shared.mail.record import dataclass
from shared.mail.reply import printable
from shared.smtp.sasl_scram import ScramKeys

_FIRST_LINE = (
    "# Written by `mercury user`: address: {password, scram, disabled, name, quota}.\n"
    "# Comments added by hand are not kept.\n"
)
#  libyaml where it is there: ten times as fast, the same values and positions.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEEPEST = 8
_LONGEST_NAME = 200
FIELDS = "password, scram, disabled, name and quota"


@dataclass(frozen=True, slots=True)
class Account:
    """A mailbox. Without a password nobody can log in to it; `disabled` closes the login, and mail still arrives.

    `scram` is of the same password; an account from before there was SCRAM has none until its password is set again.
    `name` is how people call its owner. `quota` in octets: None as `local.quota` says, 0 without a limit.
    """

    address: Address
    password: PasswordHash | None = None
    disabled: bool = False
    scram: ScramKeys | None = None
    name: str = ""
    quota: int | None = None

    @property
    def key(self) -> str:
        return self.address.key


class AccountsError(ValueError):
    """The users file cannot be used. `problems` are all of them, each `file:line:column: error: ...`."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def parse_accounts(text: bytes, source: str) -> dict[str, Account]:
    """The accounts in a users file by `Address.key`. Raises AccountsError with every problem in it."""
    try:
        if _is_deep(text):
            raise AccountsError([f"{source}:1:1: error: brackets stand too deep within each other"])
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
        raise AccountsError([f"{source}:{where}: error: {printable(error.problem or 'not YAML')}"])
    except (yaml.YAMLError, UnicodeError) as error:
        raise AccountsError([f"{source}:1:1: error: not YAML: {printable(str(error).splitlines()[0])}"])
    reader = _Reader(source)
    if root is not None:
        reader.read_file(root)
    if reader.problems:
        raise AccountsError(reader.problems)
    return reader.accounts


def _is_deep(text: bytes) -> bool:
    """Composing recurses for each level, in libyaml until the process dies; reading events does not."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            return True
    return False


class _Reader:
    """Walks the nodes of a users file and gathers accounts and problems."""

    def __init__(self, source: str) -> None:
        self._source = source
        self.accounts: dict[str, Account] = {}
        self.problems: list[str] = []

    def read_file(self, root: yaml.Node) -> None:
        if not isinstance(root, yaml.MappingNode):
            self._problem(root, "expected `address: {password: ..., disabled: ...}`")
            return
        for name, fields in root.value:
            self._read_account(name, fields)

    def _read_account(self, heading: yaml.Node, fields: yaml.Node) -> None:
        address = self._address(heading)
        password: PasswordHash | None = None
        scram: ScramKeys | None = None
        name = ""
        quota: int | None = None
        disabled = False
        for key, value in self._fields(fields):
            match key.value:
                case "password":
                    password = self._password(value)
                case "scram":
                    scram = self._scram(value)
                case "name":
                    name = self._name(value)
                case "quota":
                    quota = self._quota(value)
                case "disabled":
                    disabled = self._truth(value)
                case other:
                    self._problem(key, f"unknown field {printable(str(other))!r}: there are {FIELDS}")
        if address is None:
            return
        if address.key in self.accounts:
            self._problem(heading, f"{printable(address.key)} stands here twice (case makes no difference)")
        self.accounts[address.key] = Account(address, password, disabled, scram, name, quota)

    def _address(self, node: yaml.Node) -> Address | None:
        if not isinstance(node, yaml.ScalarNode):
            self._problem(node, "expected an address")
            return None
        try:
            address = parse_address(node.value)
            check_mailbox_name(address)
        except AddressError as error:
            self._problem(node, f"{printable(node.value)!r}: {error}")
            return None
        return address

    def _fields(self, node: yaml.Node) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
        if isinstance(node, yaml.ScalarNode) and node.value in ("", "~", "null") and not node.style:
            return []
        if not isinstance(node, yaml.MappingNode):
            self._problem(node, "expected {password: ..., disabled: ...}, or {} for a mailbox without a login")
            return []
        fields = [(key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]
        if len(fields) < len(node.value) or len({key.value for key, _ in fields}) < len(fields):
            self._problem(node, "a field is not a word, or stands here twice")
        return fields

    def _password(self, node: yaml.Node) -> PasswordHash | None:
        #  The value may be a password in clear, put here by hand: it is not repeated in the error.
        try:
            return parse_password_hash(node.value if isinstance(node, yaml.ScalarNode) else "")
        except ValueError as error:
            self._problem(node, f"password: {error}")
            return None

    def _scram(self, node: yaml.Node) -> ScramKeys | None:
        try:
            return parse_scram_keys(node.value if isinstance(node, yaml.ScalarNode) else "")
        except ValueError as error:
            self._problem(node, f"scram: {error}")
            return None

    def _truth(self, node: yaml.Node) -> bool:
        if isinstance(node, yaml.ScalarNode) and node.value in ("true", "false"):
            return bool(node.value == "true")
        self._problem(node, "disabled: expected true or false")
        return False

    def _name(self, node: yaml.Node) -> str:
        try:
            return check_name(node.value if isinstance(node, yaml.ScalarNode) else "")
        except ValueError as error:
            self._problem(node, f"name: {error}")
            return ""

    def _quota(self, node: yaml.Node) -> int | None:
        try:
            return parse_quota(node.value if isinstance(node, yaml.ScalarNode) else None)
        except ValueError as error:
            self._problem(node, f"quota: {error}")
            return None

    def _problem(self, node: yaml.Node, text: str) -> None:
        mark = node.start_mark
        self.problems.append(f"{self._source}:{mark.line + 1}:{mark.column + 1}: error: {text}")


def check_mailbox_name(address: Address) -> None:
    """Raises AddressError when `address` cannot name a folder: what is accepted here becomes part of a path."""
    for part in (address.local, address.domain):
        if not part or part.startswith(".") or "/" in part or not part.isprintable():
            raise AddressError("a mailbox name is not empty and has no /, no leading dot and no control characters")


def check_name(text: str) -> str:
    """A person's name as it is; raises ValueError when it is none."""
    if not text.strip() or not text.isprintable() or len(text) > _LONGEST_NAME:
        raise ValueError(f"expected the name of a person, on one line, of at most {_LONGEST_NAME} characters")
    return " ".join(text.split())


def parse_quota(value: object) -> int:
    """Octets, or 0 for the word `none`: no limit. Raises ValueError."""
    return 0 if value == "none" else parse_size(value)


def render_accounts(accounts: Iterable[Account]) -> str:
    """The users file. JSON strings are YAML strings, and quote whatever an address may contain."""
    lines = [_FIRST_LINE]
    for account in accounts:
        fields = [f'password: "{account.password.render()}"'] if account.password else []
        if account.scram:
            fields.append(f'scram: "{render_scram_keys(account.scram)}"')
        if account.name:
            fields.append(f"name: {json.dumps(account.name, ensure_ascii=False)}")
        if account.quota is not None:
            fields.append(f"quota: {account.quota or 'none'}")
        if account.disabled:
            fields.append("disabled: true")
        name = str(account.address)
        if not all(character.isascii() and (character.isalnum() or character in "@.-_+") for character in name):
            name = json.dumps(name, ensure_ascii=False)
        lines.append(f"{name}: {{{', '.join(fields)}}}\n")
    return "".join(lines)
