"""The protocol vectors, one conversation each, against MercuryS as it is installed.

They lie beside the repository where it is developed and are not part of it; elsewhere there is nothing to do here.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from deadline import eventually
from mailsite import ROOT
from process import answers, free_port
from setting import Stage

RUNNER = ROOT.parent / "shared" / "vectors" / "run_vectors.py"
PASSWORD = "correct-horse-battery"


@pytest.mark.skipif(not RUNNER.exists(), reason="the protocol vectors are not beside the repository")
@pytest.mark.timeout(600)
def test_every_vector_that_must_hold_holds(stage: Stage, tmp_path: Path) -> None:
    site = stage.site(tmp_path)
    trusted, untrusted, submission = (free_port("127.0.0.1") for _ in range(3))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
         "30", "-subj", "/CN=mx.test.example", "-addext", "subjectAltName=DNS:mx.test.example",
         "-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    site.config["hostname"] = "mx.test.example"
    site.config["local"]["domains"] = ["test.example"]
    site.config["tls"] = {"certificate": "cert.pem", "key": "key.pem"}
    site.config["receive"] = {
        "listeners": [
            {"port": trusted, "address": "127.0.0.1", "kind": "mx"},
            {"port": untrusted, "address": "127.0.0.1", "kind": "mx", "relay": False},
            {"port": submission, "address": "127.0.0.1", "kind": "submission"},
        ],
        "max_message_size": "1M",
        "rules": [{"networks": ["127.0.0.0/8"], "action": "allow", "exempt": True}],
    }
    site.relay_to(("127.0.0.1", 9))
    (tmp_path / "aliases").write_text("")
    site.write_config()
    site.add_users("alice@test.example", "bob@test.example", "postmaster@test.example", password=PASSWORD)
    site.start("s")
    eventually(lambda: all(answers("127.0.0.1", port) for port in (trusted, untrusted, submission)))
    command = [sys.executable, str(RUNNER), "--port", str(trusted), "--untrusted-port", str(untrusted)]
    command += ["--submission-port", str(submission), "--maildir-root", str(tmp_path / "mail")]
    command += ["--user", "alice@test.example", "--password", PASSWORD, "--failures-only", "--level", "must"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stdout[-12000:] + done.stderr[-2000:]
