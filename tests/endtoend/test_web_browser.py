"""The status page in a real browser (Chromium), with hostile mail and a hostile next hop: by keyboard, at phone width,
light and dark, and checked for accessibility by axe-core."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from clients import Raw, send
from deadline import eventually
from mailsite import Site
from playwright.sync_api import Browser, Page, expect, sync_playwright
from process import free_port

#  A browser and three daemons for each: a minute on a busy machine. What needs no browser is in test_web_http.py.
pytestmark = pytest.mark.proof

PASSWORD = "correct horse"
PHONE = {"width": 360, "height": 740}
SECONDS = 45.0
MARKUP = '<script>window.hacked=1</script>"><img src=x onerror=window.hacked=1>'
#  RIGHT-TO-LEFT OVERRIDE, ESCAPE, and more than anybody reads.
HOSTILE = f"451 4.7.1 {MARKUP} \u202egnp.exe \x1b[31mred {'A' * 900}"


@contextmanager
def rude() -> Iterator[tuple[str, int]]:
    """A smarthost that answers every recipient with HOSTILE."""
    listener = socket.create_server(("127.0.0.1", 0))

    def talk(link: socket.socket) -> None:
        with link, link.makefile("rwb") as file:
            file.write(b"220 rude\r\n")
            file.flush()
            for line in file:
                verb = line[:4].upper()
                answer = HOSTILE.encode() if verb == b"RCPT" else b"221 bye" if verb == b"QUIT" else b"250 fine"
                file.write(answer + b"\r\n")
                file.flush()

    def serve() -> None:
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(link,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=arguments, timeout=90_000)
        yield browser
        browser.close()


@pytest.fixture
def served(site: Site) -> Iterator[Site]:
    with rude() as hop:
        site.relay_to(hop)
        site.config["retry"] = {"first": "1h", "longest": "1h", "lifetime": "5h", "bounce_lifetime": "5h"}
        site.config["history"] = {"subjects": True}
        site.config["web"] = {
            "listen": f"127.0.0.1:{free_port('127.0.0.1')}",
            "operators": ["anna@hq.example"],
            "viewers": ["bert@hq.example"],
        }
        site.write_config()
        site.start("scw")
        subject = f"Subject: {MARKUP} \u202e\u0007\r\n\r\nHello\r\n".encode()
        for number in range(3):
            send(site.port, "anna@hq.example", [f"joe{number}@branch.example"], subject)
        send(site.port, '"<img src=x onerror=window.hacked=1>"@evil.example', ["bert@hq.example"], subject)
        eventually(lambda: len(site.events("recipient-deferred")) >= 3, what="the refusals")
        yield site


@contextmanager
def opened(site: Site, browser: Browser, **options: Any) -> Iterator[Page]:
    """The page, not logged in; whatever its console says in the end is a fault, such as what the policy forbade."""
    context = browser.new_context(base_url=f"http://{site.config['web']['listen']}", **options)
    context.set_default_timeout(SECONDS * 1000)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto("/")
    yield page
    assert page.evaluate("window.hacked") is None
    assert page.locator("main img").count() == 0 and page.locator("script").count() == 1
    #  That nobody is logged in is asked by asking.
    assert [line for line in said if "401" not in line] == []
    context.close()


def log_in(page: Page, person: str) -> None:
    """By keyboard alone."""
    page.get_by_label("Address").focus()
    page.keyboard.type(person)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Now")).to_be_visible(timeout=SECONDS * 1000)
    expect(page.get_by_role("heading", name="MercuryS")).to_be_visible(timeout=SECONDS * 1000)


def check(page: Page, axe: Axe, where: str) -> None:
    """No fault by WCAG 2.1 A and AA, and nothing that reaches out of the window sideways."""
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
    found = axe.run(page, options=rules)
    assert found.violations_count == 0, f"{where}:\n{found.generate_report()}"
    excess = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert excess <= 0, f"{where} is {excess} px too wide"


def test_hostile_mail_is_shown_as_text_and_acted_upon_by_keyboard(served: Site, browser: Browser) -> None:
    with opened(served, browser) as page:
        log_in(page, "anna@hq.example")
        expect(page.locator("#problems")).to_contain_text("<script>window.hacked=1</script>", timeout=SECONDS * 1000)
        problem = page.locator("#problems").get_by_role("link", name="3 messages")
        text = page.locator("#problems").inner_text()
        assert "\u202e" not in text and "\x1b" not in text
        with Raw(served.port) as raw:
            raw.say("EHLO client.example")
            session = page.locator("section.daemon", has_text="MercuryS").get_by_text("127.0.0.1", exact=True)
            expect(session).to_be_visible(timeout=SECONDS * 1000)
        problem.focus()
        page.keyboard.press("Enter")
        expect(page.locator("#list tbody tr")).to_have_count(3)
        page.locator("#list tbody input").first.focus()
        page.keyboard.press("Space")
        expect(page.locator("#chosen")).to_have_text("1 message chosen")
        page.get_by_role("button", name="Remove").focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")  #  Without a reason nothing happens.
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.type("not ours")
        page.keyboard.press("Enter")
        expect(page.locator("#notice-text")).to_have_text("1 message: removed.")
        expect(page.locator("#list tbody tr")).to_have_count(2)
        assert len(served.entries("trash")) == 1
        page.get_by_role("button", name="Undo").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#list tbody tr")).to_have_count(3)
        assert served.entries("trash") == []
        page.get_by_role("link", name="Find").click()
        page.get_by_label("Words that stand").fill("evil.example")
        page.keyboard.press("Enter")
        expect(page.locator("#found")).to_contain_text("<img src=x onerror=window.hacked=1>")
        page.locator("#found a").first.click()
        expect(page.locator("#message")).to_contain_text("message accepted")


@pytest.mark.parametrize(
    ("scheme", "size"),
    [("light", {"width": 1200, "height": 900}), ("dark", PHONE)],
    ids=["light", "dark-phone"],
)
def test_every_view_can_be_used_by_everybody(
    served: Site, browser: Browser, scheme: str, size: dict[str, int]
) -> None:
    axe = Axe()
    #  The checker itself works by what our policy forbids.
    with opened(served, browser, color_scheme=scheme, viewport=size, bypass_csp=True) as page:
        check(page, axe, "login")
        log_in(page, "bert@hq.example")
        expect(page.locator("#problems")).to_contain_text("3 messages", timeout=SECONDS * 1000)
        check(page, axe, "now")
        page.goto("/#queue")
        expect(page.locator("#list tbody tr")).to_have_count(3)
        expect(page.locator("#actions button")).to_have_count(0)
        check(page, axe, "queue")
        page.locator("#list a").first.click()
        expect(page.locator("#message")).to_contain_text("Trail")
        check(page, axe, "message")
        page.goto("/#find?text=branch&days=7")
        expect(page.locator("#found tbody tr")).to_have_count(3)
        check(page, axe, "find")
