"""What strangers can write into their zones, and what becomes of mail to them: by a real name server and real daemons."""

from __future__ import annotations

from collections.abc import Callable

from clients import send
from deadline import eventually
from mailsite import Site
from peers import NameServer

LIFETIME = 4.0
ZONES = {
    "null.test": "@ MX 0 .\n@ A 203.0.113.1\n",
    "ours.test": "@ MX 10 mail.hq.example.\n@ MX 20 other\nother A 203.0.113.1\n",
    "router.test": "@ MX 10 outside\noutside A 203.0.113.9\n",
    "inside.test": "@ MX 10 lan\n@ MX 20 here\n@ MX 30 me\nlan A 10.0.0.1\nhere A 127.0.0.1\nme A 169.254.169.254\n",
    "odd.test": "@ MX 10 a_b\n@ MX 20 a\\032b\n@ MX 30 127.0.0.1.\n",
    "many.test": "".join(f"@ MX {number} mx{number}\n" for number in range(200)),
    "broken.test": "this is no zone file at all ((\n",
}


def test_what_is_certain_goes_back_at_once_and_servfail_when_its_lifetime_ends(
    site: Site, name_server: Callable[[dict[str, str]], NameServer]
) -> None:
    site.here["delivery"] = "direct"
    site.config["preflight"] = {"addresses": ["203.0.113.9"]}
    site.config["dns"] = {"servers": [f"127.0.0.1:{name_server(ZONES).port}"], "timeout": "2s"}
    site.config["retry"] |= {"lifetime": f"{LIFETIME:.0f}s", "warn_after": "1h"}
    site.write_config()
    site.start("se")
    people = [f"x@{name}" for name in (*ZONES, "gone.null.test")] + ["x@[169.254.1.1]", "x@[192.168.0.1]"]
    send(site.port, "bert@hq.example", people, b"Subject: strange\r\n\r\n")
    eventually(lambda: len(site.events("recipient-failed")) == len(people), 40, "everything has gone back")
    replies = {event["recipient"]: event["reply"].split()[1] for event in site.events("recipient-failed")}
    assert replies == {
        "x@null.test": "5.1.10",
        "x@ours.test": "5.4.6",
        "x@router.test": "5.4.6",
        "x@inside.test": "5.4.4",
        "x@odd.test": "5.4.4",
        "x@many.test": "5.4.4",
        "x@gone.null.test": "5.1.2",
        "x@[169.254.1.1]": "5.4.4",
        "x@[192.168.0.1]": "5.4.4",
        "x@broken.test": "5.4.7",
    }
    put_off = [event for event in site.events("recipient-deferred") if event["recipient"] == "x@broken.test"]
    assert put_off and all("4.4.3" in event["reply"] for event in put_off)
    others = [event for event in site.events("recipient-deferred") if event["recipient"] != "x@broken.test"]
    assert not others
