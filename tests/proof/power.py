"""What a disk must hold after the power was cut: spool and Maildirs on it, mail of both kinds running."""

from __future__ import annotations

from pathlib import Path

from account import is_whole, token_of
from mailsite import Site

from shared.routing.lane import Lane
from shared.spool.names import parse_name, split_claimed
from shared.spool.record import RecordError, parse_record


class Findings:
    """What is on one disk: the tokens of whole messages, and the files that are torn."""

    def __init__(self, place: Path) -> None:
        self.tokens: set[str] = set()
        self.torn: list[str] = []
        for lane in Lane:
            for part in ("new", "cur"):
                for path in (place / "spool" / lane.value / part).iterdir():
                    self._take(path, _message_of_entry(path))
        for path in place.glob("mail/*/*/new/*"):
            self._take(path, path.read_bytes())

    def _take(self, path: Path, message: bytes | None) -> None:
        token = token_of(message) if message is not None else ""
        if message is not None and token and is_whole(message, token):
            self.tokens.add(token)
        else:
            self.torn.append(f"{path} ({path.lstat().st_size} octets)")


def _message_of_entry(path: Path) -> bytes | None:
    """None when it is no entry that can be trusted."""
    name = parse_name(split_claimed(path.name)[0])
    data = path.read_bytes()
    if name is None or name.size != len(data):
        return None
    try:
        return data[parse_record(data)[1] :]
    except RecordError:
        return None


def live_on(site: Site, place: Path, hop: tuple[str, int], sync: str = "files") -> None:
    """Spool and Maildirs on the disk at `place`; everything else stays where it is. `sync`: the setting queue.sync."""
    site.config["spool"] = str(place / "spool")
    site.config["queue"] = {"sync": sync}
    site.config["local"]["maildir"] = str(place / "mail") + "/{domain}/{user}"
    #  Room for a message and a half of this must be free.
    site.config["receive"]["max_message_size"] = "1M"
    site.relay_to(hop)
    site.write_config()
