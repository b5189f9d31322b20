"""R-30: a soak of two minutes: mail of three kinds, daemons killed, a storm, reloads; nothing grows, and the sum is right."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from account import Flow, acknowledged, tokens_below
from deadline import eventually
from mailsite import NOBODY, Site
from peers import FarEnd

SECONDS = 120
WARM = 30


def footprint(site: Site, letter: str) -> dict[str, int]:
    place = Path(f"/proc/{site.daemons[letter].pid}")
    text = (place / "status").read_text()
    rss = int(text.partition("VmRSS:")[2].split()[0])
    return {"fds": len(list((place / "fd").iterdir())), "rss": rss, "threads": len(list((place / "task").iterdir()))}


@pytest.mark.timeout(SECONDS + 180)
def test_a_soak(site: Site, far_end: FarEnd, tell: Callable[..., None]) -> None:
    """The server is measured; the relay is the one that is killed, and its smarthost goes away and comes back."""
    site.add_users("load")  #  Who sends it all, and gets the reports.
    site.relay_to(far_end.hop)
    site.write_config()
    site.start("sc")
    names = ("anna@hq.example", "x@elsewhere.example", "refused@elsewhere.example")
    flows = [Flow(site.port, name, 1, 0.1, 8_000).start() for name in names]
    begun, turn = time.monotonic(), 0
    early: dict[str, int] = {}
    while time.monotonic() - begun < SECONDS:
        time.sleep(4)
        turn += 1
        if turn % 3 == 0:
            site.kill("c")
            site.start("c")
        elif turn % 3 == 1:
            site.relay_to(NOBODY if turn % 2 else far_end.hop)
            site.write_config()
            for letter in "sc":
                site.daemons[letter].signal(1)
        if not early and time.monotonic() - begun > WARM:
            early = footprint(site, "s")
    site.relay_to(far_end.hop)
    site.write_config()
    site.daemons["c"].signal(1)
    for flow in flows:
        flow.end()
    eventually(site.is_empty, 90, "an empty queue")
    late = footprint(site, "s")
    found, torn = tokens_below(site.root / "mail" / "hq.example" / "anna", far_end.folder)
    reports = b"".join(site.mailbox("load"))
    taken, bounced = acknowledged(flows[:2]), flows[2].acknowledged
    told = {token for token in bounced if token.encode() in reports}
    tell(
        seconds_of_load=SECONDS, acknowledged=len(taken) + len(bounced), delivered=len(taken & set(found)),
        bounced=len(told), memory_kib=f"{early['rss']} to {late['rss']}",
        descriptors=f"{early['fds']} to {late['fds']}", threads=f"{early['threads']} to {late['threads']}",
    )  # fmt: skip
    assert not taken - set(found) and not torn
    assert not bounced - told, f"neither delivered nor reported: {sorted(bounced - told)[:3]}"
    assert late["fds"] <= early["fds"] + 5 and late["threads"] <= early["threads"]
    assert late["rss"] < early["rss"] * 1.15 + 4096
