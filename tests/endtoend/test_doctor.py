"""`mercury doctor` with a real name server: a host as it should be, and one where everything is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from fakes.json_page import undocumented
from mailsite import Site
from peers import FarEnd, NameServer
from process import free_port

ZONES = {
    "113.0.203.in-addr.arpa": "5 PTR mail.hq.example.\n6 PTR dyn-6.isp.example.\n",
    "hq.example": """mail A 203.0.113.5
@ TXT "v=spf1 include:_spf.isp.example -all"
s1._domainkey TXT "v=DKIM1; k=ed25519; " "p=C9BV7msSHgmbkJ5mBw7Hk0uUV7NSRwtFGLnUYJ4VGAo="
s2._domainkey TXT "v=DKIM1; p="
""",
    "isp.example": '_spf TXT "v=spf1 ip4:203.0.113.5 ?all"\ndyn-6 A 203.0.113.99\n',
    "bl.example": '2.0.0.127 A 127.0.0.2\n6.113.0.203 A 127.0.0.10\n6.113.0.203 TXT "a dial-up line"\n',
}


def test_green_and_red(site: Site, far_end: FarEnd, name_server: Callable[[dict[str, str]], NameServer]) -> None:
    site.config["hostname"] = "mail.hq.example"
    site.config["dns"] = {"servers": [f"127.0.0.1:{name_server(ZONES).port}"], "timeout": "5s"}
    site.config["direct"] = {"port": far_end.port}
    site.config["auto"] = {"hosts": [far_end.addresses[0], "127.0.0.1"], "timeout": "5s"}
    site.config["preflight"] = {"addresses": ["203.0.113.5"], "dkim_selector": "s1", "blocklists": ["bl.example"]}
    site.write_config()

    done = site.mercury("doctor", "hq", "--json")
    checks = [json.loads(line) for line in done.stdout.splitlines()]
    assert not undocumented("doctor", done.stdout.splitlines())
    assert [(check["name"], check["light"]) for check in checks] == [
        (name, "green") for name in ("address", "ptr", "spf", "dkim", "blocklist", "port")
    ], done.stdout + done.stderr
    assert done.returncode == 0

    site.config["direct"] = {"port": free_port("127.0.0.1")}
    site.write_config()
    done = site.mercury("doctor", "hq", "--address", "203.0.113.6", "--selector", "s2")
    lights = {line.split()[1]: line.split()[0] for line in done.stdout.splitlines() if "to do:" not in line}
    wrong = {"ptr": "red", "spf": "red", "dkim": "red", "blocklist": "red", "port": "red"}
    assert lights == {"address": "green"} | wrong, done.stdout
    assert done.stdout.count("to do:") == len(wrong) and "a dial-up line" in done.stdout
    assert done.returncode == 1


def test_amber_and_what_cannot_be_asked(site: Site, far_end: FarEnd, name_server: Any) -> None:
    site.config["dns"] = {"servers": [f"127.0.0.1:{name_server(ZONES).port}"], "timeout": "5s"}
    site.config["direct"] = {"port": far_end.port}
    site.config["auto"] = {"hosts": [far_end.addresses[0], "127.0.0.1"], "timeout": "5s"}
    site.write_config()
    done = site.mercury("doctor", "--address", "10.1.2.3")
    assert done.returncode == 3 and "private or reserved" in done.stdout
    assert site.mercury("doctor", "nowhere").returncode == 2
    assert site.mercury("doctor", "--address", "words").returncode == 2
