"""The words for people, and foreign text made fit for them."""

from __future__ import annotations

from string import Formatter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.dsn.fate import Action, Fate, is_wanted
from shared.dsn.fields import field, host_name
from shared.dsn.human import LANGUAGES, MOST_QUOTED_LINES, faults_of, parse_words, quote, reworded, words_in
from shared.dsn.text import decode_xtext, embed_unicode, readable, typed_original
from shared.mail.address import parse_address
from shared.mail.envelope import Notify, Recipient
from shared.mail.reply import Reply


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 seconds"), (1, "1 second"), (59.9, "59 seconds"), (60, "1 minute"), (7199, "1 hour"),
        (14400, "4 hours"), (86400, "1 day"), (432000, "5 days"),
    ],
)  # fmt: skip
def test_time_as_people_say_it(seconds: float, words: str) -> None:
    assert words_in("en").span(seconds) == words


@pytest.mark.parametrize(
    ("status", "word"),
    [("5.1.1", "before the @"), ("5.1.10", "accepts no mail at all"), ("5.1.9", "typing error"), ("5.2.2", "full"),
     ("5.3.4", "too large"), ("5.4.7", "out of order"), ("5.7.26", "rules"), ("5.0.0", "reason"), ("5.9.9", "reason")],
)  # fmt: skip
def test_advice_fits_the_code(status: str, word: str) -> None:
    assert word in words_in("en").advise(status)


def test_a_reply_is_quoted_line_by_line_with_its_code() -> None:
    assert quote(Reply(550, "5.7.1", "no\n  way\x07")) == ["550 5.7.1 no", "550 5.7.1   way\\x07"]
    assert quote(Reply(421, "", "")) == ["421"]


def test_a_long_reply_is_quoted_in_part() -> None:
    lines = quote(Reply(550, "5.7.1", "\n".join("x" * 50)))
    assert (len(lines), lines[-1]) == (MOST_QUOTED_LINES + 1, "...")


@pytest.mark.parametrize(
    ("notify", "heard"),
    [
        ((), {Action.FAILED, Action.DELAYED}),
        ((Notify.NEVER,), set()),
        ((Notify.FAILURE,), {Action.FAILED}),
        ((Notify.DELAY,), {Action.DELAYED}),
        ((Notify.SUCCESS,), {Action.DELIVERED, Action.RELAYED}),
        ((Notify.SUCCESS, Notify.FAILURE, Notify.DELAY), set(Action)),
    ],
)
def test_only_what_was_asked_for_is_told(notify: tuple[Notify, ...], heard: set[Action]) -> None:
    recipient = Recipient(parse_address("berta@partner.example"), notify)
    fates = [Fate(recipient, action, Reply(250, "", "")) for action in Action]
    assert {fate.action for fate in fates if is_wanted(fate)} == heard


@pytest.mark.parametrize(
    ("action", "reply", "tried_for", "status"),
    [
        (Action.FAILED, Reply(550, "5.1.1", ""), 0.0, "5.1.1"),
        (Action.FAILED, Reply(451, "4.2.2", ""), 0.0, "5.2.2"),
        (Action.FAILED, Reply(550, "", ""), 0.0, "5.0.0"),
        (Action.FAILED, Reply(451, "4.2.2", ""), 432000.0, "5.4.7"),
        (Action.DELAYED, Reply(451, "4.2.2", ""), 14400.0, "4.2.2"),
        (Action.RELAYED, Reply(250, "2.6.0", ""), 0.0, "2.6.0"),
        (Action.DELIVERED, Reply(250, "", ""), 0.0, "2.0.0"),
    ],
)
def test_the_class_of_a_status_is_ours(action: Action, reply: Reply, tried_for: float, status: str) -> None:
    assert Fate(Recipient(parse_address("b@x.example")), action, reply, "", tried_for).status == status


@pytest.mark.parametrize(
    ("given_", "shown"),
    [("a+2Bb", "a+b"), ("a+0D+0Ab", "a+0D+0Ab"), ("+", "+"), ("+2b", "+2b"), ("a+7Eb+3D", "a~b=")],
)
def test_xtext_decodes_to_what_can_be_shown(given_: str, shown: str) -> None:
    assert decode_xtext(given_) == shown


@pytest.mark.parametrize(
    ("original", "shown"),
    [
        ("rfc822;anna+2Btag@hq.example", "rfc822; anna+tag@hq.example"),
        ("utf-8;j\\x{FC}rgen@hq.example", "utf-8; j\\x{FC}rgen@hq.example"),
        ("utf-8;jürgen@hq.example", "utf-8; j\\x{FC}rgen@hq.example"),
        ("rf c;x", ""), ("rfc822;", ""), ("", ""), ("rfc822", ""), ("x\r\nAction;y", ""),
    ],
)  # fmt: skip
def test_orcpt_goes_back_in_ascii(original: str, shown: str) -> None:
    assert typed_original(original, is_global=False) == shown


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("mx.example[192.0.2.1]:25", "mx.example"), ("[192.0.2.1]:25", "[192.0.2.1]"), ("", ""),
        ("m x\r\nAction: delivered[1]", "m?x??Action:?delivered"),
    ],
)  # fmt: skip
def test_the_name_of_a_host(host: str, name: str) -> None:
    assert host_name(host) == name


@settings(derandomize=True)
@given(st.text())
def test_readable_text_is_printable_and_ascii_embeds_in_ascii(text: str) -> None:
    assert readable(text).isprintable()
    assert embed_unicode(text).isascii()
    assert embed_unicode(text).isprintable()


@settings(derandomize=True)
@given(st.text() | st.text(alphabet="aé \n", max_size=3000))
def test_a_field_is_one_field(value: str) -> None:
    text = field("Diagnostic-Code", value)
    lines = text.encode("utf-8", "surrogatepass").split(b"\r\n")
    assert lines[-1] == b""
    assert all(line[:1] == b" " and line.strip() for line in lines[1:-1])
    assert max(map(len, lines)) <= 998
    assert b"\n" not in b"".join(lines)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_everything_and_fills_in_the_same(language: str) -> None:
    ours, english = words_in(language).texts, words_in("en").texts
    assert ours.keys() == english.keys()
    for name, text in ours.items():
        assert text, name
        assert _facts(text) == _facts(english[name]), name
        assert all(len(line) <= 120 for line in text.split("\n"))


def _facts(text: str) -> set[str | None]:
    return {field for _, field, _, _ in Formatter().parse(text)} - {None}


def test_a_house_may_say_it_in_its_own_words() -> None:
    usual = words_in("en")
    ours = {"signature": "Call {hostname}: extension 12.", "advice 2.2": "Ring them up."}
    assert not list(faults_of(usual, ours))
    words = reworded(usual, ours)
    assert words.say("signature", hostname="mx", cause="A", id="B") == "Call mx: extension 12."
    assert words.advise("5.2.2") == "Ring them up." and words.advise("5.2.3") == usual.advise("5.2.3")


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("greting", "hello", "there is no text [greting]"),
        ("greeting", "from {host}", "{host} is not known there; what is filled in is {hostname}"),
        ("greeting", "from {hostname.__class__}", "is not known there"),
        ("greeting", "from {hostname", "[greeting]: "),
        ("greeting", "from {hostname:>99999999}", "only a name may stand in braces"),
        ("greeting", "", "it is empty"),
        ("greeting", "bell \a", "control characters"),
        ("greeting", "x" * 1000, "a line of more than"),
    ],
)
def test_words_that_would_not_do_are_found(name: str, text: str, fault: str) -> None:
    [found] = faults_of(words_in("en"), {name: text})
    assert fault in found


def test_a_language_we_do_not_have_is_english() -> None:
    assert words_in("tlh").language == "en"


def test_a_text_that_stands_there_twice_is_a_mistake() -> None:
    assert parse_words("# x\n[a]\n\none\ntwo\n\n[b c]\nthree") == {"a": "one\ntwo", "b c": "three"}
    with pytest.raises(ValueError, match="twice"):
        parse_words("[a]\n[a]\n")
