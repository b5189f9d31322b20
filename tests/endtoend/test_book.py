"""The pages tell the truth: each command they show is run in a site, and says what the page says."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from book import PAGES, QUEUE_ID, ROOT, Block, Shown, blocks, commands, is_as_shown
from certificate import self_signed
from click.testing import CliRunner
from clients import Raw
from deadline import eventually
from mailsite import Site
from peers import FarEnd
from process import free_port
from setting import Stage

from shared.admin.command import mercury
from shared.admin.manual import manual
from shared.config.load import ConfigErrors, parse

SESSIONS = {page: [block for block in blocks(page) if block.language == "console"] for page in PAGES}
#  Commands that change nothing.
LOOKS = re.compile(
    r"mercury (find|status|route|queue( list| show| trail| summary)?|site (show|list)|user list)\b|ls |mercury-mailq"
)
CONFIG = re.compile(r"# /etc/mercury/mercury\.yaml")


def test_what_only_root_can_do_on_a_host_of_his_own_is_said_so() -> None:
    """The list of what no test runs, by the programs: whoever shows another one makes it run, or adds it here."""
    shown = [command for page in PAGES for block in SESSIONS[page] for command in commands(block)]
    programs = {command.command.split()[0] for command in shown if command.is_for_root}
    for command in shown:
        if command.is_for_root:
            print(f"{command.block.page.name}:{command.block.line}: {command.command}")
    assert programs <= {
        "apt-get", "systemctl", "journalctl", "git", "make", "/usr/bin/python3", "/opt/mercury/bin/pip", "ln",
        "/opt/mercury/bin/mercury", "install", "chown", "postfix", "certbot", "mercury", "ss", "postqueue", "postconf",
        "postsuper", "dpkg-divert", "cp", "newaliases", "scp", "sed", "rm",
    }  # fmt: skip
    by_mercury = {
        command.command.split()[1] for command in shown if command.is_for_root and "mercury " in command.command
    }
    assert not {"queue", "route", "status", "find", "user", "site", "audit", "config"} & by_mercury


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_stand_in_sessions(page: Path) -> None:
    """A command that stands elsewhere than in a session would be one that nobody runs."""
    a_command = r"(?m)^\s*[$#]? ?(mercury|mercury-sendmail) "
    for block in blocks(page):
        assert block.language == "console" or not re.search(a_command, block.text), f"{page.name}:{block.line}"
    text = re.sub(r"(?ms)^ *```.*?^ *```$", "", page.read_text())
    assert not re.search(r"(?m)^    [$#]? ?(mercury|mercury-sendmail) ", text), page.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", page.read_text()):
        name, _, anchor = target.partition("#")
        path = (page.parent / name) if name else page
        assert path.exists(), f"{page.name}: {target}"
        if anchor and path.suffix == ".md":
            headings = re.findall(r"(?m)^#+ (.+)$", path.read_text())
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, (
                target
            )


def test_the_book_is_bound(tmp_path: Path) -> None:
    """`make docs`: every page is in the contents, nothing is fetched, and the man pages are there."""
    docs = shutil.copytree(ROOT / "docs", tmp_path / "docs")
    (docs / "man/mercury.1.md").write_text(manual())
    for kind in ("html", "man"):
        done = subprocess.run(
            [sys.executable, "-m", "sphinx", "-q", "-W", "-b", kind, str(docs), str(tmp_path / kind)],
            capture_output=True, text=True, cwd=ROOT, timeout=110,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    assert "README.html" in (tmp_path / "html/index.html").read_text()
    assert not re.search(r'(?:src|<link[^>]* href)="https?:', (tmp_path / "html/configuration.html").read_text())
    assert "retry.lifetime" in (tmp_path / "man/mercury.yaml.5").read_text()
    assert (tmp_path / "man/mercury.7").is_file()


def whole_files() -> list[Block]:
    """The configurations that a page shows in full: they begin with the name of the file."""
    return [
        block for page in PAGES for block in blocks(page) if block.language == "yaml" and CONFIG.match(block.text)
    ]


@pytest.mark.parametrize("block", whole_files(), ids=lambda block: f"{block.page.name}:{block.line}")
def test_a_whole_configuration_has_no_errors(block: Block, tmp_path: Path) -> None:
    for name in re.findall(r"(?:secrets|tls|lists)/[\w./-]+", block.text):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("sesame\n")
        (tmp_path / name).chmod(0o600)
    try:
        parse(block.text, tmp_path / "mercury.yaml")
    except ConfigErrors as errors:
        raise AssertionError("\n".join(map(str, errors.problems))) from None


class Desk:
    """A site with what the pages speak of: a message that waits, people, and programs to run commands with."""

    def __init__(self, site: Site, smarthost: FarEnd, page: Path) -> None:
        self.site = site
        self.waiting = ""
        root = site.root
        self._replaced = [
            ("/etc/mercury", str(root)),
            ("/var/spool/mercury-pickup", str(root / "spool-pickup")),
            ("/var/spool/mercury", str(root / "spool")),
            ("/var/lib/mercury", str(root / "state")),
            ("/var/mail/mercury", str(root / "mail")),
            ("/run/mercury", str(root / "run")),
            ("127.0.0.1:25", f"127.0.0.1:{site.port}"),
            ("smtp.isp.example[192.0.2.25]:587", "127.0.0.1[127.0.0.1]:9"),
        ]
        own = [block for block in whole_files() if block.page == page]
        self.has_file_of_its_own = bool(own)
        if own:
            (root / "aliases").unlink()
            self._take(own[0], smarthost)
        else:
            site.config["retry"] = {"first": "5m"}
        site.write_config()

    def _take(self, block: Block, smarthost: FarEnd) -> None:
        """The page's own configuration, with the ports and folders of this site and a smarthost that is here."""
        config: dict[str, Any] = yaml.safe_load(block.text)
        for name in ("spool", "state", "run", "dns"):
            config[name] = self.site.config[name]
        config["local"]["maildir"] = self.site.config["local"]["maildir"]
        for listener in config.setdefault("receive", {}).setdefault("listeners", [{"port": 25}]):
            port = listener["port"]
            mapped = self.site.port if port == 25 else free_port("127.0.0.1")
            listener.update(port=mapped, address="127.0.0.1", kind="mx" if port == 25 else "submission")
            listener.update(tls="implicit") if port == 465 else None
            self._replaced.append((f"127.0.0.1:{port}", f"127.0.0.1:{mapped}")) if port != 25 else None
        for each in config["sites"].values():
            if "smarthosts" in each:
                each["smarthosts"] = [{"host": smarthost.hop[0], "port": smarthost.hop[1], "tls": "off"}]
        if "tls" in config:
            folder = self.site.root / "tls"  # which `mercury setup` makes
            folder.mkdir()
            for made, name in zip(self_signed(folder, config["hostname"]), config["tls"].values(), strict=True):
                made.rename(self.site.root / name)
        self.site.config = config

    def let_mail_wait(self) -> None:
        """A message that could not be handed on, for commands that name one. Its smarthost is not there."""
        if self.waiting and any(self.waiting in path.name for path in self.site.entries("relay")):
            return
        with Raw(self.site.port) as raw:
            raw.say("EHLO client.example")
            raw.say("MAIL FROM:<anna@hq.example>")
            raw.say("RCPT TO:<joe@partner.example>")
            raw.say("DATA")
            raw.send(b"Subject: Plans\r\nMessage-ID: <1@hq.example>\r\n\r\nhello\r\n.\r\n")
            found = re.search(QUEUE_ID, raw.reply())
        assert found
        self.waiting = found[0]
        eventually(lambda: any(e.get("id") == self.waiting for e in self.site.events("recipient-deferred")))

    def run_until_right(self, shown: Shown) -> tuple[int, str]:
        """What a command looks at may still be under way."""
        end = time.monotonic() + 20
        code, said = self.run(shown)
        while not is_right(shown, code, said) and LOOKS.match(shown.command) and time.monotonic() < end:
            time.sleep(0.2)
            code, said = self.run(shown)
        return code, said

    def run(self, shown: Shown) -> tuple[int, str]:
        line = re.sub(r"\s+# .*", "", shown.command)
        line = re.sub(QUEUE_ID, self.waiting, line) if self.waiting else line
        for theirs, ours in self._replaced:
            line = line.replace(theirs, ours)
        code, said = self._in_process(line) if re.match(r"mercury [^|>;&`]*$", line) else self._by_shell(line)
        if found := re.match(r"mercury user add (\S+)", line):
            end = time.monotonic() + 20
            while not self._is_known(found[1]) and time.monotonic() < end:
                time.sleep(0.3)  # each refusal is an event that the pages would show
        for theirs, ours in reversed(self._replaced):
            said = said.replace(ours, theirs)
        return code, said

    def _is_known(self, address: str) -> bool:
        with Raw(self.site.port) as raw:
            raw.say("EHLO client.example")
            raw.say("MAIL FROM:<>")
            return raw.say(f"RCPT TO:<{address}>").startswith("250")

    def _in_process(self, line: str) -> tuple[int, str]:
        """A process of its own for each would take minutes in all."""
        given = "correct horse battery\n" * 2
        if re.match(r"mercury user (add|passwd) (?!.*--(no-password|password-stdin))", line):
            line += " --password-stdin"  # there is no terminal here to ask at
        env = {"MERCURY_CONFIG": str(self.site.config_path), "COLUMNS": "200"}
        words = shlex.split(line, comments=True)[1:]
        with contextlib.chdir(self.site.root):
            done = CliRunner().invoke(mercury, words, input=given, env=env, catch_exceptions=False)
        return done.exit_code, done.output

    def _by_shell(self, line: str) -> tuple[int, str]:
        programs = self.site.root / "bin"
        programs.mkdir(exist_ok=True)
        for name, module in (("mercury", "shared.admin"), ("mercury-sendmail", "shared.admin.sendmail")):
            program = programs / name
            call = "import sys; from shared.admin.sendmail import main; sys.exit(main())"
            words = f"-m {module}" if name == "mercury" else f"-c '{call}'"
            program.write_text(f'#!/bin/sh\nexec {sys.executable} {words} "$@"\n')
            program.chmod(0o755)
        env = {
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "MERCURY_CONFIG": str(self.site.config_path),
            "COLUMNS": "200",
        }
        done = subprocess.run(
            ["sh", "-c", line], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env,
            cwd=self.site.root, timeout=60, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return done.returncode, done.stdout


PAGES_WITH_A_FILE = {block.page for block in whole_files()}
RUN = [page for page in PAGES if any(not shown.is_for_root for block in SESSIONS[page] for shown in commands(block))]


@pytest.fixture(scope="module")
def shared_desk(module_stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """For the pages that say nothing of a configuration of their own: three daemons are dear."""
    return set_up(module_stage, tmp_path_factory.mktemp("book"), ROOT / "README.md")


@pytest.mark.parametrize("page", [page for page in RUN if page not in PAGES_WITH_A_FILE], ids=lambda page: page.name)
def test_a_page_shows_what_happens(shared_desk: Desk, page: Path) -> None:
    assert not (wrong := faults(shared_desk, page)), "\n\n".join(wrong)


@pytest.mark.parametrize("page", [page for page in RUN if page in PAGES_WITH_A_FILE], ids=lambda page: page.name)
def test_a_page_with_a_configuration_shows_what_happens(stage: Stage, tmp_path: Path, page: Path) -> None:
    desk = set_up(stage, tmp_path, page)
    assert not (wrong := faults(desk, page)), "\n\n".join(wrong)


def faults(desk: Desk, page: Path) -> list[str]:
    wrong = []
    for block in SESSIONS[page]:
        if not desk.has_file_of_its_own and (re.search(QUEUE_ID, block.text) or "queue" in block.text):
            desk.let_mail_wait()
        for shown in commands(block):
            if shown.is_for_root:
                continue
            code, said = desk.run_until_right(shown)
            if not is_right(shown, code, said):
                instead = f"  in place of\n{shown.output}" if shown.output.strip() else ""
                wrong.append(
                    f"{page.name}:{block.line}: {shown.command}\n  ended with {code}, and said\n{said}{instead}"
                )
    return wrong


def is_right(shown: Shown, code: int, said: str) -> bool:
    return code == shown.exit_code and is_as_shown(shown.output, said)


def set_up(stage: Stage, root: Path, page: Path) -> Desk:
    smarthost = FarEnd(root, free_port("127.0.0.1"))
    stage.peer(smarthost)
    site = stage.site(root)
    desk = Desk(site, smarthost, page)
    if not desk.has_file_of_its_own:
        site.add_users("anna", "bert")
    (root / "MERCURY.INI").write_bytes((ROOT / "tests/admin/data/relay.ini").read_bytes())
    site.start()
    return desk
