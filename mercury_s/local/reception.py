"""What is said at RCPT of a recipient that exists: a full mailbox, a list that the sender may not write to.

Only what is known without waiting, and only so that nobody sends a message for nothing: delivery decides again. Not
here: whether the recipient exists (directory.py), what sessions may do (mercury_s/policy).
"""

from __future__ import annotations

from mercury_s.local.directory import Found, ListAddress, Mailbox
from mercury_s.local.mailbox import MailboxFolders
from mercury_s.local.quota import Quotas
from mercury_s.policy.verdict import Refuse
from shared.mail.address import Address


class Reception:
    """`quotas` None: no mailbox is ever asked."""

    def __init__(self, folders: MailboxFolders, quotas: Quotas | None) -> None:
        self._folders = folders
        self._quotas = quotas

    def objection(self, found: Found, sender: Address | None, is_inside: bool) -> Refuse | None:
        """Why mail of `sender` for what was found is not taken now; None when nothing speaks against it."""
        if isinstance(found, Mailbox) and self._quotas is not None:
            limit = self._quotas.limit_of(found.account)
            if limit and self._quotas.is_full(self._folders.folder(found.account), limit):
                return Refuse(self._quotas.full, f"the quota of {found.account.key} is used up")
        elif isinstance(found, ListAddress):
            return found.list.objection(sender, is_inside)
        return None
