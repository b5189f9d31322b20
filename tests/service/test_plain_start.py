"""A plain start imports nothing that only some configurations, or only commands, need: three starts at once share the
processors with whatever else the host is booting, and what is imported stays in memory for good."""

from __future__ import annotations

import subprocess
import sys

import pytest

#  HTTP clients and servers, signatures of tokens, what the command line and the demo draw with, libraries of models.
_NOBODY = (
    "twisted.web", "twisted.internet.endpoints", "jwt", "click", "rich", "shared.admin",
    "pydantic", "argparse", "zoneinfo", "difflib", "multiprocessing",
)  # fmt: skip
NOT_AT_START = {
    #  It connects to nobody but a mailbox server (`local.lmtp`), and asks no name server.
    "s": (*_NOBODY, "dns.", "shared.dns", "shared.transport.carrier", "shared.smtp.client", "importlib.metadata"),
    "c": _NOBODY,
    "e": _NOBODY,
}
_START = """
import gc, importlib, sys
from pathlib import Path
gc.disable()
import shared.service.daemon
from shared.service.life import settle_down
importlib.import_module(sys.argv[1])
shared.service.daemon._parse_arguments("mercury", ("--config", "/etc/mercury/mercury.yaml"))
from shared.config.load import parse
parse("sites: {hq: {delivery: relay, smarthosts: [{host: isp.example}]}}", Path("/mercury.yaml"), lambda: "a.example")
settle_down()
print(*sys.modules, gc.isenabled())
"""


@pytest.mark.parametrize("letter", NOT_AT_START)
def test_what_a_plain_start_leaves_alone(letter: str) -> None:
    command = [sys.executable, "-c", _START, f"mercury_{letter}.daemon"]
    *loaded, collects = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    wrong = [name for name in loaded if name.startswith(NOT_AT_START[letter])]
    assert not wrong, "import it where it is used, or say here why every start needs it"
    assert f"mercury_{letter}.daemon" in loaded
    assert collects == "True", "the collector sleeps only while a daemon starts"


def test_looking_at_the_queue_does_not_import_what_changes_it() -> None:
    code = "import sys, shared.admin.queue; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "shared.survey.census" in loaded
    assert not {"shared.admin.queue_verbs", "shared.service.acts", "shared.delivery.reports", "twisted"} & set(loaded)
