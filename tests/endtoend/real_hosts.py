"""Mail servers of others as smarthosts and as mail exchangers: Postfix with SASL by Dovecot, Exim, OpenSMTPD.

Each runs from its unpacked Debian package, on a loopback address, in a mount namespace of its own where the accounts and
folders exist that its package would have made. The smarthosts take mail for anybody from who has logged in over TLS (`office`,
`PASSWORD`), and each for `partner.example` from everybody; `refused@` is nobody. What it takes it hands on to an aiosmtpd,
which keeps it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from peers import POSTFIX, ROOT, program
from process import Process, answers, free_port

PASSWORD = "sesame-open"
ADDRESS = "127.0.0.41"
KINDS = ("postfix", "exim", "opensmtpd")
#  TLS handshakes with this OpenSMTPD (6.8) fail at its end, with RSA keys and with others: it keeps them in a process of
#  their own, and where OpenSSL 3 signs, the mark that leads there is lost ("missing private key"). So it is met in clear,
#  where nobody logs in.
SMARTHOSTS = ("postfix", "exim")
_ACCOUNTS = ("postfix", "opensmtpd", "opensmtpq", "Debian-exim")
_PROGRAMS = {
    "postfix": POSTFIX / "usr/lib/postfix/sbin/master",
    "exim": ROOT / ".peers/exim/usr/sbin/exim4",
    "opensmtpd": ROOT / ".peers/opensmtpd/usr/sbin/smtpd",
}

_POSTFIX = """
compatibility_level = 3.6
myhostname = smart.example
mydestination =
local_recipient_maps =
alias_maps =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
maillog_file = {root}/maillog
maillog_file_prefixes = /
config_directory = {root}
queue_directory = {root}/queue
data_directory = {root}/data
daemon_directory = {package}/usr/lib/postfix/sbin
command_directory = {package}/usr/sbin
shlib_directory = {package}/usr/lib/postfix
meta_directory = {root}
mail_owner = postfix
setgid_group = opensmtpq
import_environment = MAIL_CONFIG LD_LIBRARY_PATH LANG=C
relayhost = [{far}]:{far_port}
relay_domains = partner.example
smtp_host_lookup = native
smtp_tls_security_level = none
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_error_sleep_time = 0
smtpd_sasl_path = {root}/login
smtpd_recipient_restrictions = check_recipient_access inline:{{refused@partner.example=REJECT,
  refused@elsewhere.example=REJECT}}, permit_sasl_authenticated, reject_unauth_destination
{more}
"""
_MASTER = """\
{address}:{port} inet n - n - - smtpd
cleanup    unix  n - n -     0 cleanup
qmgr       unix  n - n 300   1 qmgr
tlsmgr     unix  - - n 1000? 1 tlsmgr
rewrite    unix  - - n -     - trivial-rewrite
bounce     unix  - - n -     0 bounce
defer      unix  - - n -     0 bounce
trace      unix  - - n -     0 bounce
proxymap   unix  - - n -     - proxymap
smtp       unix  - - n -     - smtp
relay      unix  - - n -     - smtp
error      unix  - - n -     - error
retry      unix  - - n -     - error
anvil      unix  - - n -     1 anvil
scache     unix  - - n -     1 scache
postlog    unix-dgram n - n - 1 postlogd
"""
_DOVECOT = """
base_dir = {root}/dovecot
log_path = {root}/dovecot.log
protocols =
ssl = no
auth_mechanisms = plain login
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = {root}/users
}}
service auth {{
  unix_listener {root}/login {{
    mode = 0666
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""
_EXIM = """
primary_hostname = smart.example
exim_user = Debian-exim
exim_group = Debian-exim
spool_directory = {root}/spool
exim_path = {root}/exim4
deliver_drop_privilege = true
keep_environment =
log_file_path = {root}/%slog
pid_file_path = {root}/pid
local_interfaces = {address}
daemon_smtp_ports = {port}
tls_advertise_hosts = *
tls_certificate = {certificate}
tls_privatekey = {key}
host_lookup =
rfc1413_query_timeout = 0s
acl_smtp_rcpt = rcpt
queue_only = false
begin acl
rcpt:
  deny local_parts = refused
  accept authenticated = *
  accept domains = partner.example
  deny message = relay not permitted
begin routers
onward:
  driver = manualroute
  transport = smtp
  route_list = * {far}
  self = send
begin transports
smtp:
  driver = smtp
  port = {far_port}
  hosts_try_chunking =
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_advertise_condition = ${{if def:tls_in_cipher}}
  server_condition = ${{if and{{{{eq{{$auth2}}{{office}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_set_id = $auth2
"""
_OPENSMTPD = """
listen on {address} port {port} hostname smart.example
action "onward" relay host smtp://{far}:{far_port}
match from any for rcpt-to {{ "refused@partner.example", "refused@elsewhere.example" }} reject
match from any for domain "partner.example" action "onward"
"""
#  The folders that a package would have made exist in this namespace only.
_NAMESPACE = """set -e
root=$1; shift
mount --bind "$root/passwd" /etc/passwd
mount --bind "$root/group" /etc/group
mount -t tmpfs none /var/spool
mount -t tmpfs none /run
mount -t tmpfs none /usr/libexec
mkdir -p /run/opensmtpd
mount -t tmpfs none /var/lib
mkdir -p /var/lib/opensmtpd/empty
[ ! -d "$1/usr/libexec" ] || cp -r "$1/usr/libexec/." /usr/libexec/
mkdir /var/lib/exim4
[ ! -e "$root/exim.conf" ] || cp "$root/exim.conf" /var/lib/exim4/config.autogenerated
shift
exec "$@"
"""


def why_not(kind: str) -> str:
    """Why it cannot be run here; empty when it can."""
    if os.geteuid() != 0:
        return "only root can start it"
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode != 0:
        return "no mount namespace can be had here"
    return "" if _PROGRAMS[kind].exists() else f"{kind} is not unpacked: tests/peers.sh fetches it where apt-get is"


class RealHost:
    """`far` is where it hands mail on; `more` are lines for the main.cf of Postfix."""

    def __init__(self, kind: str, far: tuple[str, int], address: str = ADDRESS, more: str = "") -> None:
        self.kind, self.address = kind, address
        self.port = free_port(address)
        self.root = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir="/tmp"))
        self.root.chmod(0o755)
        self.certificate, key = self._make_certificate()
        self._facts = {
            "root": self.root, "address": address, "port": self.port, "far": far[0], "far_port": far[1],
            "certificate": self.certificate, "key": key, "package": POSTFIX, "password": PASSWORD, "more": more,
        }  # fmt: skip
        self._make_accounts()
        self._helpers: list[Process] = []
        command, env = getattr(self, f"_{kind}")()
        package = _PROGRAMS[kind].parents[2]
        inside = ["unshare", "-m", "sh", "-c", _NAMESPACE, "sh", str(self.root), str(package), *command]
        self.process = Process(kind, inside, self.root / "said.log", env)

    def _make_certificate(self) -> tuple[Path, Path]:
        certificate, key = self.root / "cert.pem", self.root / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=smart.example",
             "-keyout", str(key), "-out", str(certificate)],
            check=True, capture_output=True,
        )  # fmt: skip
        key.chmod(0o600)
        return certificate, key

    def _make_accounts(self) -> None:
        """Those of the machine, and what the packages would have added."""
        users, groups = Path("/etc/passwd").read_text(), Path("/etc/group").read_text()
        for number, name in enumerate(_ACCOUNTS, start=58801):
            users += f"{name}:x:{number}:{number}::/nonexistent:/usr/sbin/nologin\n"
            groups += f"{name}:x:{number}:\n"
        (self.root / "passwd").write_text(users)
        (self.root / "group").write_text(groups)

    def _write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.write_text(text.format(**self._facts))
        return path

    def _postfix(self) -> tuple[list[str], dict[str, str]]:
        postfix, group = 58801, 58803
        for name in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private",
                     "saved", "trace", "maildrop", "public"):  # fmt: skip
            (self.root / "queue" / name).mkdir(parents=True)
            os.chown(self.root / "queue" / name, postfix, group if name in ("maildrop", "public") else -1)
        (self.root / "queue" / "pid").mkdir()
        (self.root / "data").mkdir()
        os.chown(self.root / "data", postfix, -1)
        self._write("main.cf", _POSTFIX)
        self._write("master.cf", _MASTER)
        for name in ("dynamicmaps.cf", "postfix-files"):
            self._write(name, "")
        self._write("users", "office:{{PLAIN}}" + PASSWORD + "\n")
        dovecot = [program("dovecot"), "-F", "-c", str(self._write("dovecot.conf", _DOVECOT))]
        self._helpers.append(Process("dovecot", dovecot, self.root / "dovecot.said"))
        env = {"LD_LIBRARY_PATH": str(POSTFIX / "usr/lib/postfix"), "MAIL_CONFIG": str(self.root)}
        return [str(_PROGRAMS["postfix"]), "-c", str(self.root), "-d"], env

    def _exim(self) -> tuple[list[str], dict[str, str]]:
        (self.root / "spool").mkdir()
        for path in (self.root, self.root / "spool"):
            os.chown(path, 58804, 58804)
        self._write("exim.conf", _EXIM)
        for key in self.root.glob("*.pem"):
            os.chown(key, 58804, 58804)
        #  Where its own account may run it, too.
        shutil.copy(_PROGRAMS["exim"], self.root / "exim4")
        return [str(self.root / "exim4"), "-bdf"], {}

    def _opensmtpd(self) -> tuple[list[str], dict[str, str]]:
        path = self._write("smtpd.conf", _OPENSMTPD)
        return [str(_PROGRAMS["opensmtpd"]), "-d", "-f", str(path)], {}

    def start(self) -> RealHost:
        for helper in self._helpers:
            helper.start((self.root / "login").exists)
        self.process.start(lambda: answers(self.address, self.port))
        return self

    def stop(self) -> None:
        for process in (self.process, *self._helpers):
            if process.is_running:
                process.stop()
            process.kill()
        shutil.rmtree(self.root, ignore_errors=True)

    def log(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.root.glob("*log")))
