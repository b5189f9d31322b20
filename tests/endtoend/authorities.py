"""Those who know whether a login is right, by others: Dovecot's auth service, OpenLDAP's slapd, a page for tokens."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
import urllib.parse
from pathlib import Path
from typing import Any

from peers import program
from process import Process, answers

_DOVECOT = """
base_dir = {root}/run
state_dir = {root}/state
log_path = {root}/dovecot.log
protocols =
ssl = no
default_internal_user = {internal}
default_internal_group = {group}
default_login_user = {internal}
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {root}/users
}}
userdb {{
  driver = static
  args = uid=1 gid=1 home=/nowhere
}}
service auth {{
  unix_listener auth-client {{
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


class DovecotAuth:
    """`users` are addresses and passwords. The folder is short, as the path of a socket must be."""

    def __init__(self, users: dict[str, str]) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="dovecot-", dir="/tmp"))
        self.root.chmod(0o755)
        me = pwd.getpwuid(os.getuid())
        names = {entry.pw_name for entry in pwd.getpwall()}
        internal = "dovecot" if me.pw_uid == 0 and "dovecot" in names else me.pw_name
        text = _DOVECOT.format(root=self.root, internal=internal, group=internal)
        (self.root / "dovecot.conf").write_text(text)
        (self.root / "users").write_text("".join(f"{user}:{{PLAIN}}{word}\n" for user, word in users.items()))
        self.socket = self.root / "run" / "auth-client"
        command = [program("dovecot"), "-F", "-c", str(self.root / "dovecot.conf")]
        self.process = Process("dovecot", command, self.root / "out.log")

    def start(self) -> DovecotAuth:
        self.process.start(self.socket.exists)
        return self

    def kill(self) -> None:
        """With its parts, which otherwise go on as long as they have clients."""
        pid = self.process.pid
        parts = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        self.process.kill()
        for part in parts:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(part), signal.SIGKILL)
        self.socket.unlink()

    def stop(self) -> None:
        if self.process.is_running:
            self.kill()
        shutil.rmtree(self.root, ignore_errors=True)


BASE = "dc=hq,dc=example"
READER = f"cn=mercury,{BASE}"
READER_PASSWORD = "look but do not touch"


class Directory:
    """slapd with the people `users` (name → password) below ou=people; only the reader may search."""

    def __init__(self, root: Path, port: int, users: dict[str, str], certificate: Path, key: Path) -> None:
        self.port = port
        folder = root / "slapd"
        (folder / "data").mkdir(parents=True)
        modules = next(path for path in Path("/usr/lib").glob("ldap*") if (path / "back_mdb.so").exists())
        (folder / "slapd.conf").write_text(
            "\n".join(
                [
                    "include /etc/ldap/schema/core.schema",
                    "include /etc/ldap/schema/cosine.schema",
                    "include /etc/ldap/schema/inetorgperson.schema",
                    f"pidfile {folder}/pid",
                    f"modulepath {modules}",
                    "moduleload back_mdb",
                    f"TLSCertificateFile {certificate}",
                    f"TLSCertificateKeyFile {key}",
                    "security simple_bind=128",
                    "database mdb",
                    "maxsize 10485760",
                    f'suffix "{BASE}"',
                    f"directory {folder}/data",
                    "access to attrs=userPassword by anonymous auth by * none",
                    f'access to * by dn.exact="{READER}" read by * none',
                    "",
                ]
            )
        )
        entries = [
            f"dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: hq\ndc: hq\n",
            f"dn: {READER}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: mercury\n"
            f"userPassword: {READER_PASSWORD}\n",
            f"dn: ou=people,{BASE}\nobjectClass: organizationalUnit\nou: people\n",
        ]
        entries += [
            f"dn: uid={user},ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: {user}\ncn: {user}\nsn: {user}\n"
            f"mail: {user}@hq.example\nuserPassword: {word}\n"
            for user, word in users.items()
        ]
        (folder / "people.ldif").write_text("\n".join(entries))
        config = str(folder / "slapd.conf")
        subprocess.run(
            [program("slapadd"), "-f", config, "-l", str(folder / "people.ldif")], check=True, capture_output=True
        )
        urls = f"ldap://127.0.0.1:{port}/"
        self.process = Process(
            "slapd", [program("slapd"), "-d", "0", "-f", config, "-h", urls], root / "log" / "slapd.log"
        )

    def start(self) -> Directory:
        self.process.start(lambda: answers("127.0.0.1", self.port))
        return self

    def stop(self) -> None:
        self.process.kill()


class TokenPage:
    """Answers RFC 7662 questions by `tokens` (token → answer); asks for `client` and `secret`."""

    def __init__(self, tokens: dict[str, dict[str, Any]], client: str, secret: str) -> None:
        expected = "Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode()

        class Page(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                if self.headers["Authorization"] != expected:
                    self.send_error(401)
                    return
                body = json.dumps(tokens.get(form["token"][0], {"active": False})).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/introspect"

    def start(self) -> TokenPage:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
