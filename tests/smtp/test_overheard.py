"""What of a dialogue may be shown (shared/smtp/overheard.py)."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st

from shared.smtp.overheard import Overheard

SECRET = b"correct horse"


def b64(text: bytes) -> bytes:
    return base64.b64encode(text)


def test_a_login_shows_its_mechanism_and_its_answer_alone() -> None:
    heard = Overheard()
    heard.server(b"220 mx\r\n")
    assert heard.client(b"AUTH PLAIN " + b64(b"\0anna\0" + SECRET) + b"\r\n") == ["AUTH PLAIN (28 octets, not shown)"]
    assert heard.server(b"535 5.7.8 no: " + SECRET + b" is wrong\r\n") == ["535 5.7.8 no: *** is wrong"]
    assert heard.client(b"auth login\r\n") == ["AUTH LOGIN"]
    assert heard.server(b"334 VXNlcm5hbWU6\r\n") == ["334 (12 octets of a challenge, not shown)"]
    assert heard.client(b64(b"anna") + b"\r\n") == ["(8 octets of a login, not shown)"]
    heard.server(b"334 UGFzc3dvcmQ6\r\n")
    assert heard.client(b"MAIL\r\n") == ["(4 octets of a login, not shown)"], "a password may look like a command"
    assert heard.server(b"235 2.7.0 Welcome\r\n") == ["235 2.7.0 Welcome"]
    assert heard.client(b"MAIL FROM:<a@b.example>\r\n") == ["MAIL FROM:<a@b.example>"]
    assert heard.client(b"AUTH " + SECRET + b"\r\n") == ["AUTH (not shown)"]


def test_a_password_in_the_same_packet_as_its_command_is_not_shown() -> None:
    heard = Overheard()
    heard.server(b"220 mx\r\n")
    shown = heard.client(b"NOOP\r\nAUTH LOGIN\r\n" + b64(b"anna") + b"\r\nDATA\r\n")
    assert shown == ["NOOP", "AUTH LOGIN", "(8 octets of a login, not shown)", "(4 octets of a login, not shown)"]
    heard.server(b"250 OK\r\n")
    assert heard.client(b"HELP me\r\n") == ["(7 octets of a login, not shown)"], "only NOOP has been answered"


def test_content_is_counted() -> None:
    heard = Overheard()
    heard.server(b"220 mx\r\n")
    assert heard.client(b"DATA\r\n") == ["DATA"]
    assert heard.client(b"MAIL too early\r\n") == ["(14 octets before the answer to DATA)"]
    assert heard.server(b"354 go on\r\n") == ["354 go on"]
    assert heard.client(b"MAIL me back\r\n..\r\n.\r") == []
    assert heard.server(b"451 early\r\n") == ["451 early"]
    assert heard.client(b"\nRCPT TO:<a@b>\r\nBDAT 9\r\nQUIT\r\n") == [
        "(21 octets of content, not shown)", "RCPT TO:<a@b>", "BDAT 9"]  # fmt: skip
    assert heard.client(b"123QUIT\r\n") == ["(9 octets of chunk, not shown)", "QUIT"]


def test_what_is_no_command_is_not_shown_and_long_lines_are_cut() -> None:
    heard = Overheard()
    assert heard.client(b"letmein123\r\n") == ["(10 octets that are no command, not shown)"]
    assert heard.server(b"500 what is letmein123?\r\n") == ["500 what is ***?"]
    [shown] = heard.client(b"NOOP " + b"x" * 100_000 + b"\r\n")
    assert len(shown) < 1100 and shown.endswith("octets more)")


@given(st.lists(st.integers(1, 12), min_size=1), st.booleans())
def test_however_it_is_cut_into_packets_nothing_more_is_shown(cuts: list[int], by_login: bool) -> None:
    secret = b64(b"hidden-away")
    auth = b"AUTH LOGIN\r\n" + secret + b"\r\n" if by_login else b"AUTH PLAIN " + secret + b"\r\n"
    said = b"EHLO a\r\n" + auth
    heard, shown, at = Overheard(), [], 0
    heard.server(b"220 mx\r\n")
    for cut in [*cuts, len(said)]:
        shown += heard.client(said[at : at + cut])
        at += cut
    shown += heard.server(b"250-mx\r\n250 AUTH\r\n501 " + secret + b" hidden-away\r\n")
    assert secret.decode() not in " ".join(shown) and "hidden-away" not in " ".join(shown)
    assert shown[0] == "EHLO a" and shown[1].startswith("AUTH ")
