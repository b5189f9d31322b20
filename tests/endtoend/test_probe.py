"""`mercury probe` against a far end that is not ours: what it tells is what is there, and nothing is sent."""

from __future__ import annotations

import json
from collections.abc import Callable

from fakes.json_page import undocumented
from mailsite import Site
from peers import FarEnd, NameServer

ZONE = "@ MX 10 mx1\n@ MX 20 gone\nmx1 A 127.0.0.21\ngone A 127.0.0.23\n"


def asked(site: Site, *arguments: str) -> tuple[list[dict[str, object]], int]:
    done = site.mercury("probe", *arguments, "--json")
    assert "Traceback" not in done.stderr, done.stderr
    assert not undocumented("probe", done.stdout.splitlines())
    return [json.loads(line) for line in done.stdout.splitlines()], done.returncode


def test_a_domain_is_told_step_by_step_and_gets_no_mail(
    site: Site, far_end: FarEnd, name_server: Callable[[dict[str, str]], NameServer]
) -> None:
    names = name_server({"partner.example": ZONE})
    site.config["dns"] = {"servers": [f"127.0.0.1:{names.port}"]}
    site.config["direct"] = {"port": far_end.port, "allow_addresses": ["127.0.0.0/8"]}
    site.write_config()
    found, code = asked(site, "partner.example", "--rcpt", "joe@partner.example")
    steps = {(fact["step"], fact.get("host") or fact.get("command") or ""): fact for fact in found}
    assert code == 0, found
    assert steps["mx", ""]["hosts"] == ["10 mx1.partner.example", "20 gone.partner.example"]
    visit = steps["visit", "mx1.partner.example"]
    assert visit["ready"] and visit["address"] == "127.0.0.21" and "SIZE" in visit["extensions"]  # type: ignore[operator]
    assert str(steps["reply", "RCPT TO:<joe@partner.example>"]["reply"]).startswith("250")
    assert steps["visit", "gone.partner.example"]["ready"] is False
    assert far_end.count() == 0
    nobody, code = asked(site, "nowhere.example")
    assert code == 1 and nobody[0]["step"] == "mx", nobody


def test_a_host_is_told_in_words(site: Site, far_end: FarEnd) -> None:
    done = site.mercury("probe", f"127.0.0.21:{far_end.port}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"visit     127.0.0.21[127.0.0.21]:{far_end.port}" in done.stdout and "mail would be taken" in done.stdout
    refused = site.mercury("probe", "127.0.0.21:9")
    assert refused.returncode == 1 and "mail would not be taken now" in refused.stdout
