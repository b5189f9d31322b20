"""What one setting has to do with another."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.config.load import ConfigErrors, parse


def errors_of(text: str, path: Path = Path("m.yaml")) -> list[str]:
    try:
        parse(text, path, lambda: "host.example")
    except ConfigErrors as errors:
        return [f"{problem.line}:{problem.column} {problem.text}" for problem in errors.problems]
    return []


SMARTHOST = "sites: {a: {delivery: relay, smarthosts: [{host: b, %s}]}}"
ROUTE = "sites: {a: {delivery: direct}}\nroutes:\n- {to: [x], %s}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("site: hq", "1:7 there is no site 'hq' below 'sites'"),
        (
            "site: brunch\nsites: {branch: {delivery: hold}}",
            "1:7 there is no site 'brunch' below 'sites'; did you mean 'branch'?",
        ),
        ("sites: {a: {delivery: hold}, b: {delivery: hold}}", "1:1 'site' is missing: which of the sites a, b"),
        ("sites: {a: {delivery: relay}}", "1:23 site 'a' relays, but names no 'smarthosts'"),
        ("sites: {a: {delivery: relay, smarthosts: []}}", "1:23 site 'a' relays, but names no 'smarthosts'"),
        ("sites: {../a: {delivery: hold}}", "1:9 '../a' is no name for a site"),
        (SMARTHOST % "tls: off, login: c, password_file: /run/credentials/x/y", "1:58 a login over plain text"),
        (SMARTHOST % "tls: off, port: 465", "1:58 'tls: off', but this port speaks TLS"),
        (SMARTHOST % "tls: implicit", "1:58 'implicit' is not said here: write 'implicit: true'"),
        (SMARTHOST % "in_clear: true", "1:63 'in_clear' is the second word for 'tls: off'"),
        (SMARTHOST % "tls: pin", "1:58 'tls: pin' needs 'pins'"),
        (SMARTHOST % f"tls: opportunistic, pins: [{'A' * 43}=]", "1:79 'pins' need 'tls: pin'"),
        (SMARTHOST % "pins: [AAAA]", "1:60 'AAAA' is no pin"),
        (SMARTHOST % f"tls: opportunistic, authorities: {__file__}", "1:86 'authorities' need 'tls: verify'"),
        (SMARTHOST % "authorities: /nowhere/x", "1:66 '/nowhere/x' does not exist"),
        (SMARTHOST % f"certificate: {__file__}", "1:66 'certificate' needs its 'key'"),
        (SMARTHOST % "key: /run/credentials/x/y", "1:58 'key' needs its 'certificate'"),
        (SMARTHOST % "source_address: [192.0.2.1, 192.0.2.2]", "1:69 'source_address' holds one for IPv4"),
        (
            SMARTHOST.replace("host: b", "host: 192.0.3.1") % "tls: off",
            "1:66 plain text to 192.0.3.1, which is no private",
        ),
        (ROUTE % "deliver: direct, tls: pin", "3:35 'tls: pin' needs 'pins'"),
        (SMARTHOST % "window: [22-06]", "1:62 '22-06': write from when to when, like 22:00-06:00"),
        (SMARTHOST % "window: []", "1:61 the list is empty"),
        (SMARTHOST % "address: office", "1:62 'office'"),
        (SMARTHOST % "budget: {messages: [100]}", "1:73 100 is no rate"),
        (SMARTHOST % "budget: {reserve: 95}", "1:71 95 is no number of percent from 0 to 90"),
        (SMARTHOST % "budget: {over: bounce}", "1:68 'bounce' is not possible here: say next or wait"),
        (SMARTHOST % "bandwidth: fast", "1:64 'fast' is no size"),
        ("sites: {a: {delivery: hold, time_zone: Europe/Atlantis}}", "1:40 'Europe/Atlantis' is no time zone"),
        (
            SMARTHOST.replace("delivery: relay", "delivery: relay, rewrite_sender: true") % "port: 25",
            "1:65 site 'a' rewrites senders: say the 'address' of the account",
        ),
        (SMARTHOST % "login: c", "1:60 'login' needs a 'password_file'"),
        (SMARTHOST % "password_file: /run/credentials/x/y", "1:68 'password_file' needs a 'login'"),
        (ROUTE % "deliver: direct, via: {host: c}", "3:22 'deliver' and 'via' exclude each other"),
        (ROUTE % "deliver: relay", "3:22 the route relays, but site 'a' names no 'smarthosts'"),
        (ROUTE % "tls: verify", "3:3 the route says neither 'deliver' nor 'via'"),
        (ROUTE % "deliver: hold, tls: verify", "3:33 'tls' means nothing for mail that is held"),
        (ROUTE % "via: {host: c, tls: off}, tls: verify", "3:44 'tls' stands here and below 'via', and they differ"),
        ("tls: {certificate: c}", "1:20 'certificate' needs its 'key'"),
        ("tls: {key: c}", "1:12 'key' needs its 'certificate'"),
        ("tls: {certificates: []}", "1:21 the list is empty"),
        ("receive: {listeners: [{port: 465}]}", "1:23 implicit TLS needs a certificate"),
        ("tls: {}\nreceive: {listeners: [{port: 1, tls: implicit}]}", "2:38 implicit TLS needs a certificate"),
        ("receive: {listeners: [{port: 587}]}", "1:23 submission needs TLS"),
        ("receive: {listeners: [{port: 25}, {port: 25}]}", "1:42 port 25 is already listened on (line 1)"),
        ("receive: {listeners: []}", "1:22 the list is empty"),
        ("receive: {listeners: [{port: 25, networks: []}]}", "1:44 the list is empty"),
        ("receive: {rules: [{action: allow}]}", "1:19 'networks' is missing"),
        ("receive: {rules: [{networks: [], action: allow}]}", "1:30 the list is empty"),
        ("retry: {first: 1h, longest: 1m}", "1:16 'first' is longer than 'longest'"),
        ("retry: {first: 1h, lifetime: 1m}", "1:30 'lifetime' ends before the 'first' retry"),
    ],
)
def test_what_does_not_go_together(text: str, words: str) -> None:
    (error,) = errors_of(text)
    assert error.startswith(words)


def test_a_relaying_route_does_not_take_its_tls_from_the_route() -> None:
    text = (SMARTHOST % "port: 25") + "\nroutes: [{to: [x], deliver: relay, tls: off}]"
    assert errors_of(text) == ["2:41 'tls' of a relay stands with the site's smarthost"]


@pytest.mark.parametrize(
    "text",
    [
        SMARTHOST % "tls: off",
        SMARTHOST % "tls: opportunistic, login: c, password_file: /run/credentials/mercury-c.service/isp",
        SMARTHOST % "port: 10465, implicit: true",
        ROUTE % "via: {host: c, tls: off}, tls: off",
        ROUTE % "via: {host: c}, tls: verify",
        ROUTE % "deliver: hold",
        "receive: {listeners: [{port: 587, tls: off}, {port: 587, address: 127.0.0.1, kind: mx}]}",
        "sites: {a: {delivery: hold, networks: [10.0.0.0/8, 10.1.0.0/16, '::/0']}}",
        "retry: {longest: 1m}",
        "retry: {lifetime: 3s, bounce_lifetime: 2s, warn_after: 1s}",
    ],
)
def test_what_goes_together(text: str) -> None:
    assert errors_of(text) == []


def test_a_fault_in_one_group_does_not_invent_faults_in_others() -> None:
    text = """\
tls: {certificate: 5, key: k}
receive: {listeners: [{port: 465}]}
site: b
sites:
  b: {delivery: relay, smarthosts: [{hst: x}]}
"""
    assert errors_of(text) == [
        "1:20 expects text; put it in quotes: '5'",
        "5:37 'host' is missing",
        "5:38 unknown setting 'hst'; did you mean 'host'?",
    ]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "isp"
    path.write_text("sesame\n")
    path.chmod(0o600)
    return path


def of_secret(secret: Path) -> list[str]:
    return errors_of(SMARTHOST % f"login: c, password_file: {secret.name}", secret.parent / "m.yaml")


def test_a_password_file_is_ours_alone(secret: Path) -> None:
    assert of_secret(secret) == []
    for mode in (0o640, 0o604, 0o620, 0o666):
        secret.chmod(mode)
        (error,) = of_secret(secret)
        assert error.endswith(f"can be used by others (mode {mode:04o}): set mode 0600")
    secret.chmod(0o400)
    assert of_secret(secret) == []


def test_a_password_file_exists_and_holds_something(secret: Path) -> None:
    secret.write_text("")
    assert "is empty" in of_secret(secret)[0]
    secret.unlink()
    (error,) = of_secret(secret)
    assert "does not exist: write the password into it, with mode 0600" in error
    assert str(secret) in error
    secret.mkdir(0o700)
    assert "is no file" in of_secret(secret)[0]


def test_a_schedule_of_a_site_is_checked_like_that_of_the_house() -> None:
    text = "sites:\n  hq:\n    delivery: hold\n    retry:\n      first: 2h\n      longest: 1h\n"
    assert errors_of(text) == ["5:14 'first' is longer than 'longest'"]
