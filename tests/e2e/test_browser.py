"""The pages in a real browser, before the whole product: sign in, read, decide, look.

With `Q2C_SCREENSHOTS` set to a folder the pictures are kept there, to be looked at.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.stack import Deal, Stack, eventually, line

CHROMIUM = Path("/usr/bin/chromium")
WIDTHS = {1280: 860, 390: 844}
OpenPage = Callable[..., Page]

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def sign_in(browser: Browser, stack: Stack) -> Iterator[OpenPage]:
    """Sign somebody in on Entra's page; the inbox they land on. What a browser complains about fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def signed_in(name: str, *, javascript: bool = True, width: int = 1280) -> Page:
        # The sandbox's certificates are of a local authority the browser does not know.
        context = browser.new_context(
            viewport={"width": width, "height": WIDTHS[width]},
            java_script_enabled=javascript,
            ignore_https_errors=True,
            base_url=stack.ready["web"],
            timezone_id="America/New_York",
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on(
            "console",
            lambda message: (
                complaints.append(f"{message.text} {message.location}")
                if message.type == "error" and message.location["url"].startswith(stack.ready["web"])
                else None
            ),
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        known = {urlsplit(stack.ready[part]).netloc for part in ("web", "entra")}
        page.on(
            "request",
            lambda request: complaints.append(request.url) if urlsplit(request.url).netloc not in known else None,
        )
        page.goto("/")
        page.locator(f"button[name=user][value={name}]").click()
        page.wait_for_url(f"{stack.ready['web']}/")
        return page

    yield signed_in
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def discounted(stack: Stack) -> Deal:
    """S02: 100 x P250 at 22 %, which mona and then dirk have to approve."""
    deal = stack.deal(line("P250", 100, "22"), name="Packaging line, second hall")
    deal.submitted("approval")
    deal.asks("mona")
    return deal


def card(page: Page, deal: Deal) -> str:
    return f'a[href="/approvals/usmf/{deal.quote}/1"]'


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_an_approver_signs_in_reads_and_approves_in_two_clicks(
    stack: Stack, discounted: Deal, sign_in: OpenPage, javascript: bool
) -> None:
    page = sign_in("mona", javascript=javascript)
    page.locator(card(page, discounted)).click()

    expect(page.locator("h1")).to_have_text("Packaging line, second hall")
    expect(page.locator(".decision")).to_contain_text("22 % > 10 %")
    row = page.locator("table.lines tbody tr")
    for column, shown in {"Price": "195.00", "List": "250.00", "Cost": "150.00", "Margin": "23.08 %"}.items():
        expect(row.locator(f"td[data-label={column}]")).to_have_text(shown)
    page.locator("textarea[name=comment]").fill("agreed with the customer")
    page.get_by_role("button", name="Approve").click()

    expect(page.locator(".notice.good")).to_contain_text("Your decision is recorded.")
    expect(page.locator("blockquote")).to_have_text("agreed with the customer")
    asked = discounted.asks("dirk")
    assert (asked["step"], asked["level"]) == (2, 2)
    assert stack.person("mona").inbox(discounted.quote) == []


def test_what_comes_in_appears_by_itself_and_a_rejection_reaches_the_rep(
    stack: Stack, discounted: Deal, sign_in: OpenPage
) -> None:
    page = sign_in("dirk")
    expect(page.locator(card(page, discounted))).to_have_count(0)
    assert stack.person("mona").decide(discounted.asks("mona"), "approve").accepted
    expect(page.locator(card(page, discounted))).to_have_count(1, timeout=20_000)

    page.locator(card(page, discounted)).click()
    page.locator("textarea[name=comment]").fill("too low for this customer")
    page.get_by_role("button", name="Reject").click()
    expect(page.locator(".waiting.bad h2")).to_have_text("Rejected")
    case = discounted.waits_for("rep")
    assert "too low for this customer" in case["explanation"]["text"]
    eventually(lambda: "too low" in str(discounted.sales()), "the comment is visible in Sales")


def test_an_operator_mends_a_parked_step_on_the_page(stack: Stack, sign_in: OpenPage) -> None:
    deal = stack.deal(line("P100", 10, "5"))
    deal.submitted()
    deal.rep("activate")
    deal.waits_for("customer")
    refuse = {"system": "finance", "method": "POST", "path": r"/data/\$batch", "effect": {"status": 400}}
    stack.desk.put("/faults", refuse)
    deal.rep("accept")
    deal.waits_for("operator")
    stack.desk.delete("/faults")

    page = sign_in("otto")
    page.locator(f'a[href="/cases/usmf/{deal.quote}#act"]').click()
    expect(page.locator(".parked")).to_contain_text("What would help")
    page.get_by_role("button", name="Retry the step").click()
    expect(page.locator(".notice.good")).to_be_visible()
    deal.waits_for("shipment")
    assert len(deal.orders()) == 1


@pytest.mark.parametrize("width", WIDTHS)
def test_the_pages_fit_and_are_kept_as_pictures(
    stack: Stack, discounted: Deal, sign_in: OpenPage, tmp_path: Path, width: int
) -> None:
    pictures = Path(os.environ.get("Q2C_SCREENSHOTS", tmp_path))
    pictures.mkdir(parents=True, exist_ok=True)
    shipped = stack.deal(line("P100", 10, "5"), customer="US-001", name="Spare parts, first lot")
    shipped.accepted()
    shipped.ship(_1="6")
    shipped.waits_for("shipment")
    shipped.invoice()
    shipped.until(lambda case: any(document["kind"] == "invoice" for document in case["documents"]), "invoiced")
    page = sign_in("mona", width=width)
    for name, path in {
        "inbox": "/",
        "approval": f"/approvals/usmf/{discounted.quote}/1",
        "deals": "/cases?status=running",
        "case": f"/cases/usmf/{shipped.quote}",
    }.items():
        page.goto(path)
        page.wait_for_load_state("load")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than the screen"
        picture = pictures / f"{name}-{width}.png"
        page.screenshot(path=picture, full_page=True)
        assert picture.stat().st_size > 10_000
    assert re.search(r"6 of 10", page.locator(".waiting").inner_text())
