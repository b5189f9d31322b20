"""OAuth, with a provider that is not ours and a smarthost that takes its tokens: logins, expiry, revocation, delay."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from clients import send
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from deadline import eventually, stays
from fakes.certificates import make_certificate
from fakes.provider import SECRET, USER, Provider
from fakes.token_smarthost import TokenSmarthost
from mailsite import Site
from peers import FarEnd
from process import free_port

SENDER = "bert@hq.example"
#  aiosmtpd does not see that TLS is there from the first octet; Authlib tells its own users of coming changes.
pytestmark = pytest.mark.filterwarnings("ignore")


class Scene:
    """A site whose smarthost wants tokens of the provider."""

    def __init__(self, site: Site, root: Path) -> None:
        self.site = site
        certificate, key = make_certificate(root, ["localhost", "127.0.0.1"])
        own, own_key = make_certificate(root, ["mercury"], kind="rsa")
        public = load_pem_private_key(own_key.read_bytes(), None).public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        self.certificate, self.own, self.own_key = certificate, own, own_key
        self.secret = root / "client-secret"
        self.secret.write_text(SECRET + "\n")
        self.secret.chmod(0o600)
        self.provider = Provider(certificate, key, {"signed-app": pem}).start()
        self.smarthost = TokenSmarthost(free_port("127.0.0.1"), certificate, key, self.provider.is_good).start()

    def configure(self, **account: Any) -> None:
        provider = self.provider
        self.site.here["smarthosts"] = [
            {"host": "127.0.0.1", "port": self.smarthost.port, "implicit": True, "login": USER, "oauth": "office",
             "authorities": str(self.certificate)},
        ]  # fmt: skip
        self.site.config["oauth"] = {
            "office": {"client_id": "office-app", "scopes": ["smtp"], "token_url": provider.token_url,
                       "device_url": f"{provider.url}/device", "authorities": str(self.certificate), **account}
        }  # fmt: skip
        self.site.write_config()

    def log_in(self) -> str:
        """`mercury login office`, and the person enters the code; what the command said."""
        known = len(self.provider.devices)
        with ThreadPoolExecutor() as aside:
            command = aside.submit(self.site.mercury, "login", "office")
            eventually(lambda: len(self.provider.devices) > known or command.done(), what="a code")
            self.provider.approve()
            done = command.result()
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def post(self, token: str, to: str = "x@elsewhere.example") -> None:
        send(self.site.port, SENDER, [to], f"Subject: {token}\r\n\r\nhello\r\n".encode())

    def arrives(self, token: str) -> None:
        eventually(lambda: self.smarthost.find(token), what=f"arrival of {token}")

    def account(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.site.mercury("status", "--json").stdout)["oauth"]["office"]
        return found


@pytest.fixture
def scene(site: Site, tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(site, tmp_path)
    yield scene
    scene.smarthost.stop()
    scene.provider.stop()


def test_a_login_by_device_code_and_an_end_before_its_time(scene: Scene) -> None:
    scene.configure()
    site = scene.site
    site.start("sc")
    scene.post("token-early-.")
    [event] = eventually(lambda: site.events("recipient-deferred")[:1], what="a deferral")
    assert "run 'mercury login office'" in event["reply"]
    assert scene.account()["state"] == "absent"
    said = scene.log_in()
    assert f"{scene.provider.url}/activate" in said and re.search(r"code [A-Z]{4}-[A-Z]{4} ", said)
    kept = site.root / "state" / "oauth" / "office.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    scene.arrives("token-early-.")
    state = scene.account()
    assert state["state"] == "good" and "token good for" in site.mercury("status").stdout
    #  The tokens end before their time; the consent stands. The server says 535, and the next token is fetched.
    first = scene.smarthost.tokens[-1]
    scene.provider.cancel_tokens()
    scene.post("token-after-.")
    scene.arrives("token-after-.")
    assert first in scene.smarthost.tokens and scene.smarthost.tokens[-1] != first
    eventually(lambda: len(site.events("token-refused")) == 1, what="the event")
    shown = site.logs() + json.dumps(site.events()) + said
    secrets = [*scene.provider.tokens, *scene.provider.refresh_tokens]
    assert len(secrets) >= 4 and not [secret for secret in secrets if secret in shown]


def test_a_token_that_expires_in_mid_queue_is_renewed(scene: Scene) -> None:
    scene.configure()
    scene.provider.lifetime = 2
    scene.log_in()
    scene.site.start("sc")
    for number in range(3):
        scene.post(f"token-{number}-.")
        scene.arrives(f"token-{number}-.")
        shown = scene.smarthost.tokens[-1]
        eventually(lambda shown=shown: not scene.provider.is_good(shown), what="its end")  # type: ignore[misc]
    assert len(set(scene.smarthost.tokens)) >= 3
    assert not scene.site.events("consent-lost") and not scene.site.mailbox("bert")


def test_a_withdrawn_consent_holds_the_mail_and_tells_the_postmaster_once(scene: Scene) -> None:
    scene.configure()
    site = scene.site
    scene.log_in()
    scene.provider.revoke_all()
    site.start("sc")
    scene.post("token-one-.")
    scene.post("token-two-.")
    [notice] = eventually(lambda: site.mailbox("anna"), what="the notice")
    assert b"mercury login office" in notice and b"invalid_grant" in notice
    eventually(lambda: len(site.events("recipient-deferred")) >= 6, what="attempts that change nothing")
    assert len(site.entries("relay")) == 2 and not site.events("message-bounced")
    assert len(site.mailbox("anna")) == 1 and not site.mailbox("bert")
    assert scene.provider.requests["refresh_token"] == 1
    assert scene.account()["state"] == "lost"
    scene.log_in()
    scene.arrives("token-one-.")
    scene.arrives("token-two-.")
    eventually(site.is_empty, what="an empty spool")
    assert len(site.mailbox("anna")) == 1 and scene.account()["state"] == "good"


def test_a_slow_provider_holds_up_its_own_mail_only(scene: Scene, far_end: FarEnd) -> None:
    scene.configure(grant="client", client_id="daemon-app", secret_file=str(scene.secret), timeout="60s")
    via = {"host": far_end.hop[0], "port": far_end.port, "tls": "off"}
    scene.site.config["routes"] = [{"to": ["other.example"], "via": via}]
    scene.site.write_config()
    scene.provider.gate.clear()
    scene.site.start("sc")
    for number in range(5):
        scene.post(f"token-slow-{number}-.")
    eventually(lambda: scene.provider.requests, what="a question to the provider")
    for number in range(5):
        scene.post(f"token-other-{number}-.", "y@other.example")
    eventually(lambda: far_end.count() == 5, what="the mail of the other route")
    stays(lambda: not scene.smarthost.messages, 0.3)
    assert not scene.site.events("recipient-deferred"), "it still waits for the one answer"
    scene.provider.gate.set()
    eventually(lambda: len(scene.smarthost.messages) == 5, what="the mail that waited")
    assert scene.provider.requests == {"client_credentials": 1}


@pytest.mark.parametrize("grant", ["secret", "signed", "service"])
def test_without_a_person(scene: Scene, grant: str) -> None:
    signed = {"client_id": "signed-app", "key": str(scene.own_key)}
    scene.configure(
        **{
            "secret": {"grant": "client", "client_id": "daemon-app", "secret_file": str(scene.secret)},
            "signed": {"grant": "client", "certificate": str(scene.own), **signed},
            "service": {"grant": "service", "subject": USER, **signed},
        }[grant]
    )
    scene.site.start("sc")
    scene.post("token-alone-.")
    scene.arrives("token-alone-.")
    assert scene.account()["state"] == "good"
