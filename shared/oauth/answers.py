"""Pure: what a token endpoint answers, as values (RFC 6749 §5, RFC 8628 §3.2, §3.5). No token is in any repr."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field

from shared.mail.record import dataclass
from shared.mail.reply import printable

#  RFC 6750 §2.1   b64token; nothing else may stand in a login (RFC 7628 §3.1).
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,16384}=*\Z")
#  RFC 6749 §5.1 recommends to say it, and some do not.
_USUAL_LIFETIME = 3600.0
#  RFC 6749 §4.1.2.1, RFC 8628 §3.5: it will be better later.
_PASSING = frozenset({"temporarily_unavailable", "server_error"})
_LONGEST_WORDS = 300


@dataclass(frozen=True, slots=True)
class Granted:
    """`lifetime`: seconds from now. `refresh_token` empty: the one we have stays good, if there is one."""

    token: str = field(repr=False)
    lifetime: float
    refresh_token: str = field(repr=False, default="")


@dataclass(frozen=True, slots=True)
class Refused:
    """`error` is the code, as `invalid_grant`; `text` says it for people."""

    error: str
    text: str


@dataclass(frozen=True, slots=True)
class Pending:
    """Nobody has entered the code yet; `is_too_fast`: ask less often."""

    is_too_fast: bool = False


@dataclass(frozen=True, slots=True)
class Unavailable:
    """No word about us or our account; `text` says what happened."""

    text: str


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What a person needs to log in on another device. `interval` and `lifetime` in seconds."""

    device_code: str = field(repr=False)
    user_code: str
    place: str
    interval: float
    lifetime: float


Answer = Granted | Refused | Pending | Unavailable


def parse_token_answer(status: int, body: Mapping[str, object] | None) -> Answer:
    """`body`: the JSON object of the answer, None when it was none."""
    if body is None or status >= 500 or status == 429:
        return Unavailable(f"it answered with status {status}" + ("" if body is not None else " and no JSON"))
    token = body.get("access_token")
    if status == 200 and isinstance(token, str):
        return _granted(token, body)
    error = body.get("error")
    if not isinstance(error, str):
        return Unavailable(f"it answered with status {status} and neither a token nor an error")
    if error in ("authorization_pending", "slow_down"):
        return Pending(error == "slow_down")
    said = body.get("error_description")
    words = printable(f"{error}: {said}" if isinstance(said, str) and said else error)[:_LONGEST_WORDS]
    return Unavailable(words) if error in _PASSING else Refused(printable(error)[:64], words)


def parse_device_answer(status: int, body: Mapping[str, object] | None) -> DeviceCode | Refused | Unavailable:
    if status == 200 and body is not None:
        code, user_code = body.get("device_code"), body.get("user_code")
        #  Google wrote it so before there was an RFC.
        place = body.get("verification_uri") or body.get("verification_url")
        if isinstance(code, str) and isinstance(user_code, str) and isinstance(place, str):
            interval, lifetime = _seconds(body.get("interval"), 5.0), _seconds(body.get("expires_in"), 900.0)
            return DeviceCode(code, printable(user_code), printable(place), interval, lifetime)
    answer = parse_token_answer(status, body)
    return answer if isinstance(answer, (Refused, Unavailable)) else Unavailable("it gave no code")


def _granted(token: str, body: Mapping[str, object]) -> Granted | Unavailable:
    kind, refresh = body.get("token_type"), body.get("refresh_token")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        return Unavailable("it gave a token of another type than Bearer")
    if not _TOKEN.match(token):
        return Unavailable("it gave a token that cannot be sent in a login")
    lifetime = _seconds(body.get("expires_in"), _USUAL_LIFETIME)
    return Granted(token, lifetime, refresh if isinstance(refresh, str) else "")


def _seconds(value: object, usual: float) -> float:
    """Microsoft and others have written numbers as text now and then."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:
        value = int(value)
    return float(value) if isinstance(value, (int, float)) and 0 < value < 1e11 else usual
