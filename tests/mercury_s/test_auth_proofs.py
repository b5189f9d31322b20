"""Logins by other things than passwords: SCRAM keys and their stand-ins, tokens, certificates; who may come in by them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure as Fault
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers

from mercury_s.auth.authenticate import Authenticator, Failure, Rejected, Unavailable, Verified
from mercury_s.auth.backend import BackendDown
from mercury_s.auth.client_certificate import CertificateOwners, ClientCertificate
from mercury_s.auth.failures import Failures
from mercury_s.auth.stand_in import StandIn, load_secret
from mercury_s.auth.tokens import IntrospectedTokens
from mercury_s.auth.users import Offered, UsersFileLogins
from shared.config.account import Account
from shared.config.logins import CertificateLogin, Introspection, Mechanism
from shared.config.passwords import hash_password
from shared.config.scram import ITERATIONS, new_scram_keys
from shared.mail.address import parse_address

SALT = b"0123456789abcdef"
KEYS = new_scram_keys("secret", SALT)
STORED = hash_password("secret", SALT)
ANNA = Account(parse_address("anna@hq.example"), STORED, scram=KEYS)
GONE = Account(parse_address("gone@hq.example"), STORED, disabled=True, scram=KEYS)
BOX = Account(parse_address("box@hq.example"))
ACCOUNTS = {account.key: account for account in (ANNA, GONE, BOX)}
CLIENT = "192.0.2.1"


class KnownTokens:
    def __init__(self, owners: dict[str, str]) -> None:
        self.owners = owners

    async def owner(self, token: str) -> str | None:
        if token == "down":
            raise BackendDown("nobody answers")
        return self.owners.get(token)


def make(named: tuple[CertificateLogin, ...] = ()) -> tuple[Authenticator, list[Failure]]:
    failures: list[Failure] = []
    authenticator = Authenticator(
        UsersFileLogins(ACCOUNTS.get, "hq.example", ThreadPoolExecutor(1)),
        ACCOUNTS.get,
        "hq.example",
        Failures(lambda: 0.0),
        failures.append,
        StandIn(b"of this house"),
        KnownTokens({"hers": "anna", "gone": "gone@hq.example", "box": "box", "far": "x@elsewhere.example"}),
        CertificateOwners(named),
    )
    return authenticator, failures


def test_keys_that_are_made_up_stay_the_same_and_look_the_same() -> None:
    house, _ = make()
    assert house.scram_keys("ANNA@hq.example") == house.scram_keys("anna") == KEYS
    nobody = house.scram_keys("nobody")
    assert nobody == house.scram_keys("NOBODY@HQ.example") != house.scram_keys("nobody2")
    assert (nobody.iterations, len(nobody.salt)) == (KEYS.iterations, len(KEYS.salt)) == (ITERATIONS, len(SALT))
    assert house.scram_keys("gone") != KEYS, "who may not come in has stand-ins, too"
    assert StandIn(b"of another house").keys("nobody@hq.example") != nobody


@pytest.mark.parametrize(
    ("login", "is_right", "is_let_in"),
    [
        ("anna", True, True),
        ("anna", False, False),
        ("gone", True, False),
        ("box", True, False),
        ("nobody", True, False),
    ],
)
def test_a_proof_lets_in_who_may_come_in(login: str, is_right: bool, is_let_in: bool) -> None:
    house, failures = make()
    answer = asyncio.run(house.verify_proof(login, is_right, CLIENT))
    assert answer == (Verified(ANNA) if is_let_in else Rejected(1.0))
    assert len(failures) == (not is_let_in)


@pytest.mark.parametrize(
    ("login", "token", "is_let_in"),
    [
        ("", "hers", True), ("anna", "hers", True), ("ANNA@hq.example", "hers", True), ("box", "hers", False), ("@", "hers", False),
        ("", "guess", False), ("", "gone", False), ("", "far", False),
    ],
)  # fmt: skip
def test_a_token_lets_in_its_owner_only(login: str, token: str, is_let_in: bool) -> None:
    house, failures = make()
    answer = asyncio.run(house.verify_token(login, token, CLIENT))
    assert answer == (Verified(ANNA) if is_let_in else Rejected(1.0))
    assert token not in repr(failures)


def test_a_mailbox_without_a_password_can_have_a_token() -> None:
    assert asyncio.run(make()[0].verify_token("", "box", CLIENT)) == Verified(BOX)


def test_when_nobody_can_say_nobody_is_refused_or_counted() -> None:
    house, failures = make()
    assert asyncio.run(house.verify_token("", "down", CLIENT)) == Unavailable("nobody answers")
    assert failures == []


HERS = ClientCertificate("ab" * 32, ("x@elsewhere.example", "anna@hq.example"))


def test_a_certificate_lets_in_the_address_in_it() -> None:
    house, _ = make()
    for login in ("", "anna@hq.example", "ANNA@hq.example"):
        assert asyncio.run(house.verify_certificate(login, HERS, CLIENT)) == Verified(ANNA)
    for login, certificate in (("box@hq.example", HERS), ("", ClientCertificate("cd" * 32, ("gone@hq.example",)))):
        assert isinstance(asyncio.run(house.verify_certificate(login, certificate, CLIENT)), Rejected)


def test_what_the_configuration_says_of_a_certificate_comes_before_what_it_says_itself() -> None:
    house, _ = make((CertificateLogin(fingerprint="ab" * 32, account="box@hq.example"),))  # type: ignore[arg-type]
    assert asyncio.run(house.verify_certificate("", HERS, CLIENT)) == Verified(BOX)
    assert isinstance(asyncio.run(house.verify_certificate("anna@hq.example", HERS, CLIENT)), Rejected)


def test_scram_is_offered_once_all_who_log_in_have_keys() -> None:
    accounts = dict(ACCOUNTS)
    version = 1
    offered = Offered(lambda: accounts, lambda: version)
    assert Mechanism.SCRAM in offered.mechanisms()
    accounts["old"] = Account(parse_address("old@hq.example"), STORED)
    assert Mechanism.SCRAM in offered.mechanisms(), "counted when the file changes, not at every connection"
    version = 2
    assert offered.mechanisms() == (Mechanism.PLAIN, Mechanism.LOGIN)
    accounts.clear()
    version = 3
    assert offered.mechanisms() == ()


def test_the_secret_is_made_once_and_for_us_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "login-secret"
    secret = load_secret(path)
    assert load_secret(path) == secret and len(secret) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["login-secret"]
    path.write_bytes(b"cut")
    assert len(load_secret(path)) == 32


# ---- asking about a token ----------------------------------------------------------------------------------------------

PAGE = Introspection(url="https://login.example/i", client_id="me & you", scope="smtp")


class Page:
    """An HTTP client that answers itself."""

    def __init__(self, body: bytes, code: int = 200, is_cut: bool = False) -> None:
        self.body, self.code, self.is_cut = body, code, is_cut
        self.asked: list[tuple[bytes, bytes, Headers, bytes]] = []

    def request(self, method: bytes, url: bytes, headers: Headers, body: Any) -> Deferred[Any]:
        self.asked.append((method, url, headers, body._inputFile.read()))
        return succeed(self)

    def deliverBody(self, receiver: Any) -> None:
        receiver.transport = self
        receiver.dataReceived(self.body)
        receiver.connectionLost(Fault(ConnectionError() if self.is_cut else ResponseDone()))

    def stopProducing(self) -> None:
        pass


def owner(page: Page, read_secret: Callable[[], str] = lambda: "s:cret") -> str | None:
    return asyncio.run(IntrospectedTokens(PAGE, page, read_secret).owner("to+ken"))


def said(**fields: Any) -> Page:
    return Page(json.dumps({"active": True, "username": "anna", "scope": "openid smtp", **fields}).encode())


def test_a_good_token_has_an_owner() -> None:
    page = said()
    assert owner(page) == "anna"
    [(method, url, headers, body)] = page.asked
    assert (method, url, body) == (
        b"POST",
        b"https://login.example/i",
        b"token=to%2Bken&token_type_hint=access_token",
    )
    assert headers.getRawHeaders("Authorization") == ["Basic bWUrJTI2K3lvdTpzJTNBY3JldA=="]


@pytest.mark.parametrize(
    "fields",
    [{"active": False}, {"active": "true"}, {"scope": "openid"}, {"scope": None}, {"scope": "smtps"}, {"username": ""}, {"username": 5}],
)  # fmt: skip
def test_any_other_has_none(fields: dict[str, Any]) -> None:
    assert owner(said(**fields)) is None


@pytest.mark.parametrize(
    "page",
    [Page(b"{}", 401), Page(b"{}", 500), Page(b"no json"), Page(b"[]"), Page(b"{" + b" " * 70000 + b"}"), Page(b"{}", is_cut=True)],
)  # fmt: skip
def test_a_page_that_makes_no_sense_says_nothing_about_a_token(page: Page) -> None:
    with pytest.raises(BackendDown) as down:
        owner(page)
    assert "to+ken" not in str(down.value) and "cret" not in str(down.value)
