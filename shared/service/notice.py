"""A notice to the postmaster of this host: what a daemon has done on its own account, once, as a message.

Durable in the spool when `post_notice` returns, from the null sender, so that nothing comes back for it.
"""

from __future__ import annotations

from email.utils import formatdate

from shared.delivery.reports import POSTMASTER
from shared.mail.envelope import Envelope, Notify, Recipient
from shared.mail.reply import printable
from shared.service.post_office import PostOffice
from shared.spool.deposit import deposit


async def post_notice(office: PostOffice, hostname: str, subject: str, lines: list[str], now: float) -> str:
    """The queue id of the notice. `lines` are made printable here. Raises OSError."""
    identity = office.ids.next()
    text = "".join(f"{printable(line)}\r\n" for line in lines)
    message = (
        f"From: Mercury on {hostname} <postmaster@{hostname}>\r\n"
        f"To: postmaster@{hostname}\r\n"
        f"Subject: {printable(subject)}\r\n"
        f"Date: {formatdate(now, localtime=True)}\r\n"
        f"Message-ID: <{identity}.notice@{hostname}>\r\n"
        "Auto-Submitted: auto-generated\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=us-ascii\r\n"
        f"\r\n{text}"
    ).encode("ascii", "backslashreplace")
    envelope = Envelope(identity, None, (Recipient(POSTMASTER, (Notify.NEVER,)),), now)
    await deposit(office.depositor, office.judge.letters(envelope), message)
    return identity
