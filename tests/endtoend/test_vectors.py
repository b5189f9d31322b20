"""The protocol vectors, one conversation each, against MercuryS as it is installed.

They lie beside the repository where it is developed and are not part of it; elsewhere there is nothing to do here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from certificate import self_signed
from mailsite import NOBODY, ROOT, Site
from process import free_port
from setting import Stage

FOLDER = ROOT.parent / "shared" / "vectors"
PASSWORD = "correct-horse-battery"
SHARES = 6  #  most of a conversation's time is waiting for silence, so several run beside each other
#  Vectors that we do not satisfy on purpose, with the reason; none of level must.
DEPARTURES: dict[str, str] = {}


def configure(site: Site) -> list[str]:
    """MercuryS as the vectors want it; the options that tell their runner where it is."""
    trusted, untrusted, submission = (free_port("127.0.0.1") for _ in range(3))
    certificate, key = self_signed(site.root, "mx.test.example")
    site.config["hostname"] = "mx.test.example"
    site.config["local"]["domains"] = ["test.example"]
    site.config["tls"] = {"certificate": str(certificate), "key": str(key)}
    site.config["receive"] = {
        "listeners": [
            {"port": trusted, "address": "127.0.0.1", "kind": "mx"},
            {"port": untrusted, "address": "127.0.0.1", "kind": "mx", "relay": False},
            #  The vectors' submission port is one that requires a login, of the site's network too.
            {"port": submission, "address": "127.0.0.1", "kind": "submission", "relay": False},
        ],
        "max_message_size": "1M",
        "rules": [{"networks": ["127.0.0.0/8"], "action": "allow", "exempt": True}],
    }
    site.relay_to(NOBODY)
    (site.root / "aliases").write_text("")
    site.write_config()
    site.add_users("alice@test.example", "bob@test.example", "postmaster@test.example", password=PASSWORD)
    return [
        *("--port", str(trusted), "--untrusted-port", str(untrusted), "--submission-port", str(submission)),
        *("--maildir-root", str(site.root / "mail"), "--user", "alice@test.example", "--password", PASSWORD),
    ]


@pytest.mark.skipif(not FOLDER.exists(), reason="the protocol vectors are not beside the repository")
@pytest.mark.timeout(400)
def test_every_vector_holds(stage: Stage, tmp_path: Path) -> None:
    site = stage.site(tmp_path)
    options = configure(site)
    site.start("s")
    vectors = (FOLDER / "vectors.jsonl").read_text().splitlines()
    runs = []
    for share in range(SHARES):
        chosen = tmp_path / f"vectors-{share}"
        chosen.write_text("\n".join(vectors[share::SHARES]) + "\n")
        command = [sys.executable, str(FOLDER / "run_vectors.py"), *options, "--vectors", str(chosen)]
        command += ["--json", str(tmp_path / f"results-{share}"), "--failures-only"]
        runs.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    said = "\n".join(run.communicate(timeout=380)[0] for run in runs)
    results = [
        json.loads(line)
        for share in range(SHARES)
        for line in (tmp_path / f"results-{share}").read_text().splitlines()
    ]
    assert len(results) == len(vectors), said
    failed = {result["id"] for result in results if result["result"] != "pass"}
    assert failed == set(DEPARTURES), "\n".join(line for line in said.splitlines() if line.startswith("FAIL"))
