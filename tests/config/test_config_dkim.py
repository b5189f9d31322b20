"""The keys that mail is signed with: what can be said wrongly, and where a key must lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.config.load import ConfigErrors, parse
from shared.config.routing import domains_of

HEAD = "hostname: mail.hq.example\nsite: hq\nlocal: {domains: [hq.example]}\nsites:\n"


def faults(text: str, folder: Path) -> str:
    key = folder / "key.pem"
    key.write_text("-----BEGIN PRIVATE KEY-----\n")
    key.chmod(0o600)
    try:
        parse(text, folder / "mercury.yaml")
    except ConfigErrors as errors:
        return "\n".join(map(str, errors.problems))
    return ""


def site(*keys: str, name: str = "hq", more: str = "") -> str:
    return f"  {name}: {{delivery: direct, dkim: {{keys: [{', '.join(keys)}]{more}}}}}\n"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (site("{selector: s1, key_file: key.pem}"), ""),
        (site("{selector: S1.mail, key_file: key.pem, domains: [hq.example]}", more=", without_key: send"), ""),
        (site(), "mercury.yaml:5"),
        (site("{selector: s 1, key_file: key.pem}"), "no selector"),
        (site("{selector: s1._domainkey, key_file: key.pem}"), "no selector"),
        (site("{selector: s1}"), "key_file"),
        (site("{selector: s1, key_file: gone.pem}"), "mercury dkim key"),
        (site("{selector: s1, key_file: key.pem}", more=", without_key: lose"), "wait"),
        (site("{selector: s1, key_file: key.pem}", "{selector: s1, key_file: key.pem}"), "stands here twice"),
        (site("{selector: s1, key_file: key.pem}", "{selector: s2, key_file: key.pem}"), ""),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, fault: str, tmp_path: Path) -> None:
    found = faults(HEAD + text, tmp_path)
    assert (fault in found and "mercury.yaml:" in found) if fault else not found


def test_a_key_that_others_can_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "open.pem").write_text("x")
    (tmp_path / "open.pem").chmod(0o644)
    assert "mode 0644" in faults(HEAD + site("{selector: s1, key_file: open.pem}"), tmp_path)


def test_the_key_of_a_site_with_a_host_of_its_own_lies_there(tmp_path: Path) -> None:
    branch = """  branch:
    delivery: direct
    overlay: {domains: [branch.example], host: 10.2.0.5, pins: [pAJ4Cn0xPDGzBTsQZ9P3ajUZPSmaLt8IclVQSbcVHbs=]}
    dkim: {keys: [{selector: b1, key_file: branch.pem}]}
"""
    here = "  hq: {delivery: direct}\n"
    assert not faults(HEAD + here + branch, tmp_path)
    assert "branch.pem" in faults((HEAD + here + branch).replace("site: hq", "site: branch"), tmp_path)
    config = parse(HEAD + here + branch, tmp_path / "mercury.yaml")
    assert domains_of(config, "branch") == ("branch.example",) and domains_of(config, "hq") == ("hq.example",)


def test_keys_for_nobody_are_told(tmp_path: Path) -> None:
    text = "hostname: mail.hq.example\nsite: hq\nlocal: {domains: []}\nsites:\n" + site(
        "{selector: s1, key_file: key.pem}"
    )
    assert "whose mail is signed?" in faults(text, tmp_path)
