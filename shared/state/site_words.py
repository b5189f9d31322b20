"""What is said of sites beside the configuration: the operator's orders, and what MercuryE found out about port 25.

Two files in the spool, since they decide in which lane mail waits and every host that shares the spool must read the
same: `site-orders.json`, written by `mercury site set`, and `port-25.json`, written by MercuryE. Both are replaced by
a rename, so that a reader sees the old one or the new one. Not here: what they come to (shared/routing/word.py).
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shared.maildir.tree import sync_folder
from shared.routing.site import SiteWord
from shared.routing.word import Detour, Order

ORDERS = "site-orders.json"
PORT_25 = "port-25.json"
_LARGEST = 1 << 20


class UnreadableWords(ValueError):
    """The file is there and makes no sense; the text says which and what to do."""


def read_orders(spool: Path, now: float) -> dict[str, Order]:
    """By site, those that are not over. Raises UnreadableWords, OSError."""
    return {name: order for name, order in _read_orders(spool).items() if not order.is_over(now)}


def read_detours(spool: Path) -> dict[str, Detour]:
    """By site, those that would relay if they are on `auto`. Raises UnreadableWords, OSError."""
    sites = read_port_25(spool).get("sites", {})
    with _sense(spool / PORT_25):
        return {
            str(name): Detour(float(site["since"]), str(site["reason"]))
            for name, site in sites.items()
            if site["is_relaying"]
        }


def read_port_25(spool: Path) -> dict[str, Any]:
    """As write_port_25 was given it. Raises UnreadableWords, OSError."""
    return _read(spool / PORT_25)


def write_port_25(spool: Path, document: Mapping[str, Any]) -> None:
    """Durable when this returns. Raises OSError."""
    _write(spool / PORT_25, document)


def change_orders(spool: Path, change: Callable[[dict[str, Order]], None], now: float) -> None:
    """Let `change` change what is in force; durable when this returns. Raises UnreadableWords, OSError."""
    with _alone(spool):
        orders = read_orders(spool, now)
        change(orders)
        _write(spool / ORDERS, {"sites": {name: _render(order) for name, order in orders.items()}})


def _read_orders(spool: Path) -> dict[str, Order]:
    document = _read(spool / ORDERS)
    with _sense(spool / ORDERS):
        return {
            str(name): Order(
                SiteWord(site["word"]),
                float(site["since"]),
                None if site["until"] is None else float(site["until"]),
                str(site["reason"]),
                str(site["by"]),
            )
            for name, site in document.get("sites", {}).items()
        }


def _render(order: Order) -> dict[str, Any]:
    return {
        "word": order.word.value,
        "since": order.since,
        "until": order.until,
        "reason": order.reason,
        "by": order.by,
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            text = file.read(_LARGEST)
    except FileNotFoundError:
        return {}
    with _sense(path):
        document = json.loads(text)
        if not isinstance(document, dict) or not isinstance(document.get("sites", {}), dict):
            raise ValueError
        return document


@contextmanager
def _sense(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UnreadableWords(f"{path} is damaged; remove it, and say again what was set by hand") from None


def _write(path: Path, document: Mapping[str, Any]) -> None:
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        with open(part, "w", encoding="utf-8", opener=_open_new) as file:
            _give_to_owner(file.fileno(), path.parent)
            json.dump(document, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.rename(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _open_new(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _give_to_owner(descriptor: int, folder: Path) -> None:
    """What root writes is the daemons'; where several accounts share the spool as one group, all of them read it."""
    spool = os.stat(folder)
    if os.geteuid() == 0:
        os.fchown(descriptor, spool.st_uid, spool.st_gid)
    os.fchmod(descriptor, 0o660 if spool.st_mode & 0o070 == 0o070 else 0o600)


@contextmanager
def _alone(spool: Path) -> Iterator[None]:
    """Two operators at once: one waits for the other."""
    descriptor = os.open(spool, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
