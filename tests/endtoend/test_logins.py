"""Every way to log in, with the clients and the backends of others; and that no log has a password in it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import signal
import smtplib
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from authorities import BASE, READER, READER_PASSWORD, Directory, DovecotAuth, TokenPage
from certificate import self_signed
from clients import Raw
from deadline import eventually
from mailsite import Site
from OpenSSL import SSL
from peers import program
from process import free_port
from scramp import ScramClient
from setting import Stage

PASSWORD = "correct horse"
ANNA = "anna@hq.example"


def secure(site: Site, **listener: Any) -> None:
    """One submission port with a certificate, for clients of no site's network."""
    certificate, key = self_signed(site.root, "localhost", "IP:127.0.0.1")
    site.config["tls"] = {"certificate": str(certificate), "key": str(key)}
    listener = {"port": site.port, "address": "127.0.0.1", "kind": "submission", **listener}
    site.config["receive"]["listeners"] = [listener]
    site.here["networks"] = ["192.0.2.0/24"]


@pytest.fixture
def house(site: Site) -> Site:
    secure(site)
    return site


def unverified(version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if version is not None:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
    return context


def connect(site: Site, context: ssl.SSLContext | None = None) -> smtplib.SMTP:
    client = smtplib.SMTP("127.0.0.1", site.port, local_hostname="client.example", timeout=20)
    client.starttls(context=context or unverified())
    client.ehlo()
    return client


def offered(site: Site) -> list[str]:
    with connect(site) as client:
        return str(client.esmtp_features.get("auth", "")).split()


def log_in(client: smtplib.SMTP, user: str, password: str) -> tuple[int, bytes]:
    return client.docmd("AUTH", "PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode()).decode())


def scram(client: smtplib.SMTP, user: str, password: str) -> int:
    """By an independent implementation; the code that the exchange ends with."""
    peer = ScramClient(["SCRAM-SHA-256"], user, password)
    code, said = client.docmd("AUTH", "SCRAM-SHA-256 " + base64.b64encode(peer.get_client_first().encode()).decode())
    assert code == 334, said
    peer.set_server_first(base64.b64decode(said).decode())
    code, said = client.docmd(base64.b64encode(peer.get_client_final().encode()).decode())
    if code != 334:
        return code
    peer.set_server_final(base64.b64decode(said).decode())
    return client.docmd("")[0]


def by_msmtp(site: Site, way: str, user: str, password: str, *more: str) -> subprocess.CompletedProcess[str]:
    command = [program("msmtp"), "--host=127.0.0.1", f"--port={site.port}", "--tls=on", "--tls-starttls=on"]
    command += ["--tls-certcheck=off", f"--auth={way}", f"--user={user}", f"--passwordeval=echo '{password}'"]
    command += [f"--from={ANNA}", "--file=/dev/null", *more, ANNA]
    return subprocess.run(
        command, input=f"Subject: token-{way}-.\n\nx\n", capture_output=True, text=True, timeout=30,
        env={**os.environ, "HOME": str(site.root)},
    )  # fmt: skip


def wait_for(site: Site, token: str) -> None:
    eventually(lambda: any(token.encode() in mail for mail in site.mailbox("anna")), what=f"the mail {token}")


def test_scram_by_msmtp_and_by_scramp(house: Site) -> None:
    house.write_config()
    house.start("s")
    assert "SCRAM-SHA-256" in offered(house)
    done = by_msmtp(house, "scram-sha-256", ANNA, PASSWORD)
    assert done.returncode == 0, done.stderr
    wait_for(house, "token-scram-sha-256-.")
    with connect(house) as client:
        assert scram(client, "anna", PASSWORD) == 235


class BoundLine:
    """A client that can tell the exporter value of its connection, which Python's own cannot."""

    def __init__(self, port: int, version: int = SSL.TLS1_3_VERSION) -> None:
        plain = socket.create_connection(("127.0.0.1", port), 20)
        plain.recv(1000)
        for line in (b"EHLO client.example\r\n", b"STARTTLS\r\n"):
            plain.sendall(line)
            plain.recv(1000)
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_max_proto_version(version)
        plain.setblocking(True)
        plain.settimeout(None)
        self.line = SSL.Connection(context, plain)
        self.line.set_connect_state()
        self.line.do_handshake()
        self.binding = self.line.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
        self.offered = self.say("EHLO client.example")

    def say(self, line: str) -> str:
        self.line.sendall(line.encode() + b"\r\n")
        return self.line.recv(2000).decode()

    def log_in(self, binding: bytes) -> str:
        """RFC 5802 §3 in a few lines; no client that can be had does it by the exporter."""
        gs2, bare = b"p=tls-exporter,,", f"n={ANNA},r=fyko+d2lbbFgONRv9qkxdawL".encode()
        said = self.say("AUTH SCRAM-SHA-256-PLUS " + base64.b64encode(gs2 + bare).decode())
        first = base64.b64decode(said[4:])
        nonce, salt, count = (part[2:] for part in first.split(b","))
        unproven = b"c=" + base64.b64encode(gs2 + binding) + b",r=" + nonce
        salted = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), base64.b64decode(salt), int(count))
        key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(key).digest(), b",".join((bare, first, unproven)), "sha256")
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature, strict=True)))
        said = self.say(base64.b64encode(unproven + b",p=" + proof).decode())
        return self.say("")[:3] if said.startswith("334") else said[:3]


def test_scram_plus_binds_the_login_to_the_connection(house: Site) -> None:
    """It is offered where it is named, since there are clients that choose it and cannot do it."""
    house.config["receive"]["listeners"][0]["auth"] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"]
    house.write_config()
    house.start("s")
    line = BoundLine(house.port)
    assert "SCRAM-SHA-256-PLUS" in line.offered
    assert line.log_in(b"x" * 32) == "535", "somebody stands between the two"
    assert line.log_in(line.binding) == "235"
    assert "SCRAM-SHA-256-PLUS" not in BoundLine(house.port, SSL.TLS1_2_VERSION).offered


def test_nobody_learns_from_scram_who_is_there(house: Site) -> None:
    house.write_config()
    house.start("s")

    def challenge(user: str) -> dict[str, str]:
        with connect(house) as client:
            first = base64.b64encode(f"n,,n={user},r=fyko+d2lbbFgONRv9qkxdawL".encode()).decode()
            code, said = client.docmd("AUTH", "SCRAM-SHA-256 " + first)
            assert client.docmd("*")[0] == 501
        assert code == 334
        return dict(part.split("=", 1) for part in base64.b64decode(said).decode().split(","))

    anna, nobody, again = challenge("anna"), challenge("nobody"), challenge("NOBODY@hq.example")
    assert (len(anna["s"]), anna["i"]) == (len(nobody["s"]), nobody["i"])
    assert nobody["s"] == again["s"] != anna["s"]
    with connect(house) as client:
        assert scram(client, "nobody", PASSWORD) == 535
    house.stop("s")
    house.start("s")
    assert challenge("nobody")["s"] == nobody["s"], "the stand-in survives a restart"


def test_scram_is_offered_when_everybody_can_do_it(house: Site) -> None:
    users = house.root / "users.yaml"
    lines = users.read_text().splitlines()
    old = [line.split(", scram:")[0] + "}" if line.startswith("bert") else line for line in lines]
    users.write_text("\n".join(old) + "\n")
    house.write_config()
    house.start("s")
    assert offered(house) == ["PLAIN", "LOGIN"]
    done = house.mercury("user", "passwd", "bert@hq.example", "--password-stdin", given="another one\n")
    assert done.returncode == 0, done.stderr
    eventually(lambda: "SCRAM-SHA-256" in offered(house), what="SCRAM")


def test_a_refusal_is_the_same_for_known_and_unknown_in_text_and_time(house: Site) -> None:
    """And slow: a second for the first of each name."""
    house.config["receive"]["rules"] = [{"networks": ["127.0.0.0/8"], "action": "allow", "exempt": True}]
    house.write_config()
    house.start("s")
    seen = []
    for source, user in (("127.0.1.1", "anna"), ("127.0.1.2", "nobody")):
        with smtplib.SMTP("127.0.0.1", house.port, timeout=20, source_address=(source, 0)) as client:
            client.starttls(context=unverified())
            client.ehlo()
            begun = time.monotonic()
            answer = log_in(client, user, "guess")
            seen.append((answer, time.monotonic() - begun))
    (known, slow), (unknown, as_slow) = seen
    assert known == unknown == (535, b"5.7.8 The login or the password is wrong")
    assert 1.0 <= slow < 1.3 and 1.0 <= as_slow < 1.3
    refused = eventually(lambda: found if len(found := house.events("login-refused")) == 2 else [], what="events")
    assert [event.get("account") for event in refused] == [ANNA, None]


def test_a_listener_offers_the_ways_that_it_names_and_no_other(house: Site) -> None:
    house.config["receive"]["listeners"][0]["auth"] = ["LOGIN", "SCRAM-SHA-256"]
    house.write_config()
    house.start("s")
    assert offered(house) == ["LOGIN", "SCRAM-SHA-256"]
    with connect(house) as client:
        assert log_in(client, "anna", PASSWORD)[0] == 504


# ---- Dovecot, a directory, tokens, certificates ------------------------------------------------------------------------


def test_dovecot_is_asked(house: Site, stage: Stage) -> None:
    dovecot = DovecotAuth({ANNA: "of dovecot"})
    stage.peer(dovecot)
    house.config["receive"]["auth"] = {"backend": "dovecot", "socket": str(dovecot.socket)}
    house.write_config()
    house.start("s")
    assert offered(house) == ["PLAIN", "LOGIN"]
    with connect(house) as client:
        assert log_in(client, ANNA, PASSWORD)[0] == 535, "the password of the users file is none here"
        assert log_in(client, ANNA, "of dovecot")[0] == 235
    done = by_msmtp(house, "login", ANNA, "of dovecot")
    assert done.returncode == 0, done.stderr
    wait_for(house, "token-login-.")
    dovecot.kill()
    with connect(house) as client:
        assert log_in(client, ANNA, "of dovecot")[0] == 454
    eventually(lambda: house.events("logins-down"), what="the event")
    dovecot.start()
    with connect(house) as client:
        assert log_in(client, ANNA, "of dovecot")[0] == 235, "it is asked again when it is back"


@pytest.fixture
def directory(stage: Stage, tmp_path: Path) -> Directory:
    (tmp_path / "ldap").mkdir()
    certificate, key = self_signed(tmp_path / "ldap", "ldap.hq.example", "IP:127.0.0.1")
    directory = Directory(tmp_path, free_port("127.0.0.1"), {"anna": "of ldap", "bert": "x"}, certificate, key)
    stage.peer(directory)
    return directory


def ldap_settings(site: Site, directory: Directory, **more: str) -> None:
    ca = str(site.root / "ldap" / "ldap.hq.example.cert.pem")
    settings = {"url": f"ldap://127.0.0.1:{directory.port}", "ca": ca, "timeout": "5s", **more}
    site.config["receive"]["auth"] = {"backend": "ldap", "ldap": settings}
    site.write_config()


def test_a_directory_is_asked_by_name(house: Site, directory: Directory) -> None:
    ldap_settings(house, directory, user_dn=f"uid={{user}},ou=people,{BASE}")
    house.start("s")
    with connect(house) as client:
        assert log_in(client, ANNA, "of bert")[0] == 535
        assert log_in(client, "anna,ou=people", "of ldap")[0] == 535
        assert log_in(client, ANNA, "of ldap")[0] == 235
    done = by_msmtp(house, "plain", "anna", "of ldap")
    assert done.returncode == 0, done.stderr
    wait_for(house, "token-plain-.")


def test_a_directory_is_searched(house: Site, directory: Directory) -> None:
    secret = house.root / "ldap-secret"
    secret.touch(0o600)
    secret.write_text(READER_PASSWORD + "\n")
    ldap_settings(
        house, directory, base=BASE, bind_dn=READER, password_file=str(secret),
        filter="(&(objectClass=inetOrgPerson)(mail={login}))",
    )  # fmt: skip
    house.start("s")
    for user, password, code in (
        (ANNA, "of ldap", 235), ("anna", "of ldap", 235), ("*", "of ldap", 535), ("nobody", "of ldap", 535),
    ):  # fmt: skip
        with connect(house) as client:
            assert log_in(client, user, password)[0] == code, user
    secret.write_text("wrong\n")
    with connect(house) as client:
        assert log_in(client, ANNA, "of ldap")[0] == 454
    [down] = eventually(lambda: house.events("logins-down"), what="the event")
    assert "bind_dn" in down["reason"]


def test_a_directory_that_cannot_prove_its_name_gets_no_password(house: Site, directory: Directory) -> None:
    other, _ = self_signed(house.root, "other.example")
    ldap_settings(house, directory, user_dn=f"uid={{user}},ou=people,{BASE}", ca=str(other))
    house.start("s")
    with connect(house) as client:
        assert log_in(client, ANNA, "of ldap")[0] == 454


def test_tokens_are_asked_about(house: Site, stage: Stage) -> None:
    tokens: dict[str, dict[str, Any]] = {
        "good-token": {"active": True, "username": ANNA, "scope": "openid smtp"},
        "narrow": {"active": True, "username": ANNA, "scope": "openid"},
        "stranger": {"active": True, "username": "x@elsewhere.example", "scope": "smtp"},
        "long-" + "x" * 3000: {"active": True, "username": "anna", "scope": "smtp"},
    }
    page = TokenPage(tokens, "mercury", "sesame")
    stage.peer(page)
    secret = house.root / "client-secret"
    secret.touch(0o600)
    secret.write_text("sesame\n")
    house.config["receive"]["auth"] = {
        "introspection": {"url": page.url, "client_id": "mercury", "secret_file": str(secret), "scope": "smtp"}
    }
    house.write_config()
    house.start("s")
    for way, mechanism in (("oauthbearer", "OAUTHBEARER"), ("xoauth2", "XOAUTH2")):
        assert mechanism in offered(house)
        done = by_msmtp(house, way, ANNA, "good-token")
        assert done.returncode == 0, done.stderr
        wait_for(house, f"token-{way}-.")

    def bearer(token: str, name: str = ANNA) -> int:
        with connect(house) as client:
            said = base64.b64encode(f"n,a={name},\x01auth=Bearer {token}\x01\x01".encode()).decode()
            code, _ = client.docmd("AUTH", "OAUTHBEARER " + said)
            return client.docmd("AQ==")[0] if code == 334 else code

    assert bearer("long-" + "x" * 3000) == 235, "longer than a command line"
    assert bearer("good-token", "bert@hq.example") == 535, "a token of somebody else"
    assert bearer("narrow") == 535
    secret.write_text("wrong\n")
    assert bearer("good-token") == 454
    leaks = "".join(path.read_text() for path in house.root.rglob("*.jsonl")) + house.logs()
    assert "good-token" not in leaks and "sesame" not in leaks


def signed_client(site: Site, name: str) -> tuple[Path, Path, Path]:
    """An authority, and a client certificate with key for the address `name`."""
    ca, ca_key = site.root / "clients.pem", site.root / "clients.key"
    key, request, certificate = (site.root / f"client.{end}" for end in ("key", "csr", "pem"))
    extensions = site.root / "extensions"
    extensions.write_text(f"subjectAltName=email:{name}\nextendedKeyUsage=clientAuth\n")
    new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for command in (
        [*new, "-x509", "-days", "30", "-subj", "/CN=Clients", "-keyout", ca_key, "-out", ca],
        [*new, "-subj", "/CN=client", "-keyout", key, "-out", request],
        ["openssl", "x509", "-req", "-days", "30", "-in", request, "-CA", ca, "-CAkey", ca_key, "-extfile", extensions, "-out", certificate],
    ):  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)
    key.chmod(0o600)
    return ca, certificate, key


def test_a_client_certificate_logs_in(house: Site) -> None:
    ca, certificate, key = signed_client(house, ANNA)
    house.config["receive"]["listeners"][0]["client_ca"] = str(ca)
    house.write_config()
    house.start("s")
    assert "EXTERNAL" not in offered(house), "a client without a certificate goes on as usual"
    done = by_msmtp(house, "external", ANNA, "", f"--tls-cert-file={certificate}", f"--tls-key-file={key}")
    assert done.returncode == 0, done.stderr
    wait_for(house, "token-external-.")
    context = unverified()
    context.load_cert_chain(certificate, key)
    with connect(house, context) as client:
        assert "EXTERNAL" in client.esmtp_features["auth"]
        someone_else = base64.b64encode(b"bert@hq.example").decode()
        assert client.docmd("AUTH", f"EXTERNAL {someone_else}")[0] == 535
        assert client.docmd("AUTH", "EXTERNAL =")[0] == 235
    assert house.mercury("user", "disable", ANNA).returncode == 0

    def code() -> int:
        with connect(house, context) as client:
            return client.docmd("AUTH", "EXTERNAL =")[0]

    eventually(lambda: code() == 535, what="a disabled account is refused")


def test_a_certificate_without_an_address_is_who_the_configuration_says(house: Site) -> None:
    ca, certificate, key = signed_client(house, "someone@elsewhere.example")
    shown = subprocess.run(
        ["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", certificate],
        check=True, capture_output=True, text=True,
    ).stdout.strip().partition("=")[2]  # fmt: skip
    house.config["receive"]["listeners"][0]["client_ca"] = str(ca)
    house.config["receive"]["auth"] = {"certificates": [{"fingerprint": shown, "account": ANNA}]}
    house.write_config()
    house.start("s")
    context = unverified()
    context.load_cert_chain(certificate, key)
    with connect(house, context) as client:
        assert client.docmd("AUTH", "EXTERNAL =")[0] == 235


# ---- TLS ---------------------------------------------------------------------------------------------------------------


def test_an_old_device_has_a_port_of_its_own_that_says_so(house: Site) -> None:
    old = free_port("127.0.0.1")
    house.config["receive"]["listeners"].append(
        {"port": old, "address": "127.0.0.1", "kind": "submission", "networks": ["127.0.0.0/8"], "tls_floor": 1.0}
    )
    house.write_config()
    house.start("s")
    [said] = eventually(lambda: house.events("tls-floor-lowered"), what="the event")
    assert (said["port"], said["version"], said["networks"]) == (old, "1.0", "127.0.0.0/8")
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{old}", "-starttls", "smtp", "-tls1", "-cipher", "ALL:@SECLEVEL=0"],
        input="QUIT\n", capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert "Protocol  : TLSv1\n" in done.stdout or "TLSv1\n" in done.stdout, done.stdout + done.stderr
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{house.port}", "-starttls", "smtp", "-tls1", "-cipher", "ALL:@SECLEVEL=0"],
        input="QUIT\n", capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert "Cipher is (NONE)" in done.stdout


def shown_certificate(site: Site) -> bytes | None:
    with connect(site) as client:
        assert isinstance(client.sock, ssl.SSLSocket)
        return client.sock.getpeercert(binary_form=True)


def test_renewed_certificates_are_used_after_a_reload_or_by_themselves(house: Site) -> None:
    house.write_config()
    house.start("s")
    first = shown_certificate(house)
    self_signed(house.root, "localhost", "IP:127.0.0.1")
    house.daemons["s"].signal(signal.SIGHUP)
    eventually(lambda: shown_certificate(house) != first, what="the certificate of a reload")


# ---- nothing of it in any log --------------------------------------------------------------------------------------------


def test_no_log_has_a_password_in_it(house: Site) -> None:
    """However a client says it, rightly or wrongly, in the right place or the wrong one."""
    password = "hunter2-xyzzy"
    house.mercury("user", "passwd", ANNA, "--password-stdin", given=password + "\n")
    house.config["receive"]["rules"] = [{"networks": ["127.0.0.0/8"], "action": "allow", "exempt": True}]
    house.write_config()
    house.start("s")
    plain = base64.b64encode(f"\0{ANNA}\0{password}".encode()).decode()
    name, word = (base64.b64encode(text.encode()).decode() for text in (ANNA, password))
    with Raw(house.port) as raw:
        raw.say("EHLO client.example")
        assert raw.say(f"AUTH PLAIN {plain}").startswith("538 ")
        raw.say(plain)
        raw.say(password)
    with connect(house) as client:
        client.docmd("AUTH", f"LOGIN {word}")
        client.docmd(name)
        client.docmd("AUTH", "PLAIN")
        client.docmd(plain + "x")
        client.docmd("AUTH", f"{password} x")
        client.docmd("AUTH", f"PLAIN {plain}=")
        client.docmd("AUTH", "OAUTHBEARER " + word)
        assert client.docmd("AUTH", "LOGIN " + name)[0] == 334
        assert client.docmd(word)[0] == 235
        client.docmd(plain)
    house.stop("s")
    written = [path for folder in ("state", "log", "run", "spool") for path in (house.root / folder).rglob("*")]
    text = b"".join(path.read_bytes() for path in written if path.is_file()) + house.logs().encode()
    assert b"login-accepted" in text
    for secret in (password, plain, word, plain[8:], base64.b64encode(f"{ANNA}\0{password}".encode()).decode()):
        assert secret.encode() not in text, secret
