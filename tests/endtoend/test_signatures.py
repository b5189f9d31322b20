"""Mail signed on its way out, read by two verifiers that are not ours: dkimpy, and Perl's Mail::DKIM by a real DNS."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dkim
from clients import Raw, send
from deadline import eventually
from mailsite import Site
from peers import FarEnd, NameServer, SmtpSink
from process import free_port
from setting import Stage

from shared.dkim.private_key import make_key

VERIFIER = """
use Mail::DKIM::Verifier; use Net::DNS::Resolver; use Mail::DKIM::DNS;
Mail::DKIM::DNS::resolver(Net::DNS::Resolver->new(nameservers => ['127.0.0.1'], port => $ARGV[0], tcp_timeout => 20));
my $verifier = Mail::DKIM::Verifier->new();
while (<STDIN>) { s/\\r?\\n\\z/\\r\\n/; $verifier->PRINT($_); }
$verifier->CLOSE;
print join(' ', map { $_->algorithm . '=' . $_->result } $verifier->signatures), "\\n";
"""


def verified_by_perl(message: bytes, port: int) -> str:
    done = subprocess.run(["perl", "-e", VERIFIER, str(port)], input=message, capture_output=True, timeout=60)
    return done.stdout.decode().strip() + done.stderr.decode()


def verified_by_dkimpy(message: bytes, records: dict[str, str]) -> list[bool]:
    def look_up(name: bytes, timeout: int = 5) -> bytes:
        return records[name.decode().rstrip(".")].encode()

    count = message.count(b"DKIM-Signature:")
    return [bool(dkim.DKIM(message).verify(idx=index, dnsfunc=look_up)) for index in range(count)]


def with_keys(site: Site) -> dict[str, str]:
    """Keys of both kinds in the configuration; the records to publish by name."""
    folder = site.root / "secrets"
    folder.mkdir(exist_ok=True)
    keys, records = [], {}
    for selector, kind in (("rsa1", "rsa"), ("ed1", "ed25519")):
        key = make_key(kind)
        path = folder / f"{selector}.pem"
        path.write_bytes(key.as_pem())
        path.chmod(0o600)
        keys.append({"selector": selector, "key_file": str(path)})
        records[f"{selector}._domainkey.hq.example"] = key.record
    site.here["dkim"] = {"keys": keys}
    return records


def zone_of(records: dict[str, str]) -> str:
    return "".join(f'{name}. TXT "{text[:200]}" "{text[200:]}"\n' for name, text in records.items())


def test_what_leaves_is_signed_and_what_strangers_write_is_not(
    site: Site, far_end: FarEnd, name_server: Callable[[dict[str, str]], NameServer], tmp_path: Path
) -> None:
    records = with_keys(site)
    server = name_server({"partner.example": "@ MX 10 mx\nmx A 127.0.0.21\n", "hq.example": zone_of(records)})
    site.config["dns"] = {"servers": [f"127.0.0.1:{server.port}"]}
    site.config["direct"] = {"port": far_end.port, "allow_addresses": ["127.0.0.0/8"]}
    site.here["delivery"] = "direct"
    site.write_config()
    (site.root / "aliases").write_text("postmaster: anna\nonward: x@partner.example\n")
    site.start("se")

    text = "From: Anna <anna@hq.example>\r\nSubject: token-ours-. Grüße\r\n\r\nGrüße  \r\n\r\n\r\n".encode()
    send(site.port, "anna@hq.example", ["x@partner.example"], text, ("BODY=8BITMIME",))
    with Raw(site.port, "127.0.0.9") as stranger:
        for line in ("EHLO evil.example", "MAIL FROM:<m@evil.example>", "RCPT TO:<onward@hq.example>", "DATA"):
            assert stranger.say(line)[0] in "23"
        stranger.send(b"From: anna@hq.example\r\nSubject: token-forged-.\r\n\r\nbelieve me\r\n.\r\n")
        assert stranger.reply().startswith("250")

    [ours] = eventually(lambda: far_end.find("token-ours-."), what="arrival")
    assert verified_by_dkimpy(ours.content, records) == [True, True]
    #  Debian 12's knows no Ed25519.
    assert verified_by_perl(ours.content, server.port).startswith("rsa-sha256=pass ")
    changed = ours.content.replace(b"Subject: token", b"Subject: tokem")
    assert "pass" not in verified_by_perl(changed, server.port)
    [forged] = eventually(lambda: far_end.find("token-forged-."), what="what the alias sent on")
    assert b"DKIM-Signature" not in forged.content
    [told] = [event for event in site.events("recipient-delivered") if "signed for" in str(event)]
    assert "signed for hq.example (rsa1, rsa), hq.example (ed1, ed25519)" in str(told)


def test_mail_waits_for_its_key_and_goes_when_it_is_back(
    site: Site, far_end: FarEnd, name_server: Callable[[dict[str, str]], NameServer]
) -> None:
    with_keys(site)
    site.here["dkim"]["without_key"] = "wait"
    server = name_server({"partner.example": "@ MX 10 mx\nmx A 127.0.0.21\n"})
    site.config["dns"] = {"servers": [f"127.0.0.1:{server.port}"]}
    site.config["direct"] = {"port": far_end.port, "allow_addresses": ["127.0.0.0/8"]}
    site.here["delivery"] = "direct"
    site.write_config()
    site.start("se")
    key = site.root / "secrets/rsa1.pem"
    aside = key.rename(key.with_suffix(".aside"))
    checked = site.mercury("config", "check")
    assert checked.returncode == 2 and "mercury dkim key" in checked.stdout + checked.stderr
    send(site.port, "anna@hq.example", ["x@partner.example"], b"From: anna@hq.example\r\n\r\ntoken-waits-.\r\n")
    [event, *_] = eventually(lambda: site.events("recipient-deferred"), what="a deferral")
    assert "4.3.5" in str(event) and "rsa1._domainkey.hq.example" in str(event) and not far_end.find("token-waits-.")
    assert site.events("dkim-key-unusable")[0]["key"] == "rsa1._domainkey.hq.example"
    aside.rename(key)
    [kept] = eventually(lambda: far_end.find("token-waits-."), what="arrival with the key")
    assert kept.content.count(b"DKIM-Signature:") == 2
    secrets = b"".join(key.read_bytes().splitlines()[1:-1])
    shown = site.logs() + json.dumps(site.events())
    assert secrets[40:70].decode() not in shown


def test_what_is_converted_for_an_old_relay_is_signed_as_it_goes_out(
    site: Site, stage: Stage, tmp_path: Path
) -> None:
    """By a smarthost without 8BITMIME: the signature is over the seven bits it gets."""
    records = with_keys(site)
    old = SmtpSink(tmp_path, free_port("127.0.0.1"), "-8")
    stage.peer(old)
    site.relay_to(old.hop)
    site.here["dkim"]["relay"] = True
    site.write_config()
    site.start("sc")
    text = "From: Anna <anna@hq.example>\r\nSubject: token-seven-.\r\n\r\nGrüße\r\n".encode() + b"line\r\n" * 40_000
    send(site.port, "anna@hq.example", ["x@elsewhere.example"], text, ("BODY=8BITMIME",))
    [copy] = eventually(lambda: old.find("token-seven-."), what="arrival")
    message = copy[copy.index(b"DKIM-Signature:") :].replace(b"\n", b"\r\n")
    #  smtp-sink ends what it writes with an empty line of its own.
    assert copy.isascii() and verified_by_dkimpy(message, records) == [True, True]


def test_the_commands_make_keys_and_tell_what_is_wrong(site: Site, name_server: Any) -> None:
    done = site.mercury("dkim", "key", "hq.example", "--selector", "ed1", "--type", "ed25519")
    path = site.root / "secrets/mercury-e/dkim-hq.example-ed1.pem"
    assert done.returncode == 0 and path.stat().st_mode & 0o777 == 0o600
    assert "PRIVATE" not in done.stdout and "ed1._domainkey.hq.example. TXT" in done.stdout
    again = site.mercury("dkim", "key", "hq.example", "--selector", "ed1")
    assert again.returncode == 1 and "is there" in again.stderr
    records = with_keys(site)
    wrong = records["rsa1._domainkey.hq.example"][:-20] + "A" * 20
    [line] = [line for line in done.stdout.splitlines() if " TXT " in line]
    site.here["dkim"]["keys"][1]["key_file"] = str(path)
    zone = zone_of({"rsa1._domainkey.hq.example": wrong}) + line + "\n"
    site.config["dns"] = {"servers": [f"127.0.0.1:{name_server({'hq.example': zone}).port}"], "timeout": "5s"}
    site.write_config()
    checked = site.mercury("dkim", "check", "--json")
    lights = {one["about"]: one["light"] for one in map(json.loads, checked.stdout.splitlines())}
    assert checked.returncode == 1, checked.stdout + checked.stderr
    assert lights == {"rsa1._domainkey.hq.example": "red", "ed1._domainkey.hq.example": "green"}
    assert "mercury dkim record" in checked.stdout
    assert site.mercury("dkim", "record", "hq.example").stdout.count(" TXT ") == 2
    assert site.mercury("dkim", "check", "nobody.example").returncode == 4
