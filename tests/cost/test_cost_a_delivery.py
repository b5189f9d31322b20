"""What the last leg of a message costs in instructions of the interpreter: into a Maildir, and the plan of MercuryE.

A guard, as test_cost_a_message.py is one.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from fakes.counting import Instructions
from fakes.spools import PromptCommitter
from fakes.zones import FakeResolver
from test_cost_a_message import MESSAGES, compare

from mercury_e.route import EndToEndPlanner
from mercury_s.local.carrier import LocalCarrier
from mercury_s.local.directory import Directory
from mercury_s.local.mailbox import MailboxFolders, MessageNames
from mercury_s.local.maildrop import Maildrop
from shared.config.account import parse_accounts
from shared.mail.address import parse_address
from shared.mail.content import BytesContent
from shared.mail.envelope import Envelope, Recipient
from shared.mail.outcome import Delivered
from shared.routing.leg import Leg
from shared.routing.site import Delivery, Site
from shared.routing.table import RoutingTable

MAILDIR = 1400
PLAN = 240
NEW_DESTINATION = 1940

CONTENT = BytesContent(b"Subject: cost\r\n\r\n" + b"x" * 70 + b"\r\n")
ANNA = Recipient(parse_address("anna@hq.example"))

pytestmark = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the numbers are those of CPython 3.11")


def test_a_message_into_a_maildir(tmp_path: Path) -> None:
    """From the leg to the outcome; the batch is of one message, and its syncs are one by one."""
    accounts = parse_accounts(b"anna@hq.example: {}\n", "users")
    carrier = LocalCarrier(
        Directory(["hq.example"], lambda: accounts, dict),
        MailboxFolders(f"{tmp_path}/{{domain}}/{{user}}"),
        Maildrop(PromptCommitter(), MessageNames("hq", 42, lambda: 1000.0)),
        None,  # type: ignore[arg-type]
    )
    envelope, leg = Envelope("7Q2M-K4ZC", None, (ANNA,), 0.0), Leg("local", (ANNA,))
    counted = Instructions()

    async def deliver() -> None:
        await carrier.carry(envelope, CONTENT, leg)
        with counted:
            for _ in range(MESSAGES):
                (outcome,) = (await carrier.carry(envelope, CONTENT, leg)).values()
                assert isinstance(outcome, Delivered)

    asyncio.run(deliver())
    compare(counted, MAILDIR)


def _planner() -> EndToEndPlanner:
    zone = {f"d{number}.example": {"MX": [(10, "mx.example")]} for number in range(MESSAGES)}
    dns = FakeResolver({**zone, "mx.example": {"A": ["192.0.2.1"]}})
    table = RoutingTable("hq.example", frozenset(), {"hq": Site("hq", (), Delivery.DIRECT)}, "hq")
    return EndToEndPlanner(dns, table, clock=lambda: 1000.0)


def _plan(planner: EndToEndPlanner, domain: str) -> None:
    recipient = Recipient(parse_address(f"anna@{domain}"))
    envelope = Envelope("7Q2M-K4ZC", None, (recipient,), 0.0, site="hq")
    assert len(asyncio.run(planner.plan(envelope, (recipient,))).legs) == 1


def test_the_way_of_a_moment_ago() -> None:
    planner = _planner()
    _plan(planner, "d0.example")
    with Instructions() as counted:
        for _ in range(MESSAGES):
            _plan(planner, "d0.example")
    compare(counted, PLAN)


def test_the_way_to_a_new_domain() -> None:
    """Without the questions themselves."""
    planner = _planner()
    with Instructions() as counted:
        for number in range(MESSAGES):
            _plan(planner, f"d{number}.example")
    compare(counted, NEW_DESTINATION)
