"""Accounts whose tokens MercuryC fetches for its logins (`oauth:`), and what is known of two large providers.

Here: the settings, and what a preset fills in. Not here: what goes with what (oauth_checks.py), the tokens
(shared/oauth).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from shared.config.logins import parse_web_url
from shared.config.scalars import Duration, File, SecretFile, Several, Text, parse_word
from shared.config.setting import Parsed, Setting
from shared.mail.record import dataclass

WebUrl = Annotated[str, Parsed(parse_web_url)]


class Preset(StrEnum):
    MICROSOFT = "microsoft"
    GOOGLE = "google"


class Grant(StrEnum):
    """How the account comes to a token.

    DEVICE: somebody logs in on another device with a code (RFC 8628). BROWSER: somebody logs in with a browser and
    brings the code back (RFC 6749 §4.1, RFC 7636). CLIENT: the program itself is allowed (RFC 6749 §4.4). SERVICE: a
    signed word of the program, in the name of an account (RFC 7523 §2.1).
    """

    DEVICE = "device"
    BROWSER = "browser"
    CLIENT = "client"
    SERVICE = "service"

    @property
    def needs_person(self) -> bool:
        return self in (Grant.DEVICE, Grant.BROWSER)


class OAuth(Setting):
    """`tenant`: the organisation at Microsoft. `secret_file`, or `key` (with `certificate`, where the provider knows
    it by that), shows who we are. `subject`: with `grant: service`, in whose name. `authorities`: who signs the
    provider's certificate. `timeout`: for one answer. `ahead`: so long before it expires a token is renewed."""

    preset: Annotated[Preset, Parsed(parse_word(Preset))] | None = None
    tenant: Text = ""
    grant: Annotated[Grant, Parsed(parse_word(Grant))] = Grant.DEVICE
    client_id: Text
    secret_file: SecretFile | None = None
    certificate: File | None = None
    key: SecretFile | None = None
    subject: Text = ""
    scopes: Several[Text] | None = None
    token_url: WebUrl | None = None
    device_url: WebUrl | None = None
    login_url: WebUrl | None = None
    authorities: File | None = None
    timeout: Duration = 30.0
    ahead: Duration = 300.0


@dataclass(frozen=True, slots=True)
class Places:
    """Where to ask, and for what. Empty where nobody has said it."""

    token: str = ""
    device: str = ""
    login: str = ""
    scope: str = ""


def places_of(settings: OAuth) -> Places:
    """What the preset says, but for what is said beside it."""
    usual = _USUAL[settings.preset](settings) if settings.preset is not None else Places()
    return Places(
        settings.token_url or usual.token,
        settings.device_url or usual.device,
        settings.login_url or usual.login,
        " ".join(settings.scopes) if settings.scopes else usual.scope,
    )


def _microsoft(settings: OAuth) -> Places:
    #  https://learn.microsoft.com/exchange/client-developer/legacy-protocols: SMTP AUTH for a person wants SMTP.Send,
    #  for a program whatever the administrator has granted it; without offline_access there is no refresh token.
    base = f"https://login.microsoftonline.com/{settings.tenant or 'organizations'}/oauth2/v2.0"
    scope = "https://outlook.office.com/SMTP.Send offline_access"
    if not settings.grant.needs_person:
        scope = "https://outlook.office365.com/.default"
    return Places(f"{base}/token", f"{base}/devicecode", f"{base}/authorize", scope)


def _google(settings: OAuth) -> Places:
    return Places(
        "https://oauth2.googleapis.com/token",
        "https://oauth2.googleapis.com/device/code",
        "https://accounts.google.com/o/oauth2/v2/auth",
        "https://mail.google.com/",
    )


_USUAL = {Preset.MICROSOFT: _microsoft, Preset.GOOGLE: _google}
