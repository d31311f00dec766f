"""The most used pages in German and Spanish, in a real browser: axe finds nothing, everything fits, nothing is English.

With `Q2C_SCREENSHOTS` set to a folder the pictures are kept there, to be looked at.
"""

from __future__ import annotations

import os

import pytest
from playwright.async_api import expect

from tests.unit.web.test_web_site_browser import ALL_FADES_OVER, CHROMIUM, Open, chromium, open_as, site, violations
from tests.webworld import scenes
from tests.webworld.standins import REVIEWED
from tests.webworld.world import Stage
from web.languages import COOKIE, ENGLISH, LANGUAGES

__all__ = ["chromium", "open_as", "site"]

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed")

PAGES = {
    "mona": ["/", "/approvals/usmf/LNG-1/1", "/cases", "/cases/usmf/LNG-S"],
    "carl": ["/cases/usmf/LNG-H"],
}
LEFT_ENGLISH = ("Waiting for", "Discount", "Approve", "Quote expires", "What you can do", "Overdue", "Stage", "since ")
"""Words of these pages that would stand there in English."""
OURS = """() => {
    const copy = document.querySelector("main").cloneNode(true);
    for (const part of copy.querySelectorAll("[lang=en], script, code")) part.remove();
    return copy.textContent;
}"""
"""What a page says, without what is marked as English."""


@pytest.fixture(scope="module")
async def world(stage: Stage) -> None:
    """Something of what the pages show."""
    await stage.deal(scenes.held("LNG-H"))
    await stage.deal(scenes.shipping("LNG-S"), scenes.timeline())
    REVIEWED["LNG-1"] = (scenes.finding(1, "P250", "100", "195.00", "250.00", "190.00", product_name="Rail"),)
    await stage.approval(scenes.request("LNG-1"))


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("language", [code for code in LANGUAGES if code != ENGLISH.code])
async def test_axe_finds_nothing_and_everything_fits(open_as: Open, site: str, language: str) -> None:
    pictures = os.environ.get("Q2C_SCREENSHOTS")
    found: list[str] = []
    for name, addresses in PAGES.items():
        page = await open_as(name)
        await page.context.add_cookies([{"name": COOKIE, "value": language, "url": site}])
        for place, address in enumerate(addresses):
            await page.goto(address)
            assert await page.locator("html").get_attribute("lang") == language
            for summary in await page.locator("main summary").all():
                await summary.click()
            await page.evaluate(ALL_FADES_OVER)
            found += await violations(page)
            shown = await page.evaluate(OURS)
            found += [f"{address} says {word}" for word in LEFT_ENGLISH if word in shown]
            for width in (1280, 390):
                await page.set_viewport_size({"width": width, "height": 860})
                wide = await page.evaluate("document.documentElement.scrollWidth")
                found += [f"{address} is {wide} wide on a screen of {width}"] if wide > width else []
                if pictures:
                    await page.screenshot(path=f"{pictures}/{language}-{name}-{place}-{width}.png", full_page=True)
            await page.set_viewport_size({"width": 1280, "height": 860})
    assert "\n".join(found) == ""


@pytest.mark.usefixtures("world")
async def test_the_language_is_chosen_in_the_menu_and_moments_follow_it(open_as: Open) -> None:
    page = await open_as("mona")
    await page.goto("/approvals/usmf/LNG-1/1")
    await page.locator(".me summary").click()
    await page.get_by_role("button", name="Deutsch").click()
    await expect(page.locator("html")).to_have_attribute("lang", "de")
    assert page.url.endswith("/approvals/usmf/LNG-1/1")
    await expect(page.locator(".lead time")).to_have_text("23. Nov. 2026, 09:00 EST")
    await page.goto("/")
    await expect(page.locator("h1")).to_have_text("Posteingang")
