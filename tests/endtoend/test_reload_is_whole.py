"""A daemon that was reloaded is like one that was started anew: of the settings that docs/settings.md marks with `reload`,
none stays behind in some corner of it. All numbers, times, sizes and switches of the sample are changed at once."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from certificate import self_signed
from mailsite import ROOT
from process import free_port


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The sample with everything in it, in a folder with all that it names, on ports that are free."""
    text = re.sub(r"(?m)^#(?=[a-z]+:| +[a-z_]+:| +- )", "", (ROOT / "etc/mercury.yaml").read_text())
    text = re.sub(r"(?m)^    (socket|ldap):.*\n(      .*\n)*", "", text)
    text = re.sub(r"(?m)^(spool|state|run): .*$", rf"\1: {tmp_path}/\1", text)
    text = text.replace("/var/spool/mercury-pickup", f"{tmp_path}/pickup").replace(
        "/var/mail/mercury", f"{tmp_path}/m"
    )
    text = re.sub(r"(- \{port: )\d+", lambda found: f"{found[1]}{free_port('127.0.0.1')}", text)
    text = re.sub(r"(?m)^(    - \{port: \d+,)((?!.*address:).*)$", r"\1 address: 127.0.0.1,\2", text)
    text = re.sub(r"workers: \d+", "workers: 1", text)
    text = re.sub(r"(?m)^  listen: \S+:\d+", lambda found: f"  listen: 127.0.0.1:{free_port('127.0.0.1')}", text)
    (tmp_path / "mercury.yaml").write_text(text)
    (tmp_path / "secrets").mkdir()
    for name in ("isp", "introspection"):
        (tmp_path / "secrets" / name).write_text("sesame\n")
        (tmp_path / "secrets" / name).chmod(0o600)
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/en.txt").write_text("[advice]\nAsk the help desk.\n")
    (tmp_path / "tls").mkdir()
    certificate, key = self_signed(tmp_path / "tls", "mail.hq.example")
    for name in ("cert", "other", "clients", "login-ca", "ldap-ca"):
        (tmp_path / f"tls/{name}.pem").write_bytes(certificate.read_bytes())
    for name in ("key", "other-key"):
        (tmp_path / f"tls/{name}.pem").write_bytes(key.read_bytes())
        (tmp_path / f"tls/{name}.pem").chmod(0o600)
    (tmp_path / "aliases").write_text("")
    (tmp_path / "users.yaml").write_text("{}\n")
    return tmp_path


@pytest.mark.parametrize("letter", ["s", "c", "e"])
def test_nothing_of_the_old_configuration_stays(folder: Path, letter: str) -> None:
    command = [sys.executable, str(ROOT / "tests/endtoend/reloaded.py"), letter, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, env=environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert not found, json.dumps(found, indent=1)
