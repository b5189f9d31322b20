"""The guest: who the client of one session is, as far as it is known by now, and how it has behaved.

Whether it may come in was settled before (policy/client.py); what it may do is asked of policy with what stands here.
"""

from __future__ import annotations

from mercury_s.conduct import Conduct
from mercury_s.door import Door
from mercury_s.policy.client import Welcome
from mercury_s.porter import Offence
from mercury_s.throttle import Sending, client_key
from shared.mail.address import Address
from shared.mail.reply import Reply
from shared.smtp.events import SenderGiven


class Guest:
    """`address` is its IP address, `helo` the name it gave, `login` the key of its account once it has logged in, and
    `identity` that account's own mail address."""

    __slots__ = ("_conduct", "_door", "address", "helo", "identity", "login", "welcome")

    def __init__(self, door: Door, welcome: Welcome, address: str) -> None:
        self.welcome = welcome
        self.address = address
        self.helo = ""
        self.login = ""
        self.identity: Address | None = None
        self._door = door
        self._conduct: Conduct | None = None

    @property
    def is_ours(self) -> bool:
        return self.welcome.exempt or bool(self.welcome.site)

    @property
    def may_relay(self) -> bool:
        return self.welcome.may_relay or bool(self.login)

    def sending(self, given: SenderGiven) -> Sending:
        """By what its rates are counted."""
        if self.welcome.exempt:
            return Sending("", "", "")
        client = "" if self.is_ours else client_key(self.address)
        return Sending(client, self.login, str(given.sender or "").lower())

    def offend(self, offence: Offence) -> Reply | None:
        """One more offence; the last word to it, if that was one too many."""
        if self.welcome.exempt:
            return None
        if self._conduct is None:
            self._conduct = Conduct(self._door, self.address, self.is_ours)
        return self._conduct.note(offence)
