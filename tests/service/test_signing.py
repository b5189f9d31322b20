"""Whose mail is signed on its way out, with which keys, and what becomes of it without them."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import dkim
import pytest

from shared.config.load import parse
from shared.config.model import Config
from shared.config.routing import routing_table
from shared.dkim.private_key import PrivateKey, make_key
from shared.mail.address import parse_address
from shared.mail.content import BytesContent, Content
from shared.mail.envelope import Envelope, Recipient
from shared.mail.outcome import Deferred
from shared.observe.log import log
from shared.service.credentials import Credentials
from shared.service.signing import Signing, signs

KEYS = {"s1": make_key("ed25519"), "s2": make_key("ed25519"), "s3": make_key("ed25519")}
OURS = Envelope(
    "ID1", parse_address("anna@hq.example"), (Recipient(parse_address("x@else.example")),), 0.0, site="hq",
    login="anna@hq.example", client="203.0.113.9 laptop",
)  # fmt: skip
STRANGER = replace(OURS, login="", client="203.0.113.9 evil.example")
MESSAGE = b"From: Anna <anna@hq.example>\r\nSubject: hello\r\n\r\nbody\r\n"


class House:
    """A configuration with its keys on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, key in KEYS.items():
            self.write(name, key)

    def write(self, name: str, key: PrivateKey) -> None:
        path = self.folder / f"{name}.pem"
        path.write_bytes(key.as_pem())
        path.chmod(0o600)

    def config(self, *keys: str, more: str = "", sites: str = "") -> Config:
        lines = "".join(f"        - {key}\n" for key in keys or ("{selector: s1, key_file: s1.pem}",))
        text = (
            "hostname: mail.hq.example\nsite: hq\nlocal: {domains: [hq.example, other.example]}\n"
            "sites:\n  hq:\n    networks: [192.168.1.0/24]\n    delivery: direct\n"
            f"    dkim:\n      keys:\n{lines}{more}{sites}"
        )
        return parse(text, self.folder / "mercury.yaml")

    def signing(self, *keys: str, more: str = "", is_relay: bool = False, sites: str = "") -> Signing:
        config = self.config(*keys, more=more, sites=sites)
        table = routing_table(config)
        return Signing(config, is_relay, lambda: table, Credentials({}).read_whole, lambda: 1_795_000_000.0)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def signed(signing: Signing, content: Content, envelope: Envelope = OURS) -> Content | Deferred:
    return asyncio.run(_call(signing, content, envelope))


async def _call(signing: Signing, content: Content, envelope: Envelope) -> Content | Deferred:
    return await signing(envelope, content)


def seals(result: Content | Deferred) -> list[tuple[str, str]]:
    """Domain and selector of each signature, all of which hold."""
    assert not isinstance(result, Deferred), result
    message = b"".join(result.chunks())
    count = message.count(b"DKIM-Signature:")
    found = []
    for index in range(count):
        verifier = dkim.DKIM(message)
        assert verifier.verify(idx=index, dnsfunc=_record)
        found.append((verifier.domain.decode(), verifier.selector.decode()))
    return found


def _record(name: bytes, timeout: int = 5) -> bytes:
    return KEYS[name.decode().partition(".")[0]].record.encode()


def test_mail_of_our_people_is_signed(house: House) -> None:
    assert seals(signed(house.signing(), BytesContent(MESSAGE))) == [("hq.example", "s1")]


@pytest.mark.parametrize(
    ("envelope", "is_ours"),
    [
        (OURS, True),
        (replace(OURS, login="", client="192.168.1.7 printer"), True),
        (replace(OURS, login="", client=""), True),
        (replace(OURS, login="", client="uid 1000 cron"), True),
        (replace(OURS, site="gone"), True),
        (STRANGER, False),
        (replace(STRANGER, site=""), False),
    ],
)
def test_a_stranger_who_writes_in_our_name_gets_no_signature(house: House, envelope: Envelope, is_ours: bool) -> None:
    content = BytesContent(MESSAGE)
    result = signed(house.signing(), content, envelope)
    assert (seals(result) == [("hq.example", "s1")]) is is_ours and (result is content) is not is_ours


@pytest.mark.parametrize(
    ("author", "found"),
    [
        ("anna@other.example", [("other.example", "s1")]),
        ("postmaster@mail.hq.example", [("hq.example", "s1"), ("mail.hq.example", "s2")]),
        ("x@a.b.hq.example", [("hq.example", "s1")]),
        ("anna@nothq.example", []),
        ("anna@elsewhere.example", []),
    ],
)
def test_the_domain_of_the_author_chooses_the_keys(house: House, author: str, found: list[tuple[str, str]]) -> None:
    signing = house.signing(
        "{selector: s1, key_file: s1.pem}", "{selector: s2, key_file: s2.pem, domains: [mail.hq.example]}"
    )
    message = MESSAGE.replace(b"anna@hq.example", author.encode())
    assert seals(signed(signing, BytesContent(message))) == found


def test_one_key_signs_once_for_the_nearest_of_its_domains(house: House) -> None:
    signing = house.signing("{selector: s1, key_file: s1.pem, domains: [hq.example, mail.hq.example]}")
    message = MESSAGE.replace(b"anna@hq.example", b"x@mail.hq.example")
    assert seals(signed(signing, BytesContent(message))) == [("mail.hq.example", "s1")]


def test_each_site_has_its_own_keys(house: House) -> None:
    sites = (
        "  branch:\n    networks: [192.168.2.0/24]\n    delivery: direct\n"
        "    dkim:\n      keys:\n        - {selector: s3, key_file: s3.pem}\n"
        "  shop: {networks: [192.168.3.0/24], delivery: direct}\n"
    )
    signing = house.signing(sites=sites)
    of_branch = replace(OURS, site="branch", login="", client="192.168.2.9 till")
    assert seals(signed(signing, BytesContent(MESSAGE), of_branch)) == [("hq.example", "s3")]
    assert seals(signed(signing, BytesContent(MESSAGE), replace(of_branch, site="shop"))) == []


def test_by_a_smarthost_only_where_the_site_says_so(house: House) -> None:
    assert seals(signed(house.signing(is_relay=True), BytesContent(MESSAGE))) == []
    assert not signs(house.config(), is_relay=True) and signs(house.config(), is_relay=False)
    also = house.signing(more="      relay: true\n", is_relay=True)
    assert seals(signed(also, BytesContent(MESSAGE))) == [("hq.example", "s1")]


@pytest.mark.parametrize("fault", ["gone", "open", "words", "password"])
def test_without_its_key_mail_waits_where_the_site_says_so_and_says_why(house: House, fault: str) -> None:
    signing = house.signing(more="      without_key: wait\n")
    _spoil(house.folder / "s1.pem", fault)
    result = signed(signing, BytesContent(MESSAGE))
    assert isinstance(result, Deferred) and result.reply.code == 451
    assert "s1._domainkey.hq.example" in result.reply.text and "s1.pem" in result.detail
    assert "sesame" not in f"{result}"


def test_mail_that_waited_for_its_key_goes_when_it_is_there(house: House) -> None:
    signing, content = house.signing(more="      without_key: wait\n"), BytesContent(MESSAGE)
    _spoil(house.folder / "s1.pem", "gone")
    assert isinstance(signed(signing, content), Deferred)
    house.write("s1", KEYS["s1"])
    assert seals(signed(signing, content)) == [("hq.example", "s1")]


def test_a_key_that_cannot_be_used_is_said_once_for_each_reason_and_again_when_it_fails_again(house: House) -> None:
    signing, said = house.signing(), []
    with log.watched(lambda event, fields: said.append(fields["key"])):
        for fault, times, known in (("gone", 1, True), ("gone", 1, True), ("words", 2, True), ("", 2, False)):
            house.write("s1", KEYS["s1"])
            if fault:
                _spoil(house.folder / "s1.pem", fault)
            signed(signing, BytesContent(MESSAGE))
            assert len(said) == times and bool(signing.unusable) is known
    assert set(said) == {"s1._domainkey.hq.example"}


def test_unless_it_is_to_wait_no_mail_waits_for_a_key(house: House) -> None:
    both = "{selector: s1, key_file: s1.pem}", "{selector: s2, key_file: s2.pem}"
    signing = house.signing(*both)
    _spoil(house.folder / "s1.pem", "gone")
    assert seals(signed(signing, BytesContent(MESSAGE))) == [("hq.example", "s2")]
    _spoil(house.folder / "s2.pem", "words")
    content = BytesContent(MESSAGE)
    assert signed(signing, content) is content


def _spoil(path: Path, fault: str) -> None:
    match fault:
        case "gone":
            path.unlink()
        case "open":
            path.chmod(0o644)
        case "words":
            path.write_text("sesame, open\n")
        case "password":
            path.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nsesame==\n-----END ENCRYPTED PRIVATE KEY-----\n")


def test_a_new_key_in_the_file_is_used_at_once(house: House) -> None:
    signing = house.signing()
    signed(signing, BytesContent(MESSAGE))
    house.write("s1", KEYS["s2"])
    assert seals_with(signed(signing, BytesContent(MESSAGE)), KEYS["s2"])


def seals_with(result: Content | Deferred, key: PrivateKey) -> bool:
    assert not isinstance(result, Deferred)
    record: Callable[..., bytes] = lambda name, timeout=5: key.record.encode()  # noqa: E731
    return bool(dkim.DKIM(b"".join(result.chunks())).verify(dnsfunc=record))


class Large:
    """32 MiB that nobody holds; `readings` counts how often it was read."""

    size = len(MESSAGE) + 32 * 1024 * 1024

    def __init__(self) -> None:
        self.readings = 0

    def head(self) -> bytes:
        return MESSAGE[: MESSAGE.index(b"\r\n\r\n") + 4]

    def chunks(self, size: int = 65536) -> Iterator[bytes]:
        self.readings += 1
        yield MESSAGE
        for _ in range(32 * 1024 * 1024 // 65536):
            yield b"0123456789 abcde\r\n" * 3640 + b"0123456789abcd\r\n"


def test_a_large_message_is_read_once_for_all_its_ways_and_never_held(house: House) -> None:
    signing, content = house.signing(), Large()

    async def by_three_ways() -> list[Content | Deferred]:
        return await asyncio.gather(*(signing(OURS, content) for _ in range(3)))

    tracemalloc.start()
    try:
        results = asyncio.run(by_three_ways())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert content.readings == 1 and peak < 4 * 1024 * 1024
    assert all(isinstance(result, type(results[0])) for result in results)
    assert len({next(iter(result.chunks()))[:400] for result in results if not isinstance(result, Deferred)}) == 1


def test_a_header_beyond_all_measure_is_not_signed(house: House) -> None:
    message = b"From: anna@hq.example\r\n" + b"X-Pad: " + b"x" * 600_000 + b"\r\n\r\nbody\r\n"
    content = BytesContent(message)
    assert signed(house.signing(), content) is content


def test_the_private_key_is_in_nothing_that_is_shown(house: House) -> None:
    signing = house.signing()
    result = signed(signing, BytesContent(MESSAGE))
    pem = KEYS["s1"].as_pem().decode().split("\n")[1]
    shown = repr(signing) + repr(vars(signing)) + repr(result) + repr(house.config())
    assert pem[20:40] not in shown
