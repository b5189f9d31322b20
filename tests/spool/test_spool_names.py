"""Names of entries come back as they were made, and foreign names are known as such."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.routing.lane import Lane
from shared.spool.names import EntryName, claimed_name, name_in_lane, parse_name, safe_node, split_claimed, standing

NAMES = st.builds(
    EntryName,
    st.integers(min_value=0, max_value=10**11),
    st.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ-", min_size=1, max_size=9),
    st.text().map(safe_node),
    st.integers(min_value=0, max_value=10**12),
    st.sampled_from(["", *(lane.word for lane in Lane)]),
    st.sampled_from(["", "9f31c2d0"]),
    st.sampled_from(["", "0a1z"]),
    st.integers(-9, 9),
)


@settings(derandomize=True)
@given(name=NAMES, owner=st.from_regex(r"[a-z-]+\.[0-9]+\.[0-9a-f]{6}\.[a-z.-]+", fullmatch=True))
def test_names_come_back(name: EntryName, owner: str) -> None:
    assert parse_name(str(name)) == name
    assert split_claimed(claimed_name(str(name), owner)) == (str(name), owner)
    assert len(claimed_name(str(name), f"mercury-c.4194304.abcdef.{name.node}")) <= 255


@settings(derandomize=True)
@given(name=NAMES)
def test_the_standing_is_what_the_name_says(name: EntryName) -> None:
    assert standing(str(name)) == (name.flow, name.priority)


def test_a_foreign_name_has_an_ordinary_standing() -> None:
    assert [standing(name) for name in ("x", "x,P=", "x,P=high", "")] == [("", 0)] * 4


@pytest.mark.parametrize("flags", ["", ":2,", ":2,S", ":2,FS", ":1,x"])
def test_what_a_mail_reader_left_in_cur_has_no_owner(flags: str) -> None:
    name = "1790000000.7Q2M-K4ZC.hq,S=12"
    assert split_claimed(name + flags) == (name, "")


@pytest.mark.parametrize(
    "name",
    [
        "", "x", "1790000000", "1790000000.id", "1790000000.id.node", "1790000000.id.node,S=", "1790000000.id.node,S=x",
        "x.id.node,S=5", "1790000000.id.node,W=5", "1790000000.id.node,S=5,X=1", "1790000000.id.node,S=5,L=",
        "1790000000.id.node,S=5,L=a,C=b", "1790000000.id.node,S=5:2,S", "1790000000.id.nöde,S=5", "١.id.node,S=5",
        "1790000000.id.node,S=5,P=0", "1790000000.id.node,S=5,P=", "1790000000.id.node,S=5,P=x",
        "1790000000.id.node,S=5,P=-", "1790000000.id.node,S=5,P=1,F=abcd", "1790000000.id.node,S=5,F=",
        "1790000000.id.node,S=5,N=owner", "-1.id.node,S=5", "1790000000.id.node,S=5,S=6",
    ],
)  # fmt: skip
def test_foreign_names_are_none(name: str) -> None:
    assert parse_name(name) is None


@pytest.mark.parametrize(
    ("host", "node"),
    [("mail.hq.example", "mail.hq.example"), ("a/b:c,d e", "a-b-c-d-e"), ("", "localhost"), ("..", "localhost")],
)
def test_a_node_is_safe_in_names(host: str, node: str) -> None:
    assert safe_node(host) == node


def test_entries_of_one_message_keep_names_of_their_own_wherever_they_meet() -> None:
    """From every lane the entry starts in, by way of any two others: never two origins under one name in one lane."""
    name = "1790000000.7Q2M-K4ZC.hq,S=12"
    seen: dict[tuple[Lane, str], Lane] = {}
    for start in Lane:
        for via in Lane:
            for end in Lane:
                first = name_in_lane(name, start, via) if via is not start else name
                last = name_in_lane(first, via, end) if end is not via else first
                for lane, there in ((start, name), (via, first), (end, last)):
                    assert seen.setdefault((lane, there), start) is start


def test_back_in_its_own_lane_an_entry_has_its_first_name() -> None:
    name = "1790000000.7Q2M-K4ZC.hq,S=12"
    held = name_in_lane(name, Lane.RELAY, Lane.HOLD)
    assert held == name + ",L=relay"
    assert name_in_lane(held, Lane.HOLD, Lane.RELAY) == name
