"""The settings of local mail: what they become, and what does not go together."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.config.load import ConfigErrors, parse
from shared.config.local import Over
from shared.config.mailing_lists import Posters, ReplyTo
from shared.config.model import Config


def read(local: str) -> Config:
    return parse(
        f"local: {{domains: [hq.example, b.example], {local}}}", Path("/m/mercury.yaml"), lambda: "mail.hq.example"
    )


def problems(local: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        read(local)
    return [problem.text for problem in caught.value.problems]


LIST = "address: staff@hq.example, owner: anna@hq.example"


def test_everything_is_off_at_first() -> None:
    local = read("srs: false").local
    assert (local.names.first_last, local.quota.default, local.lmtp, local.srs, local.lists) == (
        False,
        0,
        "",
        False,
        (),
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("unix:/run/x", "unix:/run/x"),
        ("unix:x/lmtp", "unix:/m/x/lmtp"),
        ("127.0.0.1:24", "127.0.0.1:24"),
        ("'[::1]:24'", "[::1]:24"),
        ("Store.example:24", "store.example:24"),
    ],
)
def test_where_a_mailbox_server_is(text: str, value: str) -> None:
    assert read(f"lmtp: {text}").local.lmtp == value


@pytest.mark.parametrize(
    "text", ["store.example", "':24'", "store.example:0", "store.example:99999", "'::1:24'", "24"]
)
def test_where_no_mailbox_server_is(text: str) -> None:
    assert len(problems(f"lmtp: {text}")) == 1


def test_a_list_with_all_its_settings() -> None:
    [one] = read(
        f"lists: [{{{LIST}, members: [x@far.example], file: staff, post: local, reply_to: list, tag: Staff}}]"
    ).local.lists
    assert (one.post, one.reply_to, one.tag, one.file) == (Posters.LOCAL, ReplyTo.LIST, "Staff", Path("/m/staff"))


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        (f"lists: [{{{LIST}}}]", "neither 'members' nor a 'file'"),
        (f"lists: [{{{LIST}, file: a}}, {{{LIST}, file: b}}]", "two lists"),
        ("lists: [{address: staff@far.example, owner: anna@hq.example, file: a}]", "none of the local 'domains'"),
        ("lists: [{address: staff@hq.example, owner: Staff@hq.example, file: a}]", "cannot be the list"),
        ("lists: [{address: staff, owner: anna@hq.example, file: a}]", "write a whole address"),
        (f"lists: [{{{LIST}, file: a, tag: '[x]'}}]", "without the brackets"),
        (f"lists: [{{{LIST}, file: a, post: everybody}}]", "say members, local or anyone"),
        ("srs: true, srs_domain: far.example", "none of the local 'domains'"),
        ("lmtp: 'unix:/x', quota: {default: 1G}", "the server behind it keeps the quota"),
        ("quota: {over: drop}", "say defer or bounce"),
        ("quota: {default: much}", "no size"),
    ],
)
def test_what_does_not_go_together(local: str, expected: str) -> None:
    [problem] = problems(local)
    assert expected in problem


def test_a_quota_is_a_size_or_none() -> None:
    quota = read("quota: {default: 2G, over: bounce, at_rcpt: false}").local.quota
    assert (quota.default, quota.over, quota.at_rcpt) == (2 << 30, Over.BOUNCE, False)
    assert read("quota: {default: none}").local.quota.default == 0


def test_what_is_shown_can_be_written_again() -> None:
    local = read(f"lists: [{{{LIST}, members: [x@far.example]}}]").local.plain()
    assert local["lists"][0]["members"] == ["x@far.example"] and local["quota"]["default"] == "none"
