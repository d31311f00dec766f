"""The audit in a real browser, on a desk and on a phone: an auditor signs in, reads, and takes an export.

With `Q2C_SCREENSHOTS` set to a folder the pictures are kept there, to be looked at.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect
from temporalio.client import Client

from demo.ports import free_ports
from tests.deadlines import PATIENCE
from tests.unit.web.test_web_audit import audit_config, filled, url
from web.app import create_app
from web.config import WebConfig
from workers.serving import serve

__all__ = ["audit_config", "filled", "url"]

CHROMIUM = Path("/usr/bin/chromium")
WIDTHS = {1280: 860, 390: 844}

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed")


@pytest.fixture
async def site(audit_config: WebConfig, temporal: Client, filled: str) -> AsyncIterator[str]:
    """The origin the application is served at, by the server of production."""
    (port,) = free_ports(1)
    origin = f"http://localhost:{port}"
    app = create_app(audit_config.model_copy(update={"public_url": origin}), temporal)
    async with serve(app, "127.0.0.1", port, variables="Q2C_WEB"):
        yield origin


@pytest.fixture(params=WIDTHS)
async def page(request: pytest.FixtureRequest, site: str) -> AsyncIterator[Page]:
    """An auditor's browser; what it complains about fails the test."""
    complaints: list[str] = []
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        # The sandbox's certificates are of a local authority the browser does not know.
        context = await chromium.new_context(
            viewport={"width": request.param, "height": WIDTHS[request.param]}, ignore_https_errors=True, base_url=site
        )
        page = await context.new_page()
        page.set_default_timeout(PATIENCE * 1_000)
        expect.set_options(timeout=PATIENCE * 1_000)
        page.on(
            "console",
            lambda message: (
                complaints.append(message.text)
                if message.type == "error" and message.location["url"].startswith(site)
                else None
            ),
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto("/audit")
        await page.locator("button[name=user][value=audra]").click()
        await page.wait_for_url(f"{site}/audit")
        yield page
        await chromium.close()
    assert complaints == []


async def fits(page: Page, folder: Path, name: str) -> None:
    """Nothing of a page is wider than the screen; its picture is kept."""
    assert page.viewport_size is not None
    width = page.viewport_size["width"]
    assert await page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than the screen"
    pictures = Path(os.environ.get("Q2C_SCREENSHOTS", folder))
    await page.screenshot(path=pictures / f"{name}-{width}.png", full_page=True)


async def unlabelled(page: Page) -> list[str]:
    """Fields of forms without a label that a reader of screens could say."""
    script = "[...document.querySelectorAll('input:not([type=hidden]),select,textarea')].filter(e => !e.labels.length)"
    found: list[str] = await page.evaluate(f"{script}.map(e => e.name)")
    return found


async def test_an_auditor_reads_checks_and_takes_an_export(page: Page, tmp_path: Path) -> None:
    await page.get_by_label("Company").select_option("usmf")
    await page.get_by_role("button", name="Filter").click()
    await expect(page.locator(".notice.good")).to_contain_text("Records 1 to 11 hold")
    await expect(page.locator("nav a[aria-current=page]")).to_have_text("Audit")
    decision = page.locator("tbody tr", has_text="StepDecided").first
    await decision.get_by_text("Details").click()
    await expect(decision.locator("code").first).to_be_visible()
    assert await unlabelled(page) == []
    await fits(page, tmp_path, "audit")

    export = page.locator("section[aria-labelledby=export]")
    day = await page.evaluate("new Date().toISOString().slice(0, 10)")
    await export.get_by_label("From").fill(day)
    await export.get_by_label("To").fill(day)
    async with page.expect_download() as started:
        await export.get_by_role("button", name="Download").click()
    download = await started.value
    assert download.suggested_filename == f"audit-usmf-{day}-{day}.csv.zip"

    await page.get_by_role("link", name="Reports").click()
    await expect(page.locator("section[aria-labelledby=unsigned]")).to_contain_text("SO-2")
    assert await unlabelled(page) == []
    await fits(page, tmp_path, "audit-reports")
    await page.get_by_label("Invoices in Finance").fill("INV-7")
    await page.get_by_role("button", name="Compare").click()
    await expect(page.locator("section[aria-labelledby=documents]")).to_contain_text("Invoice INV-1 is not in Finance")
    await fits(page, tmp_path, "audit-compared")
