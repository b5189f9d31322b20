"""R-27: a smarthost that leads back to ourselves: the message goes round until its trace says so, and is reported once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from clients import send
from deadline import eventually
from mailsite import Site


@pytest.mark.timeout(120)
def test_a_smarthost_that_leads_back(site: Site, tell: Callable[..., None]) -> None:
    site.relay_to(("127.0.0.1", site.port))
    site.write_config()
    site.start("sc")
    send(site.port, "bert@hq.example", ["x@elsewhere.example"], b"Subject: tok-loop-1-.\r\n\r\nround\r\n")
    [report] = eventually(lambda: site.mailbox("bert"), 60, "a report to the sender")
    eventually(site.is_empty, 30, "an empty queue")
    rounds = len(site.events("message-accepted"))
    tell(rounds=rounds, reports=len(site.mailbox("bert")))
    assert b"5.4.6" in report
    assert rounds < 110 and len(site.mailbox("bert")) == 1
    site.stop("sc")
