"""Conduct: what one session has done that few honest clients do, and when it was once too often.

Made for the first such thing only; most sessions have none. What it means beyond the session is porter.py.
"""

from __future__ import annotations

from mercury_s.door import Door
from mercury_s.porter import Offence
from shared.mail.reply import Reply

TOO_MANY_UNKNOWN = Reply(421, "4.7.0", "Too many recipients that are not here; check your list, closing")
TOO_MANY_RELAY_ATTEMPTS = Reply(421, "4.7.0", "Too many recipients elsewhere; you may not relay here, closing")
TOO_MANY_FAILED_LOGINS = Reply(421, "4.7.0", "Too many wrong logins; check login and password, closing")


class Conduct:
    """`is_ours`: never blacklisted."""

    __slots__ = ("_client", "_counts", "_door", "_is_ours")

    def __init__(self, door: Door, client: str, is_ours: bool) -> None:
        self._door = door
        self._client = client
        self._is_ours = is_ours
        self._counts = dict.fromkeys(Offence, 0)

    def note(self, offence: Offence) -> Reply | None:
        """One more; the last word to this client, if it was one too many."""
        self._counts[offence] += 1
        is_banned = not self._is_ours and self._door.porter.note(offence, self._client)
        most, last_word = self._limit(offence)
        return last_word if is_banned or self._counts[offence] >= most else None

    def _limit(self, offence: Offence) -> tuple[int, Reply]:
        match offence:
            case Offence.UNKNOWN_RECIPIENT:
                return self._door.most_unknown, TOO_MANY_UNKNOWN
            case Offence.RELAY_ATTEMPT:
                return self._door.most_relay_attempts, TOO_MANY_RELAY_ATTEMPTS
            case Offence.FAILED_LOGIN:
                return self._door.most_failed_logins, TOO_MANY_FAILED_LOGINS
