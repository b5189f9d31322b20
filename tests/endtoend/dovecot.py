"""Dovecot as the house's mailbox server: LMTP in, IMAP out, Maildirs in a folder of its own."""

from __future__ import annotations

import contextlib
import imaplib
import os
import pwd
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from peers import program
from process import Process, answers, free_port

PASSWORD = "correct horse"

CONFIG = """
base_dir = {root}/run
state_dir = {root}/state
log_path = {root}/dovecot.log
protocols = imap lmtp
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
first_valid_uid = 1
mail_location = maildir:~/Maildir
mail_plugins = quota
protocol imap {{
  mail_plugins = quota imap_quota
}}
protocol lmtp {{
  postmaster_address = postmaster@hq.example
}}
plugin {{
  quota = maildir:User quota
  quota_rule = *:storage=0
}}
passdb {{
  driver = passwd-file
  args = username_format=%u {root}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {root}/users
}}
service lmtp {{
  unix_listener lmtp {{
    mode = 0666
  }}
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


class Dovecot:
    """`add` its users before or after `start`; the folder is short, as the path of a socket must be."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="dovecot-", dir="/tmp"))
        self.root.chmod(0o755)
        self.lmtp_port = free_port("127.0.0.1")
        self.imap_port = free_port("127.0.0.1")
        self.socket = self.root / "run" / "lmtp"
        is_root = os.getuid() == 0
        me = pwd.getpwuid(os.getuid()).pw_name
        #  As root Dovecot insists on users of its own for its parts, and on another than root for mail.
        self.owner = pwd.getpwnam("nobody") if is_root else pwd.getpwuid(os.getuid())
        names = {
            "internal": "dovecot" if is_root else me,
            "internal_group": "dovecot" if is_root else "",
            "login": "dovenull" if is_root else me,
        }
        (self.root / "users").touch()
        config = self.root / "dovecot.conf"
        config.write_text(CONFIG.format(root=self.root, lmtp=self.lmtp_port, imap=self.imap_port, **names))
        self.process = Process("dovecot", [program("dovecot"), "-F", "-c", str(config)], self.root / "said.log")

    def add(self, address: str, home: Path | None = None, storage: str = "") -> None:
        """A user; `home` holds its Maildir, `storage` limits it (`1M`)."""
        if home is None:
            home = self.root / "home" / address
            home.mkdir(parents=True)
            os.chown(home, self.owner.pw_uid, self.owner.pw_gid)
        extra = f"userdb_quota_rule=*:storage={storage}" if storage else ""
        line = f"{address}:{{PLAIN}}{PASSWORD}:{self.owner.pw_uid}:{self.owner.pw_gid}::{home}::{extra}\n"
        with (self.root / "users").open("a") as file:
            file.write(line)

    def start(self) -> Dovecot:
        self.process.start(lambda: self.socket.exists() and answers("127.0.0.1", self.imap_port))
        return self

    def stop(self) -> None:
        """Its master ends its parts; each is in a process group of its own."""
        if self.process.is_running:
            self.process.stop()

    def clear(self) -> None:
        self.stop()
        shutil.rmtree(self.root, ignore_errors=True)

    def log(self) -> str:
        path = self.root / "dovecot.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @contextlib.contextmanager
    def imap(self, address: str) -> Iterator[imaplib.IMAP4]:
        client = imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=20)
        try:
            self._log_in(client, address)
            client.select("INBOX", readonly=True)
            yield client
        finally:
            client.logout()

    def _log_in(self, client: imaplib.IMAP4, address: str) -> None:
        """On a busy machine Dovecot's own processes may not find each other in time; then it says so."""
        end = time.monotonic() + 30
        while True:
            try:
                client.login(address, PASSWORD)
                return
            except imaplib.IMAP4.error as error:
                if b"UNAVAILABLE" not in error.args[0] or time.monotonic() > end:
                    raise AssertionError(f"{error}; Dovecot says:\n{self.log()[-2000:]}") from error

    def inbox(self, address: str) -> list[bytes]:
        """The messages that IMAP shows."""
        with self.imap(address) as client:
            _, numbers = client.search(None, "ALL")
            found = []
            for number in numbers[0].split():
                _, parts = client.fetch(number.decode(), "(BODY.PEEK[])")
                found.append(next(part[1] for part in parts if isinstance(part, tuple)))
            return found
