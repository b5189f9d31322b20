"""One address to scrape for all daemons, whichever of them is up."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest
from clients import send
from deadline import eventually
from mailsite import Site
from peers import FarEnd
from process import free_port
from prometheus_client.parser import text_string_to_metric_families


def scrape(site: Site) -> dict[str, float]:
    """Sample as it is written, with its labels in order → value; nothing while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://{site.config['metrics']['listen']}/metrics", timeout=20) as page:
            text = page.read().decode()
    except OSError:
        return {}
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


@pytest.mark.parametrize("workers", [1, 2])
def test_numbers_of_all_daemons(site: Site, far_end: FarEnd, workers: int) -> None:
    site.relay_to(far_end.hop)
    site.config["metrics"] = {"listen": f"127.0.0.1:{free_port('127.0.0.1')}"}
    site.config["receive"]["workers"] = workers
    site.write_config()
    site.start("sc")
    for _ in range(3):
        send(site.port, "bert@hq.example", ["joe@branch.example", "anna@hq.example"], b"Subject: x\r\n\r\nHello\r\n")
    done = {
        "mercury_messages_finished_total{daemon=mercury-c,lane=relay}": 3,
        "mercury_messages_finished_total{daemon=mercury-s,lane=local}": 3,
        "mercury_messages_received_total{daemon=mercury-s}": 3,
        #  Each comes at its own time: what is counted within two seconds, the queue within ten.
        "mercury_recipients_received_total{daemon=mercury-s}": 6,
        "mercury_attempts_total{daemon=mercury-c,lane=relay,outcome=delivered}": 3,
        "mercury_delivery_seconds_count{daemon=mercury-s,lane=local}": 3,
        "mercury_queue_messages{lane=relay,site=,state=waiting}": 0,
    }
    eventually(lambda: done.items() <= scrape(site).items())
    numbers = scrape(site)
    assert numbers["mercury_up{daemon=mercury-c}"] == 1 and numbers["mercury_up{daemon=mercury-e}"] == 0
    assert numbers["mercury_process_memory_bytes{daemon=mercury-s}"] > 1e7
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"http://{site.config['metrics']['listen']}/", timeout=20)


def test_when_the_one_that_answers_ends_another_does(site: Site) -> None:
    site.config["metrics"] = {"listen": f"127.0.0.1:{free_port('127.0.0.1')}"}
    site.write_config()
    site.start("s")
    eventually(lambda: scrape(site))
    site.start("c")
    eventually(lambda: scrape(site).get("mercury_up{daemon=mercury-c}"))
    site.stop("s")
    eventually(lambda: scrape(site).get("mercury_up{daemon=mercury-s}") == 0)
    assert scrape(site)["mercury_up{daemon=mercury-c}"] == 1
