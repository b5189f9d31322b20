"""Draws docs/page-*.png anew: `make pictures`. A site with mail that waits for several reasons, in a real browser."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "endtoend"), str(ROOT / "tests")]

from clients import Raw, send  # noqa: E402
from deadline import eventually  # noqa: E402
from mailsite import Site  # noqa: E402
from peers import FarEnd  # noqa: E402
from playwright.sync_api import Page, sync_playwright  # noqa: E402
from process import free_port  # noqa: E402

LETTER = b"Subject: Minutes of Monday\r\n\r\nHello\r\n"
WIDE, PHONE = {"width": 1280, "height": 1000}, {"width": 390, "height": 844}


def furnish(site: Site, far: FarEnd) -> None:
    """Three reasons to wait, some mail that came through, and somebody who is connected."""
    site.relay_to(far.hop)
    site.config["retry"] = {"first": "20m", "longest": "1h", "lifetime": "5d", "bounce_lifetime": "1d"}
    site.config["sites"]["branch"] = {
        "networks": ["127.0.0.2/32"],
        "delivery": "relay",
        "smarthosts": [{"host": "127.0.0.1", "port": 9, "tls": "off"}],
    }
    site.config["web"] = {"listen": f"127.0.0.1:{free_port('127.0.0.1')}", "operators": ["anna@hq.example"]}
    site.write_config()
    site.add_users("anna", "bert")
    site.start("scw")
    for number in range(24):
        send(site.port, "anna@hq.example", [f"joe{number}@partner.example"], LETTER)
        send(site.port, "joe@partner.example", ["bert@hq.example"], LETTER)
    eventually(site.is_empty, 60)
    far.stop()
    for number in range(5):
        send(site.port, "bert@hq.example", [f"sales{number}@customer.example"], LETTER)
    with Raw(site.port, "127.0.0.2") as raw:
        for number in range(3):
            raw.say("EHLO branch.hq.example")
            raw.say("MAIL FROM:<anna@hq.example>")
            raw.say(f"RCPT TO:<order{number}@supplier.example>")
            raw.say("DATA")
            raw.send(LETTER + b".\r\n")
            raw.reply()
    eventually(lambda: len(site.events("recipient-deferred")) >= 8, 60)


def draw(page: Page, scheme: str, suffix: str, views: tuple[str, ...]) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for view in views:
        page.goto(f"/#{view}")
        page.wait_for_timeout(2500)
        if view == "queue":
            page.locator("#list tbody input").first.check()
        page.screenshot(path=ROOT / "docs" / f"page-{view}-{suffix}.png", full_page=suffix != "phone")
        if view == "now" and suffix != "dark":
            panel = page.locator("section[aria-labelledby=problems-title]")
            panel.screenshot(path=ROOT / "docs" / f"page-problems-{suffix}.png")


def draw_asking(page: Page) -> None:
    """A message that was held and released, and what is asked before it is returned."""
    for label in ("Hold", "Release"):
        page.get_by_role("button", name=label, exact=True).click()
        page.locator("#ask-reason").fill("anna asks for time" if label == "Hold" else "")
        page.locator("#ask-yes").click()
        page.get_by_role(
            "button", name={"Hold": "Release", "Release": "Hold"}[label], exact=True, disabled=False
        ).wait_for()
    page.get_by_role("button", name="Return to sender").click()
    page.locator("#ask-reason").fill("the address is wrong")
    page.wait_for_timeout(500)
    page.screenshot(path=ROOT / "docs" / "page-act-light.png")
    page.keyboard.press("Escape")


def draw_found(page: Page) -> None:
    page.get_by_role("button", name="Dismiss").click()
    page.goto("/#find?text=customer.example&days=7")
    page.locator("#found table").wait_for()
    page.screenshot(path=ROOT / "docs" / "page-find-light.png")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="pictures-") as folder:
        site = Site(Path(folder))
        far = FarEnd(Path(folder), free_port("127.0.0.21", "127.0.0.22"), ("127.0.0.21", "127.0.0.22"))
        far.start()
        try:
            furnish(site, far)
            with Raw(site.port) as raw, sync_playwright() as playwright:
                raw.say("EHLO scanner.hq.example")
                browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
                context = browser.new_context(base_url=f"http://{site.config['web']['listen']}", viewport=WIDE)
                page = context.new_page()
                page.goto("/")
                page.get_by_label("Address").fill("anna@hq.example")
                page.get_by_label("Password").fill("correct horse")
                page.keyboard.press("Enter")
                page.get_by_role("heading", name="MercuryS").wait_for()
                time.sleep(1)
                draw(page, "light", "light", ("now", "queue"))
                draw(page, "dark", "dark", ("now",))
                page.set_viewport_size(PHONE)
                draw(page, "light", "phone", ("now", "queue"))
                page.set_viewport_size(WIDE)
                page.locator("#list a").first.click()
                page.locator(".trail").wait_for()
                page.screenshot(path=ROOT / "docs" / "page-message-light.png", full_page=True)
                draw_asking(page)
                draw_found(page)
                page.set_viewport_size(PHONE)
                page.screenshot(path=ROOT / "docs" / "page-find-phone.png")
                browser.close()
        finally:
            site.stop()
            far.stop()


if __name__ == "__main__":
    main()
