"""A person gives the consent: by a code on another device (RFC 8628), or in a browser (RFC 6749 §4.1, 7636, 8252).

Here are the conversations with the provider; what the person sees and types comes in as arguments. Not here: the
command (shared/admin/login.py), what becomes of the token later (account.py).
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs, urlencode, urlsplit

from shared.config.oauth import OAuth, Preset
from shared.oauth.answers import (
    DeviceCode,
    Granted,
    Pending,
    Refused,
    Unavailable,
    parse_device_answer,
    parse_token_answer,
)
from shared.oauth.endpoint import Endpoint, EndpointDown
from shared.oauth.forms import Forms, challenge_of

#  RFC 8628 §3.5: so much slower after each complaint, and when nobody answered.
_SLOWER = 5.0
#  RFC 8252 §7.3: any port will do. Nobody listens there; the person copies the address.
REDIRECT = "http://127.0.0.1:8765/"


class LoginFailed(Exception):
    """There is no token; one line says why."""


async def by_device(
    endpoint: Endpoint,
    forms: Forms,
    show: Callable[[DeviceCode], object],
    sleep: Callable[[float], Awaitable[object]],
) -> Granted:
    """`show` the code, then ask until somebody has entered it. Raises LoginFailed and EndpointDown."""
    code = parse_device_answer(*await endpoint.ask(forms.places.device, forms.device()))
    if not isinstance(code, DeviceCode):
        raise LoginFailed(code.text)
    show(code)
    interval, left = code.interval, code.lifetime
    while left > 0:
        await sleep(interval)
        left -= interval
        try:
            answer = parse_token_answer(*await endpoint.ask(forms.places.token, forms.poll(code.device_code)))
        except EndpointDown as down:
            answer = Unavailable(str(down))
        match answer:
            case Granted():
                return answer
            case Refused():
                raise LoginFailed(answer.text)
            case Pending():
                interval += _SLOWER if answer.is_too_fast else 0.0
            case Unavailable():
                interval += _SLOWER
    raise LoginFailed("the code has expired before anybody entered it")


async def by_browser(
    settings: OAuth,
    endpoint: Endpoint,
    forms: Forms,
    bring: Callable[[str], str],
) -> Granted:
    """`bring` shows an address to open, and gives the one at which the browser arrived in the end. Raises LoginFailed
    and EndpointDown."""
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
    query = {
        "response_type": "code",
        "client_id": settings.client_id,
        "redirect_uri": REDIRECT,
        "scope": forms.places.scope,
        "state": state,
        "code_challenge": challenge_of(verifier),
        "code_challenge_method": "S256",
    }
    if settings.preset is Preset.GOOGLE:
        #  Google's way to say that the consent is to last.
        query |= {"access_type": "offline", "prompt": "consent"}
    mark = "&" if urlsplit(forms.places.login).query else "?"
    arrived = bring(f"{forms.places.login}{mark}{urlencode(query)}")
    code = _code_in(arrived, state)
    answer = parse_token_answer(*await endpoint.ask(forms.places.token, forms.code(code, REDIRECT, verifier)))
    if isinstance(answer, Granted):
        return answer
    raise LoginFailed(answer.text if isinstance(answer, (Refused, Unavailable)) else "the provider asks us to wait")


async def by_itself(endpoint: Endpoint, forms: Forms) -> Granted:
    """Without a person, to see whether it works. Raises LoginFailed and EndpointDown."""
    answer = parse_token_answer(*await endpoint.ask(forms.places.token, forms.own()))
    if isinstance(answer, Granted):
        return answer
    raise LoginFailed(answer.text if isinstance(answer, (Refused, Unavailable)) else "the provider asks us to wait")


def _code_in(arrived: str, state: str) -> str:
    try:
        found = parse_qs(urlsplit(arrived.strip()).query)
    except ValueError:
        found = {}
    if "error" in found:
        raise LoginFailed(found.get("error_description", found["error"])[0][:300])
    if "code" not in found:
        raise LoginFailed(f"that is no address with a code: it begins with {REDIRECT}?")
    if found.get("state") != [state]:
        raise LoginFailed("that address belongs to another login: begin again")
    return found["code"][0]
