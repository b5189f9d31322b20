"""`mercury config`: made from answers, shown with its places, explained, and as a schema."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from desk import CONFIG, Desk
from jsonschema import Draft202012Validator

from shared.admin.command import mercury
from shared.config.yaml import _CoreLoader

SAMPLE = Path(__file__).resolve().parents[2] / "etc/mercury.yaml"
FLAGS = ("--hostname", "mail.hq.example", "--domains", "hq.example, hq2.example", "--networks", "192.168.1.0/24")


def run(path: Path, *arguments: str, input: str | None = None) -> Result:
    return CliRunner().invoke(mercury, ["--config", str(path), "config", *arguments], input=input)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("--delivery", "direct"), ["delivery: direct"]),
        (("--delivery", "hold"), ["delivery: hold"]),
        (("--delivery", "relay", "--smarthost", "smtp.isp.example:465"), ["port: 465"]),
        (("--delivery", "auto", "--smarthost", "smtp.isp.example"), ["delivery: auto", "host: "]),
        (
            ("--delivery", "relay", "--smarthost", "smtp.isp.example", "--login", "anna's", "--password-stdin"),
            ['login: "anna\'s"', "password_file: "],
        ),
    ],
    ids=["direct", "hold", "relay", "auto", "login"],
)
def test_the_answers_make_a_file_that_can_be_used(
    tmp_path: Path, flags: tuple[str, ...], expected: list[str]
) -> None:
    path = tmp_path / "etc/mercury.yaml"
    done = run(path, "init", *FLAGS, *flags, input="sesame\n")
    assert done.exit_code == 0, done.output
    text = path.read_text()
    assert all(part in text for part in expected) and "sesame" not in text
    checked = run(path, "check")
    assert checked.exit_code == 0, checked.output
    if "--login" in flags:
        secret = path.parent / "secrets/mercury-c/smarthost"
        assert secret.read_text() == "sesame\n" and secret.stat().st_mode & 0o777 == 0o600


def test_a_wrong_answer_writes_nothing_and_a_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "mercury.yaml"
    flags = ("--delivery", "relay", "--smarthost", "smtp.isp.example:none", "--login", "a", "--password-stdin")
    refused = run(path, "init", *FLAGS, *flags, input="sesame\n")
    assert refused.exit_code == 2 and "port" in refused.output
    assert [item for item in tmp_path.rglob("*") if item.is_file()] == []
    path.write_text("hostname: kept.example\n")
    assert run(path, "init", *FLAGS, "--delivery", "hold").exit_code == 2
    assert path.read_text() == "hostname: kept.example\n"


def test_who_is_asked_five_questions_answers_them_in_order() -> None:
    answers = "mail.hq.example\nhq.example\n192.168.1.0/24\nrelay\nsmtp.isp.example\n"
    done = run(Path("/nowhere/mercury.yaml"), "init", "--print", input=answers)
    assert done.exit_code == 0, done.output
    assert [number for number in "12345" if f"{number}. " in done.output] == list("12345")
    assert 'host: "smtp.isp.example"' in done.output


def test_each_value_is_shown_with_the_file_and_line_it_came_from(desk: Desk) -> None:
    done = desk.run("config", "show", "--changed", "--json")
    found = {line["key"]: line for line in map(json.loads, done.output.splitlines())}
    hop = found["sites.hq.smarthosts[0].host"]
    place = next(number for number, line in enumerate(CONFIG.splitlines(), 1) if "smtp.isp.example" in line)
    assert hop == {
        "key": hop["key"],
        "value": "smtp.isp.example",
        "file": str(desk.root / "mercury.yaml"),
        "line": place,
    }
    assert "retry.first" not in found
    everything = desk.run("config", "show", "retry", "--effective").output
    assert re.search(r"(?m)^retry\.first +5m +default$", everything)
    assert desk.run("config", "show", "retri", "--effective").exit_code == 4


def test_a_key_is_explained_with_its_default_and_its_value_here(desk: Desk) -> None:
    full = desk.run("config", "explain", "sites.hq.smarthosts[0].port").output
    assert (
        "sites.*.smarthosts[].port" in full and "sites.hq.smarthosts[0].port: 587" in full and "mercury.yaml:" in full
    )
    assert "retry.warn_after" in desk.run("config", "explain", "warn_after").output
    assert json.loads(desk.run("config", "explain", "retry.first", "--json").output)["default"] == "5m"
    assert desk.run("config", "explain", "retry.frist").exit_code == 4


def plain(text: str) -> Any:
    """As an editor reads it: YAML 1.2."""

    class Loader(_CoreLoader):
        pass

    return yaml.load(text, Loader)


def test_the_schema_takes_what_the_daemons_take_and_names_faults(desk: Desk) -> None:
    schema = json.loads(desk.run("config", "schema").output)
    Draft202012Validator.check_schema(schema)
    judge = Draft202012Validator(schema)
    everything = re.sub(r"(?m)^#(?=[a-z]+:| +[a-z_]+:| +- )", "", SAMPLE.read_text())
    assert len(plain(everything)) > 10
    assert [error.message for error in judge.iter_errors(plain(everything))] == []
    assert list(judge.iter_errors(plain(CONFIG))) == []
    for wrong in ("retri: {}", "receive: {listeners: [{port: 0}]}", "sites: {hq: {delivery: rely}}", "hostname: [a]"):
        assert list(judge.iter_errors(plain(wrong))), wrong
    assert "told" in schema["$defs"]["Retry"]["properties"]["warn_after"]["description"]
