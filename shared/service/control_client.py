"""Asking a daemon over its control socket (control.py)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from shared.service.control import DONE, LONGEST_REQUEST
from shared.spool.queue_entry import QueueEntry

#  How long an operator waits for a delivery to end.
LET_GO_SECONDS = 10.0
_MOMENT = 0.2
_SENDERS, _RELENT_SECONDS = ("mercury-c", "mercury-e"), 3.0


class Unanswered(Exception):
    """The daemon does not run, or says no; the message is for people. `is_down`: nobody listens."""

    def __init__(self, text: str, is_down: bool = False) -> None:
        super().__init__(text)
        self.is_down = is_down


class Declined(Unanswered):
    """It has heard, and says no."""


def socket_path(run: Path, daemon: str) -> Path:
    return run / f"{daemon}.sock"


async def ask(path: Path, request: Mapping[str, Any], seconds: float = 10.0) -> AsyncIterator[dict[str, Any]]:
    """The lines of the answer but the last. `seconds` may pass without a line. Raises Unanswered."""
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_unix_connection(path, limit=LONGEST_REQUEST), seconds)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise Unanswered(f"{path.stem} does not run here: nobody answers at {path}", is_down=True) from error
    except PermissionError as error:
        raise Unanswered(
            f"{path}: this account may not ask {path.stem}; act as root, or as a member of its group"
        ) from error
    except (OSError, TimeoutError) as error:
        raise Unanswered(f"{path}: nobody answers ({error or 'in time'})", is_down=True) from error
    try:
        writer.write(json.dumps(request).encode() + b"\n")
        while True:
            line = await asyncio.wait_for(reader.readline(), seconds)
            if not line:
                raise Unanswered(f"{path}: the daemon ended in the middle of its answer")
            answer = json.loads(line)
            if "end" not in answer:
                yield answer
                continue
            if answer["end"] != DONE:
                raise Declined(str(answer.get("reason", "refused")))
            return
    except (OSError, TimeoutError, ValueError) as error:
        raise Unanswered(f"{path}: no answer ({error or 'in time'})") from error
    finally:
        writer.close()


async def relent(run: Path) -> None:
    """Before mail is tried again at somebody's word: have those who send it dial whom they leave alone for a minute.

    Who does not run remembers nothing, and who does not answer goes on as it is.
    """
    for daemon in _SENDERS:
        try:
            async for _ in ask(socket_path(run, daemon), {"do": "relent"}, _RELENT_SECONDS):
                pass
        except Unanswered:
            continue


async def let_go(run: Path, entry: QueueEntry, owner: str, seconds: float = LET_GO_SECONDS) -> str:
    """Have the daemon that works on `entry` say when it has ended. Empty: look again; else why it stays untouched."""
    daemon = owner.partition(".")[0]
    if daemon == "mercury":
        await asyncio.sleep(_MOMENT)
        return ""  #  Another operator, who is done with it in a moment.
    request = {"do": "wait", "lane": entry.lane.word, "name": entry.name, "seconds": seconds}
    try:
        async for answer in ask(socket_path(run, daemon), request, seconds + 5):
            if answer.get("ended"):
                return ""
        return f"it is being delivered just now by {daemon}, which goes on; nothing was done, try again"
    except Unanswered as error:
        return f"it is being delivered just now by {owner}; nothing was done ({error})"
