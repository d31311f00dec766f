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

from tests.deadlines import PATIENCE
from tests.stack import Deal, Stack, eventually, line

CHROMIUM = Path("/usr/bin/chromium")
WIDTHS = {1280: 860, 390: 844, 320: 640}
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
    """Sign someone in on Entra's page; the inbox they land on. What a browser complains about fails the test.

    A browser also complains of an answer that refuses; ``refused`` is the status the test expects.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def signed_in(name: str, *, javascript: bool = True, width: int = 1280, refused: int = 0) -> Page:
        # No certificate is trusted here and none is ignored: a newcomer's browser meets no warning either.
        context = browser.new_context(
            viewport={"width": width, "height": WIDTHS[width]},
            java_script_enabled=javascript,
            base_url=stack.ready["web"],
            timezone_id="America/New_York",
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE * 1_000)
        expect.set_options(timeout=PATIENCE * 1_000)
        page.on(
            "console",
            lambda message: (
                complaints.append(f"{message.text} {message.location}")
                if message.type == "error"
                and message.location["url"].startswith(stack.ready["web"])
                and not (refused and f"status of {refused} " in message.text)
                else None
            ),
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        known = {urlsplit(stack.ready[part]).netloc for part in ("web", "desk")}
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
    words = "They buy the second hall as well."
    deal = stack.deal(line("P250", 100, "22"), name="Packaging line, second hall", description=words)
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
    expect(page.locator(".decision")).to_contain_text("Discount 22 % is above the 10 % a rep may give alone")
    expect(page.locator(".said")).to_have_text("They buy the second hall as well.")
    row = page.locator("table.lines tbody tr")
    for column, shown in {"Price": "195.00", "List": "250.00", "Cost": "150.00", "Margin": "23.08 %"}.items():
        expect(row.locator(f"td[data-label={column}]")).to_have_text(shown)
    page.locator("textarea[name=comment]").fill("agreed with the customer")
    page.get_by_role("button", name="Approve").click()

    expect(page.locator(".notice.good")).to_contain_text("Your decision is recorded.")
    expect(page.locator(".asks blockquote")).to_have_text("agreed with the customer")
    asked = discounted.asks("dirk")
    assert (asked["step"], asked["level"]) == (2, 2)
    assert stack.person("mona").inbox(discounted.quote) == []


def test_what_comes_in_appears_by_itself_and_a_rejection_reaches_the_rep(
    stack: Stack, discounted: Deal, sign_in: OpenPage
) -> None:
    page = sign_in("dirk")
    expect(page.locator(card(page, discounted))).to_have_count(0)
    assert stack.person("mona").decide(discounted.asks("mona"), "approve").accepted
    expect(page.locator(card(page, discounted))).to_have_count(1)

    page.locator(card(page, discounted)).click()
    page.locator("textarea[name=comment]").fill("too low for this customer")
    page.get_by_role("button", name="Reject").click()
    expect(page.locator(".waiting.bad h2")).to_have_text("Rejected")
    case = discounted.waits_for("rep")
    assert "too low for this customer" in case["explanation"]["text"]
    eventually(lambda: "too low" in str(discounted.sales()), "the comment is visible in Sales")


def test_an_operator_fixes_a_parked_step_on_the_page(stack: Stack, sign_in: OpenPage) -> None:
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
    expect(page.locator(".parked pre").first).not_to_be_visible()
    page.get_by_text("Details", exact=True).click()
    expect(page.locator(".parked pre").first).to_be_visible()
    page.get_by_role("button", name="Retry the step").click()
    expect(page.locator(".notice.good")).to_be_visible()
    deal.waits_for("shipment")
    assert len(deal.orders()) == 1


def kept_in(folder: Path) -> Path:
    pictures = Path(os.environ.get("Q2C_SCREENSHOTS", folder))
    pictures.mkdir(parents=True, exist_ok=True)
    return pictures


def fits(page: Page, pictures: Path, name: str, width: int) -> None:
    """Nothing of a page is wider than the screen; its picture is kept."""
    page.wait_for_load_state("load")
    assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than the screen"
    picture = pictures / f"{name}-{width}.png"
    page.screenshot(path=picture, full_page=True)
    assert picture.stat().st_size > 10_000


@pytest.fixture(scope="module")
def stopped(stack: Stack) -> dict[str, Deal]:
    """A deal whose order Finance refuses, and one on credit hold."""
    refuse = {"system": "finance", "method": "POST", "path": r"/data/\$batch", "effect": {"status": 400}}
    held = stack.deal(line("P100", 10, "5"), customer=stack.customer(credit_limit="500.00"))
    held.accepted("credit")
    parked = stack.deal(line("P100", 10, "5"))
    parked.submitted()
    parked.rep("activate")
    parked.waits_for("customer")
    stack.desk.put("/faults", refuse)
    parked.rep("accept")
    parked.waits_for("operator")
    stack.desk.delete("/faults")
    return {"parked": parked, "held": held}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("who", "what"), [("otto", "parked"), ("carl", "held")])
def test_what_stopped_a_deal_and_what_helps_fits_any_screen(
    stopped: dict[str, Deal], sign_in: OpenPage, tmp_path: Path, who: str, what: str, width: int
) -> None:
    page = sign_in(who, width=width)
    fits(page, kept_in(tmp_path), f"inbox-{who}", width)
    page.locator(f'a[href="/cases/usmf/{stopped[what].quote}#act"]').click()
    for summary in page.locator("main summary").all():
        summary.click()
    fits(page, kept_in(tmp_path), what, width)


def test_a_release_that_says_too_little_keeps_what_was_typed_and_one_that_leaves_it_to_the_policy_counts(
    stopped: dict[str, Deal], sign_in: OpenPage
) -> None:
    held = stopped["held"]
    page = sign_in("carl", refused=400)
    page.goto(f"/cases/usmf/{held.quote}")
    page.get_by_label("Up to, incl. tax").fill("a lot")
    page.get_by_label("Reason").first.fill("The invoice was paid by wire")
    page.get_by_role("button", name="Release", exact=True).click()
    expect(page.locator(".notice.bad")).to_contain_text("ceiling")
    expect(page.get_by_label("Reason").first).to_have_value("The invoice was paid by wire")
    page.get_by_label("Up to, incl. tax").fill("")
    page.get_by_role("button", name="Release", exact=True).click()
    expect(page.locator(".notice.good")).to_contain_text("This is the current state.")
    held.waits_for("shipment")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_pages_fit_and_are_kept_as_pictures(
    stack: Stack, discounted: Deal, sign_in: OpenPage, tmp_path: Path, width: int
) -> None:
    pictures = kept_in(tmp_path)
    shipped = stack.deal(line("P100", 10, "5"), name="Spare parts, first lot")
    shipped.accepted()
    shipped.ship(_1="6")
    shipped.waits_for("shipment")
    shipped.invoice()
    shipped.until(lambda case: any(document["kind"] == "invoice" for document in case["documents"]), "invoiced")
    page = sign_in("mona", width=width)
    seen = {
        "inbox": "/",
        "approval": f"/approvals/usmf/{discounted.quote}/1",
        "deals": "/cases?status=running",
        "deal": f"/cases/usmf/{shipped.quote}",
    }
    for name, path in seen.items():
        page.goto(path)
        fits(page, pictures, name, width)
    page.goto(f"/cases/usmf/{shipped.quote}")
    assert re.search(r"6 of 10", page.locator(".waiting").inner_text())
    columns = page.locator("th").all_inner_texts()
    assert "Ordered" in columns and not {"Cancelled", "Returned", "Credited"} & set(columns)
