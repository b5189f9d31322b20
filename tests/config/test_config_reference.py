"""The sample and the reference name every setting there is, and no other; the defaults they show are the defaults."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.config.load import load, parse
from shared.config.model import Config
from shared.config.names import names_of
from shared.config.setting import Setting
from shared.config.yaml import Items, Settings, read_yaml

ROOT = Path(__file__).resolve().parent.parent.parent
SAMPLE = ROOT / "etc/mercury.yaml"
REFERENCE = ROOT / "docs/configuration.md"
TABLE = ROOT / "docs/settings.md"

#  What the sample shows an example of, as its default is nothing, everything or up to the host.
EXAMPLES = (
    "hostname", "site", "local.domains", "tls", "local.lmtp", "local.srs_domain", "local.lists", "receive.listeners", "receive.rules", "receive.limits.messages", "receive.pickup.folder", "receive.pickup.trusted",
    "receive.rates", "receive.blacklist.unknown_recipients", "receive.blacklist.relay_attempts",
    "receive.blacklist.failed_logins", "receive.filters",
    "receive.submission.senders", "sites", "routes", "oauth", "dns.servers", "metrics.listen", "web.listen", "web.hosts", "web.operators", "web.viewers", "direct.allow_addresses", "direct.authorities", "receive.auth.certificates", "control.viewers",
    "direct.destinations", "reports.texts", "preflight.addresses", "preflight.echo", "preflight.dkim_selector",
)  # fmt: skip


def names_in(node: Any, path: str = "") -> Iterator[str]:
    """The settings of a document in the words of `names_of`."""
    if isinstance(node, Items):
        for item in node:
            yield from names_in(item, path + "[]")
    elif isinstance(node, Settings):
        for key, value in node.items():
            name = f"{path}.*" if path in ("sites", "oauth") else f"{path}.{key}" if path else key
            if not name.endswith(".*"):
                yield name
            yield from names_in(value, name)


def everything() -> str:
    """The sample with every setting in force."""
    return re.sub(r"(?m)^#(?=[a-z]+:| +[a-z_]+:| +- )", "", SAMPLE.read_text())


@pytest.fixture
def opened(tmp_path: Path) -> Path:
    """The sample with every setting in force but those of the other login backends, in a folder with what it names."""
    text = re.sub(r"(?m)^    (socket|ldap):.*\n(      .*\n)*", "", everything())
    (tmp_path / "secrets").mkdir()
    for name in ("isp", "introspection"):
        (tmp_path / "secrets" / name).write_text("sesame\n")
        (tmp_path / "secrets" / name).chmod(0o600)
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "en.txt").write_text("[advice]\nAsk the help desk.\n")
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls/cert.pem").write_text("a certificate\n")
    (tmp_path / "mercury.yaml").write_text(text)
    return tmp_path / "mercury.yaml"


def values(config: Config) -> dict[str, Any]:
    """Every value that is no group, by its dotted name."""
    found: dict[str, Any] = {}
    for name in names_of(Config):
        if "[]" in name or "*" in name:
            continue
        value: Any = config
        for part in name.split("."):
            value = getattr(value, part, None)  #  a group that is not there has nothing in it
        if value is not None and not isinstance(value, Setting):
            found[name] = value
    return found


def test_the_sample_as_it_is_changes_nothing() -> None:
    plain = parse("", SAMPLE, lambda: "host.example")
    assert load(SAMPLE, lambda: "host.example") == plain


def test_the_sample_shows_every_setting() -> None:
    document, problems = read_yaml(everything(), "mercury.yaml")
    assert not problems
    assert sorted(set(names_in(document))) == sorted(names_of())


def test_the_sample_can_be_used_with_everything_in_it(opened: Path) -> None:
    config = load(opened)
    assert config.site == "hq"
    assert len(config.receive.listeners) == 6
    assert len(config.sites["hq"].smarthosts) == 5


def test_the_defaults_in_the_sample_are_the_defaults(opened: Path) -> None:
    shown, real = values(load(opened)), values(parse("", opened, lambda: "mail.hq.example"))
    for name, value in real.items():
        if not name.startswith(EXAMPLES):
            assert shown[name] == value, name
    assert set(real) > {"receive.limits.idle", "retry.warn_after", "local.maildir", "spool", "direct.port"}


def table() -> dict[str, str]:
    """Setting → default, as the reference has them."""
    rows = re.findall(r"(?m)^\| `([^`]+)` \| ([^|]*?) ?\|", REFERENCE.read_text())
    assert len(rows) == len({name for name, _ in rows}), "a setting stands there twice"
    return dict(rows)


def test_the_reference_has_every_setting_and_no_other() -> None:
    assert sorted(table()) == sorted(names_of())


def test_every_setting_says_what_it_means() -> None:
    """In a sentence, and with its default, unless it is a group; docs/settings.md takes both from there."""
    rows = re.findall(r"(?m)^\| `([^`]+)` \| ([^|]*?) ?\| (.*?) ?\|$", REFERENCE.read_text())
    assert {name for name, _, _ in rows} == set(names_of())
    for name, default, text in rows:
        assert len(text.split()) > 1 and text.endswith("."), f"{name}: {text!r} is no sentence"
        is_group = any(other.startswith((f"{name}.", f"{name}[]")) for other in names_of())
        assert default or is_group, f"{name} says no default"


def test_the_table_has_every_setting_with_its_type_and_what_puts_it_in_force() -> None:
    rows = re.findall(r"(?m)^\| `([^`]+)` \| ([^|]*?) \| ([^|]*?) ?\| ([^|]*?) ?\| (.*?) ?\|$", TABLE.read_text())
    assert [row[0] for row in rows] == list(names_of())
    for name, kind, _, force, text in rows:
        assert kind and text.endswith("."), name
        assert force or kind == "group", name
    forces = {row[0]: row[3] for row in rows}
    assert forces["retry.first"] == "reload" and forces["receive.listeners[].port"] == "*restart* of mercury-s"
    kinds = {row[0]: row[1] for row in rows}
    assert kinds["retry.first"] == "time, in seconds" and kinds["receive.max_message_size"] == "size, in octets"


def test_the_defaults_in_the_reference_are_the_defaults() -> None:
    real = values(parse("", Path("/m.yaml"), lambda: "host.example"))
    compared = 0
    for name, shown in table().items():
        written = re.fullmatch(r"`([^`\[]+)`", shown)
        if name not in real or not written:
            continue
        lines = [part + ":" for part in name.split(".")]
        text = "".join(f"{'  ' * depth}{line}\n" for depth, line in enumerate(lines)).rstrip() + " " + written[1]
        assert values(parse(text, Path("/m.yaml"), lambda: "host.example"))[name] == real[name], name
        compared += 1
    assert compared >= 20
