"""An OAuth provider that is not ours: Authlib's authorization server behind Flask, with TLS, on loopback.

Device codes (RFC 8628), authorization codes with PKCE (RFC 6749, 7636), client credentials by secret or by signed word
(RFC 7523 §2.2), a service's own word (RFC 7523 §2.1), refresh tokens that are rotated. A test turns its knobs:
`lifetime` of tokens, `gate`, `broken`, `revoke_all`, `cancel_tokens`. Not here: anything of Mercury.
"""

from __future__ import annotations

import secrets
import ssl
import threading
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion, JWTBearerGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc8628 import DEVICE_CODE_GRANT_TYPE, DeviceAuthorizationEndpoint, DeviceCodeGrant
from flask import Flask, request
from werkzeug.serving import make_server

SECRET = "client-s3cret"
USER = "office@hq.example"


class Client:
    """Satisfies Authlib's ClientMixin for one kind of client."""

    def __init__(self, client_id: str, methods: tuple[str, ...], public_key: str = "") -> None:
        self.client_id = client_id
        self.methods = methods
        self.public_key = public_key

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        return ""

    def get_allowed_scope(self, scope: str) -> str:
        return scope or ""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri.startswith("http://127.0.0.1")

    def check_client_secret(self, client_secret: str) -> bool:
        return secrets.compare_digest(client_secret, SECRET)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in self.methods

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return True


class Token(SimpleNamespace):
    """What was given; `client` and `user` are the provider's."""

    def check_client(self, client: Client) -> bool:
        return bool(self.client_id == client.client_id)

    def get_scope(self) -> str:
        return str(self.scope)

    def get_expires_in(self) -> int:
        return int(self.lifetime)

    def is_expired(self) -> bool:
        return time.time() >= self.expires

    def is_revoked(self) -> bool:
        return bool(self.revoked)


class DeviceCredential(SimpleNamespace):
    def get_client_id(self) -> str:
        return str(self.client_id)

    def get_scope(self) -> str:
        return str(self.scope)

    def get_user_code(self) -> str:
        return str(self.user_code)

    def is_expired(self) -> bool:
        return time.time() >= self.expires


class Code(SimpleNamespace):
    def get_redirect_uri(self) -> str:
        return str(self.redirect_uri)

    def get_scope(self) -> str:
        return str(self.scope)


class Provider:
    """`public_keys`: client → PEM of those who sign. `requests` counts what was asked for, by grant type."""

    def __init__(self, certificate: Path, key: Path, public_keys: dict[str, str] | None = None) -> None:
        self.lifetime = 3600
        self.gate = threading.Event()  #  while it is not set, the token page keeps everybody waiting
        self.gate.set()
        self.broken = False
        self.requests: Counter[str] = Counter()
        self.tokens: dict[str, Token] = {}
        self.refresh_tokens: dict[str, Token] = {}
        self.devices: dict[str, DeviceCredential] = {}
        self.codes: dict[str, Code] = {}
        self.approved: set[str] = set()
        self.seen: set[str] = set()
        self.clients = {
            "office-app": Client("office-app", ("none", "client_secret_basic")),
            "daemon-app": Client("daemon-app", ("client_secret_basic",)),
        }
        for name, public in (public_keys or {}).items():
            self.clients[name] = Client(name, ("client_assertion_jwt", "none"), public)
        app = _pages(self)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        self._server = make_server("127.0.0.1", 0, app, threaded=True, ssl_context=tls)
        self.url = f"https://localhost:{self._server.server_port}"
        self.authorities = str(certificate)

    @property
    def token_url(self) -> str:
        return f"{self.url}/token"

    def start(self) -> Provider:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def stop(self) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()

    def approve(self) -> None:
        """The person enters each code that was shown, and agrees."""
        self.approved |= {device.user_code for device in self.devices.values()}

    def revoke_all(self) -> None:
        """The person withdraws the consent."""
        for token in [*self.tokens.values(), *self.refresh_tokens.values()]:
            token.revoked = True

    def cancel_tokens(self) -> None:
        """Access tokens end before their time; the consent stands."""
        for token in list(self.tokens.values()):
            token.revoked = True

    def is_good(self, token: str) -> bool:
        kept = self.tokens.get(token)
        return kept is not None and not kept.is_expired() and not kept.is_revoked()

    # -- what Authlib asks for -------------------------------------------------------------------------------------

    def save(self, given: dict[str, Any], asked: Any) -> None:
        now = time.time()
        token = Token(
            client_id=asked.client.client_id,
            user=asked.user or USER,
            scope=given.get("scope", ""),
            lifetime=given["expires_in"],
            expires=now + given["expires_in"],
            revoked=False,
        )
        self.tokens[given["access_token"]] = token
        if "refresh_token" in given:
            self.refresh_tokens[given["refresh_token"]] = Token(**{**vars(token), "expires": now + 86400})


def _pages(provider: Provider) -> Flask:
    app = Flask("provider")
    server = AuthorizationServer(app, query_client=provider.clients.get, save_token=provider.save)
    server.register_token_generator("default", lambda **asked: _new_token(provider, **asked))
    server.register_client_auth_method(JWTBearerClientAssertion.CLIENT_AUTH_METHOD, _assertion(provider))
    server.register_grant(_refresh(provider))
    server.register_grant(_code(provider), [CodeChallenge(required=True)])
    server.register_grant(_device(provider))
    server.register_grant(_service(provider))
    server.register_endpoint(_device_page(provider))
    server.register_grant(_ClientCredentials)

    @app.post("/token")
    def token() -> Any:
        provider.requests[request.form.get("grant_type", "")] += 1
        provider.gate.wait(120)
        if provider.broken:
            return "out of order", 503
        return server.create_token_response()

    @app.post("/device")
    def device() -> Any:
        return server.create_endpoint_response("device_authorization")

    @app.get("/login")
    def login() -> Any:
        """The person agrees at once."""
        grant = server.get_consent_grant(end_user=USER)
        return server.create_authorization_response(request=None, grant_user=USER, grant=grant)

    return app


def _new_token(provider: Provider, grant_type: str, client: Client, scope: str = "", **_: Any) -> dict[str, Any]:
    token = {
        "token_type": "Bearer",
        "access_token": secrets.token_urlsafe(24),
        "expires_in": provider.lifetime,
        "scope": scope or "",
    }
    if grant_type not in ("client_credentials", JWTBearerGrant.GRANT_TYPE):
        token["refresh_token"] = secrets.token_urlsafe(24)
    return token


class _ClientCredentials(grants.ClientCredentialsGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic", "client_assertion_jwt")


def _refresh(provider: Provider) -> type:
    class Refresh(grants.RefreshTokenGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS = ("none", "client_secret_basic", "client_assertion_jwt")
        INCLUDE_NEW_REFRESH_TOKEN = True

        def authenticate_refresh_token(self, refresh_token: str) -> Token | None:
            kept = provider.refresh_tokens.get(refresh_token)
            return None if kept is None or kept.is_revoked() or kept.is_expired() else kept

        def authenticate_user(self, refresh_token: Token) -> str:
            return str(refresh_token.user)

        def revoke_old_credential(self, refresh_token: Token) -> None:
            refresh_token.revoked = True

    return Refresh


def _code(provider: Provider) -> type:
    class AuthorizationCode(grants.AuthorizationCodeGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS = ("none", "client_secret_basic")

        def save_authorization_code(self, code: str, asked: Any) -> Code:
            data = asked.payload.data
            kept = Code(
                client_id=asked.client.client_id,
                redirect_uri=data.get("redirect_uri", ""),
                scope=data.get("scope", ""),
                code_challenge=data.get("code_challenge"),
                code_challenge_method=data.get("code_challenge_method"),
            )
            provider.codes[code] = kept
            return kept

        def query_authorization_code(self, code: str, client: Client) -> Code | None:
            return provider.codes.get(code)

        def delete_authorization_code(self, authorization_code: Code) -> None:
            for code, kept in list(provider.codes.items()):
                if kept is authorization_code:
                    del provider.codes[code]

        def authenticate_user(self, authorization_code: Code) -> str:
            return USER

    return AuthorizationCode


def _device(provider: Provider) -> type:
    class Device(DeviceCodeGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS = ("none", "client_secret_basic")

        def query_device_credential(self, device_code: str) -> DeviceCredential | None:
            return provider.devices.get(device_code)

        def query_user_grant(self, user_code: str) -> tuple[str, bool] | None:
            return (USER, True) if user_code in provider.approved else None

        def should_slow_down(self, credential: DeviceCredential) -> bool:
            return False

    assert Device.GRANT_TYPE == DEVICE_CODE_GRANT_TYPE
    return Device


def _device_page(provider: Provider) -> type:
    class DevicePage(DeviceAuthorizationEndpoint):  # type: ignore[misc]
        CLIENT_AUTH_METHODS = ("none", "client_secret_basic")
        INTERVAL = 1

        def get_verification_uri(self) -> str:
            return f"{provider.url}/activate"

        def save_device_credential(self, client_id: str, scope: str, data: dict[str, Any]) -> None:
            expires = time.time() + data["expires_in"]
            kept = DeviceCredential(client_id=client_id, scope=scope, user_code=data["user_code"], expires=expires)
            provider.devices[data["device_code"]] = kept

    return DevicePage


def _assertion(provider: Provider) -> JWTBearerClientAssertion:
    class Assertion(JWTBearerClientAssertion):  # type: ignore[misc]
        def validate_jti(self, claims: dict[str, Any], jti: str) -> bool:
            is_new = jti not in provider.seen
            provider.seen.add(jti)
            return is_new

        def get_audiences(self) -> list[str]:
            return [provider.token_url]

        def resolve_client_public_key(self, client: Client) -> str:
            return client.public_key

    return Assertion()


def _service(provider: Provider) -> type:
    class Service(JWTBearerGrant):  # type: ignore[misc]
        def resolve_issuer_client(self, issuer: str) -> Client | None:
            return provider.clients.get(issuer)

        def get_audiences(self) -> list[str]:
            return [provider.token_url]

        def resolve_client_public_key(self, client: Client) -> str:
            return client.public_key

        def authenticate_user(self, subject: str) -> str | None:
            return subject if subject == USER else None

        def has_granted_permission(self, client: Client, user: str) -> bool:
            return True

    return Service
