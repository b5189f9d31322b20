"""SRS: what is rewritten comes back, what is forged, garbled or old does not, and case means nothing."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mercury_s.local.srs import Srs
from mercury_s.local.srs_key import KeyUnusable, read_keys
from shared.mail.address import Address, parse_address

DAY = 86400.0
NOW = 20_000 * DAY


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


def srs(domain: str = "hq.example", *keys: bytes, clock: Clock | None = None) -> Srs:
    return Srs(keys or (b"k" * 32,), domain, clock or Clock())


def rewritten(one: Srs, sender: str) -> Address:
    found = one.rewrite(parse_address(sender))
    assert found is not None
    return found


def test_a_sender_becomes_ours_and_comes_back() -> None:
    one = srs()
    ours = rewritten(one, "Who+tag@far.example")
    assert ours.local.startswith("SRS0=") and ours.local.endswith("=far.example=Who+tag")
    assert ours.domain == "hq.example" and one.is_srs(ours)
    assert one.resolve(ours) == Address("Who+tag", "far.example")


@settings(derandomize=True, max_examples=60)
@given(st.from_regex(r"[a-z0-9+=.-]{1,20}", fullmatch=True).filter(lambda t: ".." not in t and t.strip(".") == t))
def test_every_sender_comes_back(local: str) -> None:
    one = srs()
    sender = Address(local, "far.example")
    ours = one.rewrite(sender)
    if ours is not None and not local.upper().startswith("SRS"):
        assert one.resolve(ours) == sender


def test_case_may_change_on_the_way() -> None:
    one = srs()
    ours = rewritten(one, "who@far.example")
    for local in (ours.local.lower(), ours.local.upper()):
        found = one.resolve(Address(local, ours.domain))
        assert found is not None and found.key == "who@far.example"


def test_a_second_forwarder_points_to_the_first_and_a_third_as_well() -> None:
    first, second, third = (
        srs("one.example", b"1" * 32),
        srs("two.example", b"2" * 32),
        srs("three.example", b"3" * 32),
    )
    at_first = rewritten(first, "who@far.example")
    at_second = rewritten(second, str(at_first))
    at_third = rewritten(third, str(at_second))
    assert at_second.local.startswith("SRS1=") and "=one.example==" in at_second.local
    assert "two.example" not in at_third.local, "two forwarders are remembered, and no more"
    for middle in (second.resolve(at_second), third.resolve(at_third)):
        assert middle == at_first
        assert first.resolve(middle) == Address("who", "far.example")


@pytest.mark.parametrize(
    "local",
    [
        "SRS0=AAAAA=TT=far.example=who", "SRS0=AAAAA=TT=far.example", "SRS0=", "SRS0==", "SRS0=A=B=C=D",
        "SRS0=AAAAA=??=far.example=who", "SRS0=AAAAA=T=far.example=who", "SRS1=AAAAA=one.example==x", "SRS1=A", "SRS1=",
        "SRS1=AAAAA=one.example=", "SRS0=\u00e4\u00e4\u00e4\u00e4\u00e4=TT=far.example=who",
    ],
)  # fmt: skip
def test_what_is_forged_leads_nowhere(local: str) -> None:
    one = srs()
    assert one.is_srs(Address(local, "hq.example")) and one.resolve(Address(local, "hq.example")) is None


def test_what_looks_alike_is_no_srs() -> None:
    one = srs()
    for local in ("SRS0", "SRS2=a", "srs0x=a", "anna", "SRS"):
        assert not one.is_srs(Address(local, "hq.example"))
    assert not one.is_srs(Address("SRS0=a", "other.example"))


def test_another_recipient_does_not_fit_the_hash() -> None:
    one = srs()
    ours = rewritten(one, "who@far.example")
    assert one.resolve(Address(ours.local.replace("who", "woo"), ours.domain)) is None
    assert srs("hq.example", b"another key").resolve(ours) is None


def test_a_key_can_be_replaced() -> None:
    ours = rewritten(srs("hq.example", b"old" * 8), "who@far.example")
    assert srs("hq.example", b"new" * 8, b"old" * 8).resolve(ours) == Address("who", "far.example")


def test_it_is_good_for_21_days() -> None:
    clock = Clock()
    one = srs(clock=clock)
    ours = rewritten(one, "who@far.example")
    clock.now = NOW + 21 * DAY
    assert one.resolve(ours) is not None
    clock.now = NOW + 22 * DAY
    assert one.resolve(ours) is None
    clock.now = NOW - 2 * DAY
    assert one.resolve(ours) is None, "from tomorrow"


@pytest.mark.parametrize("sender", ["x" * 45 + "@far.example", "who@[192.0.2.1]", "SRS1=broken@one.example"])
def test_what_cannot_be_written_stays(sender: str) -> None:
    assert srs().rewrite(parse_address(sender)) is None


# -- the key -----------------------------------------------------------------------------------------------------------


def test_the_key_is_made_once_and_for_us_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "srs.key"
    keys = read_keys(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(keys) == 1 and len(keys[0]) == 64
    assert read_keys(path) == keys
    assert [file.name for file in path.parent.iterdir()] == ["srs.key"]


def test_several_who_make_it_at_once_agree(tmp_path: Path) -> None:
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.extend(read_keys(tmp_path / "srs.key"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1


@pytest.mark.parametrize(("text", "mode"), [(b"x" * 40, 0o644), (b"", 0o600), (b"~~~~~\n", 0o600)])
def test_a_key_that_is_none(tmp_path: Path, text: bytes, mode: int) -> None:
    path = tmp_path / "srs.key"
    path.write_bytes(text)
    path.chmod(mode)
    with pytest.raises(KeyUnusable) as caught:
        read_keys(path)
    assert text.strip().decode() not in str(caught.value) or not text


def test_several_lines_are_several_keys(tmp_path: Path) -> None:
    path = tmp_path / "srs.key"
    path.write_bytes(b"n" * 20 + b"\n\n" + b"o" * 20 + b"\n")
    path.chmod(0o600)
    assert read_keys(path) == [b"n" * 20, b"o" * 20]
