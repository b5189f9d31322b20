"""The tree of commands as a whole: its manual, its completion, its colours, and the views of the queue."""

from __future__ import annotations

import json
import os
import time
from collections import Counter

import click
import pytest
from click.shell_completion import ShellComplete
from desk import ARRIVED, CONFIG, Desk

from shared.admin.command import EXIT_CODES, mercury
from shared.admin.manual import manual
from shared.admin.queue_shape import TOTAL, count
from shared.config.load import load
from shared.config.routing import routing_table
from shared.routing.lane import Lane
from shared.spool.queue_entry import list_entries
from shared.state.hop_book import HopPage, render_book, write_book

ONE, TWO = "7Q2M-K4ZC", "7Q2M-K4ZD"


def commands(command: click.Command, context: click.Context) -> list[tuple[str, click.Command]]:
    found = [(context.command_path, command)]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            found += commands(below, click.Context(below, info_name=name, parent=context))
    return found


def test_the_manual_has_every_command_with_its_options_and_all_exit_codes() -> None:
    text = manual()
    tree = commands(mercury, click.Context(mercury, info_name="mercury"))
    assert len(tree) > 40
    for path, command in tree:
        assert f"# {path}\n" in text, path
        assert command.help, f"{path} says nothing of itself"
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.opts[-1] in text, f"{path} {parameter.opts}"
    assert all(f"`{code}`\n: {meaning}\n" in text for code, meaning in EXIT_CODES.items())


def test_every_command_of_the_design_is_there() -> None:
    tree = {path for path, _ in commands(mercury, click.Context(mercury, info_name="mercury"))}
    for line in (
        "status top trace route session probe reload doctor demo sendmail find audit",
        "queue: list summary shape show trail retry hold release bounce remove undelete reroute",
        "site: list show set pause resume",
        "config: check show explain init plan schema",
        "user: add list",
        "alias: list check show",
    ):
        noun, _, verbs = line.rpartition(":")
        for verb in verbs.split():
            assert f"mercury {noun} {verb}".replace("  ", " ") in tree, (noun, verb)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_script(desk: Desk, shell: str) -> None:
    done = desk.run("completion", shell)
    assert done.exit_code == 0 and f"_MERCURY_COMPLETE={shell}_complete" in done.stdout


@pytest.mark.parametrize(
    ("words", "begun", "expected"),
    [(["queue"], "sh", {"shape", "show"}), ([], "prob", {"probe"}), (["nonsense"], "x", set())],
)
def test_words_are_completed(words: list[str], begun: str, expected: set[str]) -> None:
    complete = ShellComplete(mercury, {}, "mercury", "_MERCURY_COMPLETE")
    assert {item.value for item in complete.get_completions(words, begun)} == expected


def test_the_shape_counts_entries_by_age_and_domain(desk: Desk) -> None:
    desk.put(ONE, Lane.RELAY, ("a@x.example", "b@x.example", "c@y.example"))
    desk.put(TWO, Lane.DIRECT, ("d@y.example",))
    rows = count(list_entries(desk.spool), ARRIVED + 700, "to")
    assert rows == {TOTAL: Counter({"20m": 2}), "x.example": Counter({"20m": 1}), "y.example": Counter({"20m": 2})}
    said = [json.loads(line) for line in desk.run("queue", "shape", "--json").stdout.splitlines()]
    assert [(line["domain"], line["total"]) for line in said] == [(TOTAL, 2), ("y.example", 2), ("x.example", 1)]
    assert "y.example" in desk.run("queue", "shape", "--to", "y.example").stdout
    assert "hq.example" in desk.run("queue", "shape", "--by", "from").stdout


def test_the_status_says_what_is_wrong_and_what_to_do(desk: Desk) -> None:
    name = desk.put(ONE, Lane.RELAY, due=time.time())
    desk.deferred(name, Lane.RELAY, "451 4.7.1 Greylisted")
    desk.put(TWO, Lane.HOLD)
    text = desk.run("status").stdout
    assert "things need you:" in text
    for what, do in (
        ("mercury-s does not run", "systemctl start mercury-s"),
        ("mail in the lane relay waits since", "mercury queue list --lane relay"),
        ("1 entry: 451 4.7.1 Greylisted", "mercury queue list --error '451 4.7.1'"),
        ("1 entry held until a person decides", "mercury queue list --lane hold"),
    ):
        assert what in text and do in text, text
    assert len(text.splitlines()) <= 24, "one screen"
    said = json.loads(desk.run("status", "--json").stdout)
    assert said["well"] is False and {"what", "do"} == set(said["troubles"][0])


@pytest.mark.parametrize(
    ("is_waiting", "age", "is_said"), [(True, 5 * 3600, True), (False, 60, True), (False, 7200, False)]
)
def test_a_smarthost_that_takes_no_mail_is_said_at_once(
    desk: Desk, is_waiting: bool, age: int, is_said: bool
) -> None:
    """Long before mail is late: a wrong password never mends itself."""
    if is_waiting:
        desk.put(ONE, Lane.RELAY, due=time.time())
    page = HopPage(trouble="smtp.isp.example:587 refused the login (535 5.7.8 wrong)", since=time.time() - age)
    hop = routing_table(load(desk.root / "mercury.yaml")).sites["hq"].smarthosts[0]
    write_book(desk.root / "state", render_book({hop.book_name: page}, time.time()))
    text = desk.run("status").stdout
    assert ("no mail can be handed to smtp.isp.example:587 since" in text and "535 5.7.8" in text) is is_said


def test_a_certificate_that_cannot_be_read_is_trouble(desk: Desk) -> None:
    (desk.root / "cert.pem").write_text("no certificate")
    (desk.root / "mercury.yaml").write_text(CONFIG + "tls: {certificate: cert.pem, key: cert.pem}\n")
    assert any(
        "cert.pem cannot be read" in one["what"]
        for one in json.loads(desk.run("status", "--json").stdout)["troubles"]
    )


def test_top_looks_once_without_a_terminal(desk: Desk) -> None:
    desk.put(ONE, Lane.RELAY)
    text = desk.run("top").stdout
    assert "MercuryS  does not run here" in text and "relay     1 entry," in text and "\x1b" not in text
    said = json.loads(desk.run("top", "--json", "--once").stdout)
    assert said["lanes"]["relay"]["entries"] == 1 and said["sessions"] == []


def test_a_site_is_paused_and_resumed(desk: Desk) -> None:
    paused = desk.run("site", "pause", "hq", "--for", "2h", "--reason", "the line is down")
    assert paused.exit_code == 0 and "site hq: hold until" in paused.stdout and "the line is down" in paused.stdout
    resumed = desk.run("site", "resume", "hq")
    assert "site hq: relay" in resumed.stdout and "mercury-c does not run here" in resumed.output
    held, freed = desk.run("audit").stdout.splitlines()
    assert "site set hq hold --for 2h: the line is down" in held and "site set hq configured" in freed


def test_no_color_is_honoured(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    arguments = ["--config", str(desk.root / "mercury.yaml"), "status"]
    assert "\x1b" in CliRunner().invoke(mercury, arguments, color=True).stdout
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as patch:
            patch.setitem(os.environ, name, value)
            assert "\x1b" not in CliRunner().invoke(mercury, arguments, color=True).stdout, name


def test_help_cuts_no_sentence() -> None:
    from click.testing import CliRunner

    for words in ([], ["queue"], ["config"], ["site"], ["user"], ["alias"], ["dkim"], ["blacklist"]):
        shown = CliRunner().invoke(mercury, [*words, "--help"]).stdout
        assert "Commands:" in shown and "..." not in shown.partition("Commands:")[2], shown
        assert max(map(len, shown.splitlines())) <= 80
