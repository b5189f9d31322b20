"""What is asked of a token endpoint, and how we show who we are (RFC 6749, 7523, 7636, 8628).

We are known by a secret, by a word signed with a key (`private_key_jwt`), or by our name alone, as programs are that
run at people's homes. Not here: the request itself (endpoint.py), what comes back (answers.py).
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import field
from urllib.parse import quote_plus

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from shared.config.oauth import Grant, OAuth, Preset, places_of
from shared.mail.record import dataclass

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CLIENT_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
#  Seconds; RFC 7523 §3 wants it short, and clocks differ.
_ASSERTION_LIFETIME = 300


class ProofUnusable(ValueError):
    """The secret, key or certificate that shows who we are cannot be used; one line says why."""


@dataclass(frozen=True, slots=True)
class Form:
    """One request: its fields, and the value of Authorization, if it has one."""

    fields: dict[str, str] = field(repr=False)
    authorization: str = field(repr=False, default="")


class Forms:
    """For one account. `read_secret` gives the line in a file, or raises ValueError; `now` is Unix time."""

    def __init__(self, settings: OAuth, read_secret: Callable[[str], str], now: Callable[[], float]) -> None:
        self._settings = settings
        self._read_secret = read_secret
        self._now = now
        self.places = places_of(settings)

    def refresh(self, refresh_token: str) -> Form:
        return self._form({"grant_type": "refresh_token", "refresh_token": refresh_token})

    def own(self) -> Form:
        """For what the program may do without anybody's consent. Raises ProofUnusable."""
        if self._settings.grant is Grant.CLIENT:
            return self._form({"grant_type": "client_credentials", "scope": self.places.scope})
        claims = {"iss": self._settings.client_id, "sub": self._settings.subject, "scope": self.places.scope}
        return Form({"grant_type": JWT_BEARER, "assertion": self._signed(claims)})

    def device(self) -> Form:
        return self._form({"scope": self.places.scope})

    def poll(self, device_code: str) -> Form:
        return self._form({"grant_type": DEVICE_CODE, "device_code": device_code})

    def code(self, code: str, redirect: str, verifier: str) -> Form:
        fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect}
        return self._form({**fields, "code_verifier": verifier})

    def _form(self, fields: dict[str, str]) -> Form:
        """With who we are. Raises ProofUnusable."""
        settings, fields = self._settings, {name: value for name, value in fields.items() if value}
        if settings.key is not None:
            claims = {"iss": settings.client_id, "sub": settings.client_id}
            who = {"client_assertion_type": CLIENT_ASSERTION, "client_assertion": self._signed(claims)}
            return Form({**fields, "client_id": settings.client_id, **who})
        if settings.secret_file is None:
            return Form({**fields, "client_id": settings.client_id})
        secret = self._read_secret(str(settings.secret_file))
        if settings.preset is not None:
            #  Both large providers describe this way, and not the other.
            return Form({**fields, "client_id": settings.client_id, "client_secret": secret})
        #  RFC 6749 §2.3.1: every server must know this one; both parts are form-encoded before they are joined.
        pair = f"{quote_plus(settings.client_id)}:{quote_plus(secret)}"
        return Form(fields, "Basic " + base64.b64encode(pair.encode()).decode("ascii"))

    def _signed(self, claims: dict[str, str]) -> str:
        """RFC 7523 §3."""
        import jwt  #  only for those who sign

        now = int(self._now())
        times = {"iat": now, "nbf": now - 30, "exp": now + _ASSERTION_LIFETIME, "jti": secrets.token_urlsafe(16)}
        try:
            key, headers = self._key()
            algorithm = _algorithm(key, self._settings.preset)
            return jwt.encode({**claims, "aud": self.places.token, **times}, key, algorithm, headers)
        except OSError as error:
            raise ProofUnusable(f"{error.filename}: cannot be read: {error.strerror}") from None
        except (ValueError, TypeError, KeyError, jwt.PyJWTError):
            #  What the library says may quote the key.
            raise ProofUnusable(f"{self._settings.key}: is no private key in PEM that can sign") from None

    def _key(self) -> tuple[ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, dict[str, str]]:
        """The key, and the names by which the provider knows it."""
        settings, headers = self._settings, dict[str, str]()
        assert settings.key is not None
        text = settings.key.read_bytes()
        if text.lstrip().startswith(b"{"):  #  as Google hands it out
            kept = json.loads(text)
            text, headers["kid"] = kept["private_key"].encode(), str(kept["private_key_id"])
        if settings.certificate is not None:
            certificate = x509.load_pem_x509_certificate(settings.certificate.read_bytes())
            headers["x5t"] = _base64url(certificate.fingerprint(SHA1()))
            headers["x5t#S256"] = _base64url(certificate.fingerprint(SHA256()))
        key = load_pem_private_key(text, None)
        if not isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
            raise ValueError("a key of another kind")
        return key, headers


def challenge_of(verifier: str) -> str:
    """RFC 7636 §4.2, S256."""
    return _base64url(hashlib.sha256(verifier.encode()).digest())


def _algorithm(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, preset: Preset | None) -> str:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return {"secp256r1": "ES256", "secp384r1": "ES384"}[key.curve.name]
    return "PS256" if preset is Preset.MICROSOFT else "RS256"


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode("ascii").rstrip("=")
