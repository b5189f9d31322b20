"""A login as a session sees it: AUTH lines in, and out either the next reply or credentials to be checked.

The exchanges are in shared/smtp/sasl.py; whether a password is right is asked of mercury_s/auth.
"""

from __future__ import annotations

from shared.mail.reply import Reply
from shared.smtp import replies
from shared.smtp.sasl import MECHANISMS, Challenge, Credentials, Malformed, Step

OFFERED = tuple(MECHANISMS)


class LoginExchange:
    """One AUTH command and the lines that follow it."""

    def __init__(self, mechanism: str) -> None:
        self._mechanism = MECHANISMS[mechanism]()

    def begin(self, initial: bytes | None) -> Reply | Credentials:
        return _answer(self._mechanism.start(initial))

    def go_on(self, response: bytes | None) -> Reply | Credentials:
        """`response` None: the client cancels (RFC 4954 §4)."""
        return replies.AUTH_CANCELLED if response is None else _answer(self._mechanism.respond(response))


def _answer(step: Step) -> Reply | Credentials:
    match step:
        case Challenge():
            return Reply(334, "", step.encoded)
        case Credentials():
            return step
        case Malformed():
            return replies.AUTH_TOO_LONG if step.is_too_long else replies.AUTH_MALFORMED
