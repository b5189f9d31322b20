"""Several workers are one server: one of them killed under load, limits over all, a reload, the end."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from clients import Load, Raw
from deadline import eventually
from mailsite import Site

TOKEN = re.compile(rb"load-\d+-\d+-\d+-\.")


@pytest.fixture
def crew(site: Site) -> Site:
    site.config["receive"]["workers"] = 2
    return site


def workers(site: Site) -> list[int]:
    pid = site.daemons["s"].pid
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def arrived(site: Site) -> Counter[str]:
    return Counter(found[0].decode() for message in site.mailbox("anna") if (found := TOKEN.search(message[:2000])))


def test_a_worker_killed_under_load_loses_nothing_and_is_replaced(crew: Site) -> None:
    crew.write_config()
    crew.start("s")
    before = workers(crew)
    assert len(before) == 2
    load = Load(crew.port, "anna@hq.example", 600).start()
    for goal, victim in ((60, 0), (200, 1)):
        eventually(lambda goal=goal: len(load.acknowledged) >= goal, 30, f"{goal} acknowledged")
        os.kill(before[victim], signal.SIGKILL)
    load.join()
    assert len(load.acknowledged) == 600
    eventually(crew.is_empty, 30, "an empty queue")
    came = arrived(crew)
    assert not load.acknowledged - set(came)
    assert sum(came.values()) - len(came) <= 2 * 8
    eventually(lambda: len(crew.events("worker-started")) == 4, what="two new workers")
    assert [event["reason"] for event in crew.events("worker-ended")] == ["killed by SIGKILL"] * 2
    assert not set(workers(crew)) & set(before)


def test_limits_hold_over_all_workers_and_a_dead_one_holds_no_places(crew: Site) -> None:
    crew.config["receive"]["limits"] = {"sessions_per_client": 6}
    crew.write_config()
    crew.start("s")
    guests = [Raw(crew.port) for _ in range(6)]
    assert all(guest.greeting.startswith("220") for guest in guests)
    assert Raw(crew.port).greeting.startswith("421 4.7.0")
    for pid in workers(crew):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: len(crew.events("worker-started")) == 4, what="two new workers")
    assert [Raw(crew.port).greeting[:3] for _ in range(1)] == ["220"]


def test_a_reload_reaches_every_worker(crew: Site) -> None:
    crew.write_config()
    crew.start("s")
    crew.config["receive"]["rules"] = [{"networks": ["127.0.0.0/8"], "action": "refuse"}]
    crew.write_config()
    crew.daemons["s"].signal(signal.SIGHUP)
    eventually(lambda: crew.events("config-reloaded"), what="the reload")
    assert {Raw(crew.port).greeting[:3] for _ in range(20)} == {"554"}


def test_the_end_under_load_loses_nothing(crew: Site) -> None:
    crew.write_config()
    crew.start("s")
    before = workers(crew)
    load = Load(crew.port, "anna@hq.example", 2000).start()
    eventually(lambda: len(load.acknowledged) >= 100, 30)
    began = time.monotonic()
    crew.stop("s")
    assert time.monotonic() - began < 10
    load.end()
    load.join()
    assert not [pid for pid in before if Path(f"/proc/{pid}").exists()]
    crew.start("s")
    eventually(crew.is_empty, 30, "an empty queue")
    came = arrived(crew)
    assert not load.acknowledged - set(came)
    assert set(came.values()) == {1}


def test_rates_and_the_blacklist_hold_over_all_workers(crew: Site) -> None:
    """Of a rate of 6 each worker alone would grant 6; who is blacklisted by one is turned away by both."""
    crew.config["sites"]["hq"]["networks"] = ["127.0.0.1/32"]
    crew.config["receive"]["rates"] = {"client": {"connections": "6/1h"}}
    crew.config["receive"]["blacklist"] = {"unknown_recipients": "3/1h", "time": "10m"}
    crew.write_config()
    crew.start("s")
    greetings = [Raw(crew.port, source="127.0.0.7").greeting[:3] for _ in range(14)]
    assert greetings.count("220") == 6 and set(greetings) == {"220", "421"}, greetings
    with Raw(crew.port, source="127.0.0.8") as raw:
        raw.say("EHLO guesser.example")
        raw.say("MAIL FROM:<x@elsewhere.example>")
        with contextlib.suppress(ConnectionError):
            for number in range(5):
                raw.say(f"RCPT TO:<nobody{number}@hq.example>")
    eventually(lambda: crew.events("client-blacklisted"), what="the blacklist")
    time.sleep(1.1)  #  the other worker looks once a second
    greetings = [Raw(crew.port, source="127.0.0.8").greeting[:3] for _ in range(5)]
    assert set(greetings) <= {"421", "554"}, greetings
