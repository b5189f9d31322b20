"""--json everywhere: lines that parse, on standard output alone, with no name that docs/json.md does not have.

What asks the network, or a daemon that runs, is held to the page by the end-to-end tests: probe, doctor, trace.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from desk import ARRIVED, CONFIG, Desk
from fakes.certificates import make_certificate
from fakes.json_page import documented, undocumented

from shared.admin.command import mercury
from shared.routing.lane import Lane

ONE, TWO = "7Q2M-K4ZC", "7Q2M-K4ZD"
#  They write a document or a script, or talk with a person.
WITHOUT = {
    "completion", "config import", "config init", "config schema", "demo", "login", "sendmail", "session", "setup",
}  # fmt: skip
ELSEWHERE = {"dkim check", "doctor", "probe", "trace"}

RUNS = """
alias check
alias list
alias show office@hq.example nobody@hq.example
audit
blacklist add 192.0.2.2 --reason x
blacklist list
blacklist remove 192.0.2.1
config check
config explain retry.first
config plan {new}
config show
config show retry
config show hostname
config show --changed
dkim key hq.example
dkim record
find
queue bounce {two} --reason x --yes
queue change {one} --recipient joe@branch.example --new bert@hq.example --yes
queue check
queue drop {one} --recipient joe@branch.example --yes
queue hold {one}
queue list
queue priority {one} --value 3
queue purge {three} --reason x --yes
queue release {two}
queue remove {one} --reason x --yes
queue reroute {one} --direct
queue retry --all
queue retry --all --dry-run
queue shape
queue show {one}
queue summary
queue trail {one}
queue undelete {three}
reload
route joe@branch.example
route anna@hq.example --from bert@hq.example --client 192.168.1.7
site list
site pause hq --for 1h --reason x
site pin
site resume hq
site set hq hold
site show hq
status
top --once
user add carl@hq.example --no-password
user disable anna@hq.example
user enable anna@hq.example
user list
user passwd anna@hq.example --password-stdin
user remove anna@hq.example --yes
user set anna@hq.example --quota 2G
""".strip().splitlines()


def commands(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(command)
    if not isinstance(command, click.Group):
        yield " ".join(words), command
        return
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        assert below is not None
        yield from commands(below, (*words, name))


def has_json(command: click.Command) -> bool:
    return any("--json" in parameter.opts for parameter in command.params)


def test_json_is_everywhere_and_each_command_that_has_it_is_run_and_documented() -> None:
    tree = dict(commands(mercury))
    assert {name for name, command in tree.items() if not has_json(command)} == WITHOUT
    every = {name for name, command in tree.items() if has_json(command)}
    run = {name for name in every for line in RUNS if line.startswith(name)}
    assert every - run == ELSEWHERE
    assert set(documented()) == every, "a section of docs/json.md is about no command, or there is none"


@pytest.fixture
def busy(desk: Desk) -> Desk:
    """Something for each command to tell."""
    desk.deferred(desk.put(ONE), Lane.RELAY, "451 4.7.1 Greylisted")
    desk.put(TWO, Lane.HOLD, to=("joe@branch.example", "x@y.held.example"))
    desk.put("7Q2M-K4ZE", Lane.TRASH)
    (desk.spool.folder(Lane.RELAY) / "new" / "foreign").write_bytes(b"")
    (desk.root / "aliases").write_text("office: anna, x@elsewhere.example\nlost: nobody\n")
    (desk.root / "new.yaml").write_text(CONFIG.replace("deliver: hold", "deliver: direct"))
    assert desk.run("user", "add", "anna@hq.example", "--no-password").exit_code == 0
    assert desk.run("blacklist", "add", "192.0.2.1").exit_code == 0
    accepted = {"at": ARRIVED, "daemon": "mercury-s", "event": "message-accepted", "id": "7Q2M-K4ZF", "size": 9}
    accepted |= {"sender": "anna@hq.example", "recipient": "joe@branch.example", "client": "192.168.1.7"}
    (desk.root / "state/events/mercury-s.jsonl").write_text(json.dumps(accepted) + "\n")
    assert desk.run("queue", "priority", ONE, "--value", "1").exit_code == 0
    return desk


@pytest.mark.parametrize("line", RUNS)
def test_lines_are_objects_with_documented_names(busy: Desk, line: str, tmp_path: Path) -> None:
    if line == "site pin":
        certificate, key = make_certificate(tmp_path, ["mail.hq.example"])
        (busy.root / "mercury.yaml").write_text(f"{CONFIG}tls: {{certificate: {certificate}, key: {key}}}\n")
    if line == "dkim record":
        assert busy.run("dkim", "key", "hq.example", "--file", str(tmp_path / "key.pem")).exit_code == 0
        dkim = f"dkim: {{keys: [{{selector: mercury, domains: [hq.example], key_file: {tmp_path}/key.pem}}]}}"
        (busy.root / "mercury.yaml").write_text(CONFIG.replace("delivery: relay", f"delivery: relay\n    {dkim}"))
    if line.startswith("config check"):
        (busy.root / "mercury.yaml").write_text(CONFIG + "hostnam: x\n")
    words = line.format(one=ONE, two=TWO, three="7Q2M-K4ZE", new=busy.root / "new.yaml").split()
    done = busy.run(*words, "--json", given="correct horse battery\n")
    command = next(name for name in sorted(documented(), key=len, reverse=True) if line.startswith(name))
    lines = done.stdout.splitlines()
    assert lines, done.output
    assert not undocumented(command, lines), done.stdout
