"""What MercuryS refuses at the door, and with which reply; that mail it took stands behind each 250."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from clients import Raw
from deadline import eventually, stays
from mailsite import NOBODY, Site
from setting import Stage


@pytest.fixture(scope="module")
def door(module_stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = module_stage.site(tmp_path_factory.mktemp("door"))
    site.config["receive"]["max_message_size"] = "100K"
    site.relay_to(NOBODY)
    site.write_config()
    site.add_users("anna")
    site.start("s")
    yield site


def in_transaction(site: Site, source: str = "127.0.0.1", parameters: str = "") -> Raw:
    raw = Raw(site.port, source)
    raw.say("EHLO client.example")
    assert raw.say(f"MAIL FROM:<bert@outside.example>{parameters}").startswith("250")
    return raw


def test_an_unknown_local_user_is_refused_at_rcpt(door: Site) -> None:
    with in_transaction(door) as raw:
        assert raw.say("RCPT TO:<nobody@hq.example>").startswith("550 5.1.1 ")
        assert raw.say("RCPT TO:<anna@hq.example>").startswith("250 2.1.5 ")


def test_a_stranger_may_not_relay(door: Site) -> None:
    with in_transaction(door, source="127.0.0.66") as raw:
        assert raw.say("RCPT TO:<x@elsewhere.example>").startswith("550 5.7.1 ")
        assert raw.say("RCPT TO:<anna%elsewhere.example@hq.example>")[:4] in ("550 ", "553 ")
        assert raw.say("RCPT TO:<anna@hq.example>").startswith("250 ")


def test_a_client_of_the_site_may_relay(door: Site) -> None:
    with in_transaction(door) as raw:
        assert raw.say("RCPT TO:<x@elsewhere.example>").startswith("250 ")


def test_a_size_too_large_is_refused_at_mail(door: Site) -> None:
    with Raw(door.port) as raw:
        raw.say("EHLO client.example")
        assert raw.say("MAIL FROM:<bert@outside.example> SIZE=200000").startswith("552 5.3.4 ")


def test_a_message_too_large_is_refused_after_its_end(door: Site) -> None:
    before = len(door.entries("local"))
    with in_transaction(door) as raw:
        raw.say("RCPT TO:<anna@hq.example>")
        assert raw.say("DATA").startswith("354")
        raw.send((b"x" * 76 + b"\r\n") * 3000 + b".\r\n")
        assert raw.reply().startswith("552 5.3.4 ")
        assert raw.say("NOOP").startswith("250 "), "the session goes on"
    assert len(door.entries("local")) == before


def test_a_smuggled_end_does_not_end_the_message(door: Site) -> None:
    with in_transaction(door) as raw:
        raw.say("RCPT TO:<anna@hq.example>")
        raw.say("DATA")
        raw.send(b"Subject: token-smuggled-.\r\n\r\n\n.\nMAIL FROM:<evil@hq.example>\r\n.\r\n")
        assert raw.reply().startswith("554 ")
        assert raw.say("NOOP").startswith("250 ")
    stays(lambda: not any(b"token-smuggled" in m for m in door.mailbox("anna")), 0.5)


def test_nothing_is_kept_of_a_message_broken_off(door: Site) -> None:
    with in_transaction(door) as raw:
        raw.say("RCPT TO:<anna@hq.example>")
        raw.say("DATA")
        raw.send(b"Subject: token-broken-.\r\n\r\nhalf")
    eventually(lambda: not list((door.root / "spool").glob(".*/tmp/*")), what="empty tmp folders")
    stays(lambda: not any(b"token-broken" in m for m in door.mailbox("anna")), 0.5)


def test_the_queue_id_is_said_written_and_kept(door: Site) -> None:
    """The same word in the 250, in Received and in the delivered copy."""
    with in_transaction(door) as raw:
        raw.say("RCPT TO:<anna@hq.example>")
        raw.say("DATA")
        raw.send(b"Subject: token-id-.\r\n\r\n.\r\n")
        said = raw.reply()
    copy = eventually(lambda: [m for m in door.mailbox("anna") if b"token-id-." in m], what="delivery")[0]
    received = copy[copy.index(b"Received:") :].split(b"\n", 2)[1].decode()
    queue_id = received.split(" id ")[1].split()[0].rstrip(";")
    assert queue_id in said


def test_many_pipelined_commands_are_answered_in_order(door: Site) -> None:
    with Raw(door.port) as raw:
        raw.say("EHLO client.example")
        raw.send(
            b"MAIL FROM:<b@x.example>\r\nRCPT TO:<anna@hq.example>\r\nRCPT TO:<nobody@hq.example>\r\nNOOP\r\nRSET\r\n"
        )
        assert [raw.reply()[:3] for _ in range(5)] == ["250", "250", "550", "250", "250"]
