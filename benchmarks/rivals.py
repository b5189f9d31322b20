"""The two servers that are compared, each with a folder of its own: how they are set up, started, emptied, stopped.

Postfix runs from the unpacked Debian package, not installed: main.cf as Debian's postinst writes it for an Internet
site, every parameter that bears on speed at its default, only the folders and the two accounts put elsewhere.
"""

from __future__ import annotations

import compileall
import contextlib
import grp
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from shared.spool.names import parse_name
from shared.spool.record import parse_record, render_record

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / ".peers" / "postfix"
HOSTNAME = "mail.hq.example"
#  Accounts that every Debian has; Postfix only demands that they differ.
MAIL_OWNER, SETGID_GROUP, BOX_OWNER = "mail", "staff", "nobody"


@dataclass(frozen=True)
class Task:
    """What the servers are to do with what they get.

    `kind` is receive (keep it, durably), relay (to the smarthost), direct (by MX), local (into Maildirs), queue (as
    relay, with a long queue) or start (all daemons, nothing to do). `certificate`, with its key in the same file:
    TLS is offered, and taken where it is offered.
    """

    kind: str
    smarthost: tuple[str, int] = ("127.0.0.1", 9)
    dns: tuple[str, int] = ("127.0.0.1", 53)
    mx_port: int = 25
    users: int = 1
    certificate: Path | None = None


def free_port() -> int:
    """A port of 127.0.0.1 where nobody listens, below the ephemeral ones."""
    while True:
        port = random.randrange(10_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


class Rival:
    """`pid` is the first process; its tree is what is measured."""

    name = ""

    def __init__(self, folder: Path, spool: Path) -> None:
        self.port = free_port()
        self.folder = folder
        self.spool = spool
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    def set_up(self, task: Task) -> None:
        raise NotImplementedError

    def start(self, may_deliver: bool = True) -> None:
        """Ready to take mail when this returns. `may_deliver` False: what comes in stays queued."""
        raise NotImplementedError

    def drain(self) -> None:
        """Start what delivers, at what is queued."""
        self.start()

    def queued(self) -> int:
        raise NotImplementedError

    def defer(self, count: int) -> None:
        """The server stands still with a message queued: make it `count` that wait for hours, and one that is due."""
        raise NotImplementedError

    def delivered(self) -> int:
        """Messages in local mailboxes."""
        raise NotImplementedError

    def stop(self) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)
        self._processes = []

    def _spawn(self, *command: str, env: dict[str, str] | None = None) -> None:
        with (self.folder / "output").open("ab") as output:
            self._processes.append(
                subprocess.Popen(
                    #  Whatever becomes of the bench, no server of it stays behind.
                    ("setpriv", "--pdeathsig", "TERM", "--", *command),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env={**os.environ, **(env or {})},
                    cwd=ROOT,
                    start_new_session=True,
                )
            )

    def _await_greeting(self, seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if any(process.poll() is not None for process in self._processes):
                break
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as peer:
                peer.settimeout(5)
                if peer.recv(512).startswith(b"220"):
                    peer.sendall(b"QUIT\r\n")
                    return
            time.sleep(0.01)
        said = (self.folder / "output").read_text().splitlines()
        raise RuntimeError(f"{self.name} does not answer; its last words: {said[-1] if said else 'none'}")


class Mercury(Rival):
    name = "mercury"

    def __init__(self, folder: Path, spool: Path, workers: int = 0) -> None:
        super().__init__(folder, spool)
        self._workers = workers
        for room in ("shared", "mercury_s", "mercury_c", "mercury_e"):
            #  As an installed one is: else every start would compile anew where bytecode may not be written.
            compileall.compile_dir(str(ROOT / room), quiet=2)
        self._letters = ""

    def set_up(self, task: Task) -> None:
        for path in (self.folder, self.spool):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
        self._letters = {"receive": "", "local": "", "relay": "c", "direct": "e", "queue": "c", "start": "ce"}[
            task.kind
        ]
        delivery = "direct" if task.kind == "direct" else "relay"
        workers = f"  workers: {self._workers}\n" if self._workers else ""
        pem, demand = task.certificate, "opportunistic" if task.certificate else "off"
        tls = f"tls: {{certificate: {pem}, key: {pem}}}\n" if pem else ""
        (self.folder / "mercury.yaml").write_text(
            f"hostname: {HOSTNAME}\nsite: hq\nspool: {self.spool}/queue\nstate: {self.folder}/state\n"
            f"run: {self.folder}/run\n"
            f"{tls}"
            f"local: {{domains: [hq.example], maildir: '{self.spool}/mail/{{user}}', users: users.yaml}}\n"
            f"receive:\n  listeners: [{{port: {self.port}, address: 127.0.0.1, kind: mx}}]\n"
            f"  max_message_size: 200M\n{workers}"
            "  rules: [{networks: [127.0.0.0/8], action: allow, exempt: true}]\n"
            f"sites:\n  hq:\n    networks: [127.0.0.0/8]\n    delivery: {delivery}\n"
            f"    smarthosts: [{{host: {task.smarthost[0]}, port: {task.smarthost[1]}, tls: '{demand}'}}]\n"
            f"dns: {{servers: ['{task.dns[0]}:{task.dns[1]}']}}\n"
            f"direct: {{port: {task.mx_port}, allow_addresses: [127.0.0.0/8]}}\n"
        )
        users = "".join(f"u{number}@hq.example: {{}}\n" for number in range(task.users))
        (self.folder / "users.yaml").write_text(users)

    def start(self, may_deliver: bool = True) -> None:
        for module in ["mercury_s", *(f"mercury_{letter}" for letter in self._letters if may_deliver)]:
            self._spawn(sys.executable, "-m", module, "--config", str(self.folder / "mercury.yaml"))
        self._await_greeting()

    def drain(self) -> None:
        self._spawn(sys.executable, "-m", f"mercury_{self._letters}", "--config", str(self.folder / "mercury.yaml"))

    def defer(self, count: int) -> None:
        """Under as many names, and of the same text: what a name says is what the record in the file says, too."""
        new = self.spool / "queue" / ".relay" / "new"
        pattern, *others = sorted(new.iterdir())
        for other in others:
            other.unlink()
        data = pattern.read_bytes()
        parsed = parse_name(pattern.name)
        envelope, offset = parse_record(data)
        assert parsed is not None
        now, body = time.time(), data[offset:]
        for number in range(count + 1):
            id = f"{number // 10**4:04d}-{number % 10**4:04d}"
            record = render_record(replace(envelope, id=id))
            path = new / str(parsed._replace(id=id, size=len(record) + len(body)))
            path.write_bytes(record + body)
            due = now - 1 if number == count // 2 else now + 7200 + number % 10800
            os.utime(path, (due, due))
        pattern.unlink()

    def queued(self) -> int:
        return sum(1 for part in ("new", "cur") for _ in (self.spool / "queue").glob(f".*/{part}/*"))

    def delivered(self) -> int:
        return sum(1 for _ in (self.spool / "mail").glob("*/new/*"))


MAIN_CF = """\
smtpd_banner = $myhostname ESMTP $mail_name (Debian/GNU)
biff = no
append_dot_mydomain = no
compatibility_level = 3.6
smtp_tls_CApath = /etc/ssl/certs
smtp_tls_security_level = may
smtp_tls_session_cache_database = btree:${{data_directory}}/smtp_scache
smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination
myhostname = {hostname}
mydestination =
alias_maps =
mynetworks = 127.0.0.0/8
mailbox_size_limit = 0
message_size_limit = 209715200
recipient_delimiter = +
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
maillog_file = {log}
maillog_file_prefixes = /
config_directory = {config}
queue_directory = {queue}
data_directory = {data}
daemon_directory = {package}/usr/lib/postfix/sbin
command_directory = {package}/usr/sbin
shlib_directory = {package}/usr/lib/postfix
meta_directory = {config}
mail_owner = {owner}
setgid_group = {group}
import_environment = MAIL_CONFIG LD_LIBRARY_PATH LANG=C
"""
#  Debian's master.cf without chroot, and with the port of the test.
MASTER_CF = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup     unix  n - n 60    1 pickup
cleanup    unix  n - n -     0 cleanup
qmgr       unix  n - n 300   1 qmgr
tlsmgr     unix  - - n 1000? 1 tlsmgr
rewrite    unix  - - n -     - trivial-rewrite
bounce     unix  - - n -     0 bounce
defer      unix  - - n -     0 bounce
trace      unix  - - n -     0 bounce
verify     unix  - - n -     1 verify
flush      unix  n - n 1000? 0 flush
proxymap   unix  - - n -     - proxymap
proxywrite unix  - - n -     1 proxymap
smtp       unix  - - n -     - smtp
relay      unix  - - n -     - smtp
showq      unix  n - n -     - showq
error      unix  - - n -     - error
retry      unix  - - n -     - error
discard    unix  - - n -     - discard
virtual    unix  - n n -     - virtual
anvil      unix  - - n -     1 anvil
scache     unix  - - n -     1 scache
postlog    unix-dgram n - n - 1 postlogd
"""
PRIVATE = (
    "active",
    "bounce",
    "corrupt",
    "defer",
    "deferred",
    "flush",
    "hold",
    "incoming",
    "private",
    "saved",
    "trace",
)


class Postfix(Rival):
    name = "postfix"

    def __init__(self, folder: Path, spool: Path) -> None:
        super().__init__(folder, spool)
        self._task = Task("receive")
        if not (PACKAGE / "usr" / "lib" / "postfix" / "sbin" / "master").exists():
            raise RuntimeError(f"there is no Postfix in {PACKAGE}: `make bench` unpacks it there")
        if os.geteuid() != 0:
            raise RuntimeError("Postfix needs root to start")

    def set_up(self, task: Task) -> None:
        self._task = task
        for path in (self.folder, self.spool):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
        owner = pwd.getpwnam(MAIL_OWNER).pw_uid
        for name in PRIVATE:
            self._make(self.spool / "queue" / name, owner, 0o700)
        self._make(self.spool / "queue" / "maildrop", owner, 0o730)
        self._make(self.spool / "queue" / "public", owner, 0o710)
        self._make(self.spool / "queue" / "pid", 0, 0o755)
        self._make(self.folder / "data", owner, 0o700)
        self._make(self.spool / "mail", pwd.getpwnam(BOX_OWNER).pw_uid, 0o700)
        for path in (self.folder, self.spool, self.spool / "queue"):
            path.chmod(0o755)
        (self.folder / "master.cf").write_text(MASTER_CF.format(port=self.port))
        for name in ("dynamicmaps.cf", "postfix-files"):
            (self.folder / name).write_text("")

    @staticmethod
    def _make(path: Path, owner: int, mode: int) -> None:
        path.mkdir(parents=True)
        os.chown(path, owner, grp.getgrnam(SETGID_GROUP).gr_gid if mode & 0o070 else -1)
        path.chmod(mode)

    def _main_cf(self, may_deliver: bool) -> str:
        text = MAIN_CF.format(
            hostname=HOSTNAME, log=self.folder / "log", config=self.folder, queue=self.spool / "queue",
            data=self.folder / "data", package=PACKAGE, owner=MAIL_OWNER, group=SETGID_GROUP,
        )  # fmt: skip
        if self._task.kind == "receive" or not may_deliver:
            #  Queued in hold/, by the same steps as in incoming/: written, synced, renamed.
            text += "smtpd_recipient_restrictions = check_client_access static:HOLD\n"
        if self._task.certificate is not None:
            pem = self._task.certificate
            text += f"smtpd_tls_cert_file = {pem}\nsmtpd_tls_key_file = {pem}\nsmtpd_tls_security_level = may\n"
        if self._task.kind in ("relay", "queue"):
            host, port = self._task.smarthost
            text += f"relayhost = [{host}]:{port}\n"
        if self._task.kind == "local":
            owner = pwd.getpwnam(BOX_OWNER)
            boxes = self.folder / "boxes"
            (self.folder / "main.cf").write_text(text)
            boxes.write_text("".join(f"u{number}@hq.example u{number}/\n" for number in range(self._task.users)))
            subprocess.run(
                [str(PACKAGE / "usr" / "sbin" / "postmap"), "-c", str(self.folder), f"hash:{boxes}"],
                check=True, env={**os.environ, **self._env},
            )  # fmt: skip
            text += (
                f"virtual_mailbox_domains = hq.example\nvirtual_mailbox_base = {self.spool}/mail\n"
                f"virtual_mailbox_maps = hash:{boxes}\nvirtual_uid_maps = static:{owner.pw_uid}\n"
                f"virtual_gid_maps = static:{owner.pw_gid}\nvirtual_mailbox_limit = 0\n"
            )
        return text

    @property
    def _env(self) -> dict[str, str]:
        return {"LD_LIBRARY_PATH": str(PACKAGE / "usr" / "lib" / "postfix"), "MAIL_CONFIG": str(self.folder)}

    def start(self, may_deliver: bool = True) -> None:
        (self.folder / "main.cf").write_text(self._main_cf(may_deliver))
        if may_deliver and self._task.kind != "queue":
            self._release_held()
        master = [str(PACKAGE / "usr" / "lib" / "postfix" / "sbin" / "master"), "-c", str(self.folder), "-d"]
        if self._task.kind == "direct":
            #  Postfix asks the name servers of resolv.conf and no others: it gets one of its own.
            (self.folder / "resolv.conf").write_text(f"nameserver {self._task.dns[0]}\n")
            script = f'mount --bind {self.folder}/resolv.conf /etc/resolv.conf && exec "$@"'
            master = ["unshare", "-m", "sh", "-c", script, "sh", *master]
        self._spawn(*master, env=self._env)
        self._await_greeting()

    def _release_held(self) -> None:
        for path in (self.spool / "queue" / "hold").glob("*"):
            path.rename(self.spool / "queue" / "incoming" / path.name)

    def defer(self, count: int) -> None:
        queue = self.spool / "queue"
        pattern, *others = sorted((queue / "hold").iterdir())
        for other in others:
            other.unlink()
        data, owner, now = pattern.read_bytes(), pattern.stat().st_uid, time.time()
        for letter in "0123456789ABCDEF":
            self._make(queue / "deferred" / letter, owner, 0o700)
        for number in range(count + 1):
            #  The queue id of a file says what it is; its first digit, in which folder it lies.
            name = f"{(number * 0x9E3779B1) & 0xFFFFFFFF:08X}{number & 0xFFF:03X}"
            path = queue / "deferred" / name[0] / name
            path.write_bytes(data)
            path.chmod(0o700)
            os.chown(path, owner, -1)
            due = now - 1 if number == count // 2 else now + 7200 + number % 10800
            os.utime(path, (due, due))
        pattern.unlink()

    def queued(self) -> int:
        folders = ("hold", "incoming", "active", "deferred")
        return sum(1 for name in folders for path in (self.spool / "queue" / name).rglob("*") if path.is_file())

    def delivered(self) -> int:
        return sum(1 for _ in (self.spool / "mail").glob("*/new/*"))


RIVALS: dict[str, Callable[[Path, Path], Rival]] = {"postfix": Postfix, "mercury": Mercury}
