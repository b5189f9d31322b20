"""A tree of zones signed for a test, and unbound, which validates it from a trust anchor of the test's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dns.dnssec
import dns.name
import dns.rdatatype
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec
from dns.dnssecalgs.ecdsa import PrivateECDSAP256SHA256
from dns.rdtypes.ANY.DNSKEY import DNSKEY
from peers import program
from process import Process, answers

_HEAD = "$ORIGIN {0}.\n$TTL 60\n@ SOA ns hostmaster 1 3600 900 86400 60\n@ NS ns\nns A 127.0.0.1\n"


class SignedZone:
    """`name` with the records of `text`. `delegation` is what its parent says of it."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self._key = PrivateECDSAP256SHA256(ec.generate_private_key(ec.SECP256R1()))
        self._public = DNSKEY(*_fields(dns.dnssec.make_dnskey(self._key.public_key(), 13, 257)))
        self._zone = dns.zone.from_text(_HEAD.format(name) + text, relativize=False)
        now = datetime.now(UTC)
        dns.dnssec.sign_zone(
            self._zone,
            keys=[(self._key, self._public)],
            inception=now - timedelta(days=1),
            expiration=now + timedelta(days=7),
            dnskey_ttl=60,
        )

    @property
    def anchor(self) -> str:
        """The DS record, as zone files and unbound have it."""
        return f"{self.name}. DS {dns.dnssec.make_ds(dns.name.from_text(self.name), self._public, 'SHA256')}"

    def text(self, damaged: str = "") -> str:
        """The zone file. The TLSA records of names that begin with `damaged` are others than those signed."""
        lines = []
        for line in self._zone.to_text(relativize=False).splitlines():
            words = line.split()
            if damaged and words[3] == "TLSA" and damaged in words[0]:
                line = line[:-4] + ("0000" if not line.endswith("0000") else "1111")
            lines.append(line)
        return f"$ORIGIN {self.name}.\n" + "\n".join(lines) + "\n"


def _fields(key: DNSKEY) -> tuple[object, ...]:
    return key.rdclass, key.rdtype, key.flags, key.protocol, key.algorithm, key.key


class Validator:
    """unbound on 127.0.0.1, for what lies below `zone`, which `name_server` (a port) knows."""

    def __init__(self, root: Path, port: int, zone: str, anchor: str, name_server: int) -> None:
        folder = root / "unbound"
        folder.mkdir()
        self.port = port
        (folder / "unbound.conf").write_text(
            f"""server:
  interface: 127.0.0.1
  port: {port}
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: "{folder}/pid"
  use-syslog: no
  logfile: ""
  do-not-query-localhost: no
  local-zone: "{zone}." nodefault
  trust-anchor: "{anchor}"
  module-config: "validator iterator"
  num-threads: 1
remote-control:
  control-enable: no
stub-zone:
  name: "{zone}"
  stub-addr: 127.0.0.1@{name_server}
"""
        )
        command = [program("unbound"), "-d", "-c", str(folder / "unbound.conf")]
        self.process = Process("unbound", command, root / "log" / "unbound.log")

    def start(self) -> Validator:
        self.process.start(lambda: answers("127.0.0.1", self.port))
        return self

    def stop(self) -> None:
        self.process.kill()
