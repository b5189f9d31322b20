"""Which daemons a configuration wants: what of them does not run is an alarm, another that does not is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.config.load import parse
from shared.survey.needed import needed_daemons

HOST = (
    "hostname: mail.hq.example\nsite: hq\nsites:\n  hq:\n    smarthosts: [{host: smtp.isp.example}]\n    delivery: "
)
PLANT = """  plant:
    delivery: hold
    overlay: {domains: [plant.example], host: 10.2.0.5, pins: [pAJ4Cn0xPDGzBTsQZ9P3ajUZPSmaLt8IclVQSbcVHbs=]}
"""
ROUTE = "routes: [{to: [partner.example], deliver: direct}]\n"


@pytest.mark.parametrize(
    ("text", "others"),
    [
        ("relay\n", {"c"}), ("direct\n", {"e"}), ("auto\n", {"c", "e"}), ("hold\n", set()),
        ("direct\n" + PLANT, {"c", "e"}), ("relay\n" + ROUTE, {"c", "e"}),
    ],
    ids=["relay", "direct", "auto", "hold", "overlay", "route"],
)  # fmt: skip
def test_who_is_needed_follows_from_the_ways(text: str, others: set[str]) -> None:
    assert needed_daemons(parse(HOST + text, Path("/etc/mercury/mercury.yaml"))) == {
        "mercury-s", *(f"mercury-{letter}" for letter in others)
    }  # fmt: skip
