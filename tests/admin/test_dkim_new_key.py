"""A key is published and looked at before the configuration names it: else mail would be signed with what nobody finds."""

from __future__ import annotations

from desk import Desk


def test_a_key_that_was_just_made_is_found_by_its_selector(desk: Desk) -> None:
    made = desk.run("dkim", "key", "hq.example", "--selector", "mail2026")
    assert "`mercury dkim check hq.example --selector mail2026`" in made.output
    published = next(line for line in made.output.splitlines() if " TXT " in line)
    assert desk.run("dkim", "record", "hq.example").exit_code == 4, "the configuration names none"
    assert desk.run("dkim", "record", "hq.example", "--selector", "mail2026").stdout.strip() == published


def test_one_that_the_configuration_names_is_taken_from_where_it_says(desk: Desk) -> None:
    desk.run("dkim", "key", "hq.example", "--selector", "s1", "--file", str(desk.root / "other.pem"))
    config = desk.root / "mercury.yaml"
    keys = "dkim: {keys: [{selector: s1, domains: [hq.example], key_file: other.pem}]}"
    config.write_text(config.read_text().replace("    delivery: relay\n", f"    delivery: relay\n    {keys}\n"))
    assert desk.run("dkim", "record", "hq.example", "--selector", "s1").stdout == desk.run("dkim", "record").stdout


def test_what_is_missing_is_said(desk: Desk) -> None:
    nobodys = desk.run("dkim", "check", "hq.example", "--selector", "none")
    assert nobodys.exit_code == 1 and "dkim-hq.example-none.pem" in nobodys.output
    assert "wants the DOMAIN" in desk.run("dkim", "check", "--selector", "none").output
    assert "say DOMAIN and --selector" in desk.run("dkim", "check").output
