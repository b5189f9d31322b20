"""What HELP says (RFC 5321 §4.1.1.8): for a person on telnet, what is expected next and how it is written."""

from __future__ import annotations

from shared.mail.reply import Reply
from shared.smtp.transitions import State

_NEXT = {
    State.START: "Next: EHLO and your host's name, as in  EHLO pc7.example.org",
    State.READY: "Next: MAIL FROM:<you@example.org>",
    State.SENDER: "Next: RCPT TO:<recipient@example.org>",
    State.RECIPIENTS: "Next: another RCPT TO:<recipient@example.org>, or DATA",
    State.CHUNKS: "Next: BDAT size, or BDAT size LAST",
}

_LOG_IN = "Next: STARTTLS if TLS is not active yet, then AUTH; this port is for those who log in"

_TOPICS = {
    "EHLO": "EHLO name: says who you are; the answer lists what this server can do",
    "HELO": "HELO name: as EHLO, for clients without extensions",
    "MAIL": "MAIL FROM:<sender>: begins a message; SIZE=, BODY=, RET=, ENVID=, SMTPUTF8 and REQUIRETLS may follow",
    "RCPT": "RCPT TO:<recipient>: once for each recipient; NOTIFY= and ORCPT= may follow",
    "DATA": "DATA: after its 354 send header, empty line and text; a line with a single dot ends it",
    "BDAT": "BDAT size [LAST]: size octets of the message follow at once (RFC 3030)",
    "RSET": "RSET: forgets sender and recipients",
    "STARTTLS": "STARTTLS: encrypts the connection; say EHLO again afterwards",
    "AUTH": "AUTH mechanism: logs in; under TLS only",
    "VRFY": "VRFY address: is answered, but tells nothing",
    "NOOP": "NOOP: does nothing",
    "QUIT": "QUIT: ends the session",
}


def render_help(topic: str, state: State, log_in_first: bool = False) -> Reply:
    """`log_in_first`: this listener takes mail only from those who have logged in."""
    about = _TOPICS.get(topic.upper())
    if about:
        return Reply(214, "2.0.0", about)
    what_next = _LOG_IN if log_in_first and state is State.READY else _NEXT[state]
    return Reply(214, "2.0.0", f"Commands: {' '.join(_TOPICS)}\nHELP MAIL tells of MAIL, and so on\n{what_next}")
