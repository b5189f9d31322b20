"""Every refusal has an enhanced code of its own class and words that somebody on telnet can use."""

from __future__ import annotations

import pytest

from shared.mail.reply import Reply
from shared.smtp import replies

NAMED = {name: value for name, value in vars(replies).items() if isinstance(value, Reply)}


@pytest.mark.parametrize("name", NAMED)
def test_a_reply_fits_its_line_and_its_class(name: str) -> None:
    reply = NAMED[name]
    assert reply.text.isascii() and reply.text.isprintable()
    assert all(len(line) <= 512 for line in reply.render().splitlines(keepends=True))
    if reply.code >= 400:
        assert reply.enhanced.startswith(f"{reply.code // 100}."), "RFC 2034: the classes agree"
        assert len(reply.text) >= 20, "a word or two teaches nobody"


def test_no_two_refusals_say_the_same() -> None:
    texts = [reply.text for reply in NAMED.values()]
    assert len(texts) == len(set(texts))
