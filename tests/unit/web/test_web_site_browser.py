"""The site in a real browser: no violation that axe finds at any width or in either scheme, and the keyboard decides.

With `Q2C_SCREENSHOTS` set to a folder the pictures are kept there, to be looked at.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import Page, async_playwright, expect
from pydantic import SecretStr
from temporalio.client import Client

from demo.ports import free_ports
from domain.assessment import Attachment, RivalQuote
from domain.bulk import BulkPhase
from domain.causes import Cause
from domain.credit_facts import Ageing
from domain.views import Ending
from runs import names
from tests.deadlines import PATIENCE
from tests.unit.web.test_web_customers import TAKEN, TWIN, stopped
from tests.unit.web.test_web_explanations import previewed
from tests.unit.web.test_web_order_lines import shown as long_order
from tests.unit.web.test_web_refunds import overpaid
from tests.webworld import accounts, bulk, data, first_syncs, initial_syncs, late, maps, parallel, scenes
from tests.webworld.standins import BESIDE, REVIEWED, Beside
from tests.webworld.world import Stage
from web.app import create_app
from web.config import WebConfig
from web.languages import LANGUAGES
from workers.serving import serve

CHROMIUM = Path("/usr/bin/chromium")
FILE = Attachment(name="A-rather-long-name-of-a-drawing-of-both-halls-as-they-are-built-2026-11.pdf", size=5_400)
NARROWEST = 320
"""Where only the fit is looked at: the layout is that of 390."""
NEW = ("/bulk/new?company=usmf&error=Refused", "/bulk/new?company=usmf&error=Conflict&customer=NOBODY")
DATA = ("/data", "/data/differences", "/data/matches", f"/data/matches/{data.OWING.id}", "/data/initial")
MAPS = ("/data/maps", "/data/maps/product", "/data/maps/unit", "/data/maps/customer/1", "/data/maps/customer/2")
PARALLEL = ("/data/parallel?company=usmf", "/data/parallel?company=jpmf")
WIDTHS = {1280: 860, 390: 844, NARROWEST: 640}
Open = Callable[..., Awaitable[Page]]

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed")


def axe() -> str:
    """The script of axe-core that the package brings."""
    found = find_spec("axe_playwright_python")
    assert found is not None and found.origin is not None
    return (Path(found.origin).parent / "axe.min.js").read_text()


@pytest.fixture(scope="module")
async def site(config: WebConfig, temporal: Client, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The origin the application is served at, by the server of production."""
    (port,) = free_ports(1)
    origin, ledger = f"http://localhost:{port}", f"sqlite:///{tmp_path_factory.mktemp('data')}/ledger.db"
    await data.fill(ledger)
    await maps.scene(ledger)
    await first_syncs.fill(ledger)
    there = {"sales_url": "https://contoso.crm.dynamics.com", "finance_url": "https://contoso.operations.dynamics.com"}
    update = {"public_url": origin, "ledger_url": SecretStr(ledger), **there}
    app = create_app(config.model_copy(update=update), temporal)
    async with initial_syncs.shown(temporal), serve(app, "127.0.0.1", port, variables="Q2C_WEB"):
        yield origin


@pytest.fixture(scope="module")
async def chromium() -> AsyncIterator[Chromium]:
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield started
        await started.close()


@pytest.fixture
async def open_as(chromium: Chromium, site: str) -> AsyncIterator[Open]:
    """A page of somebody who has signed in; what the browser complains about fails the test."""
    complaints: list[str] = []
    contexts: list[Any] = []

    async def signed_in(name: str, *, width: int = 1280) -> Page:
        # The sandbox's certificates are of a local authority the browser does not know.
        context = await chromium.new_context(
            viewport={"width": width, "height": WIDTHS[width]},
            ignore_https_errors=True,
            base_url=site,
            timezone_id="America/New_York",
        )
        contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(PATIENCE * 1_000)
        expect.set_options(timeout=PATIENCE * 1_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto("/")
        await page.locator(f"button[name=user][value={name}]").click()
        await page.wait_for_url(f"{site}/")
        return page

    yield signed_in
    for context in contexts:
        await context.close()
    assert complaints == []


async def violations(page: Page, rules: str = "{}") -> list[str]:
    """What axe finds on a page, with where, by all its rules or those of ``rules``; loaded once into each page."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(axe())
    result = await page.evaluate(f"axe.run({{resultTypes: ['violations'], ...{rules}}})")
    return [
        f"{page.url} {found['id']}: {node['target']} {node['failureSummary']}"
        for found in result["violations"]
        for node in found["nodes"]
    ]


@pytest.fixture(scope="module")
async def world(stage: Stage) -> dict[str, list[str]]:
    """Something of everything that the pages show; the addresses by who looks at them."""
    held = scenes.held("AXE-H")
    assert held.credit is not None
    overdue = held.credit.model_copy(update={"ageing": Ageing(overdue=Decimal("1200"), oldest_days=34)})
    await stage.deal(held.model_copy(update={"credit": overdue}), scenes.timeline())
    closed = {"status": "dismissed", "closed_at": late.AT, "closed_by": scenes.MONA, "reason": "written off"}
    await late.put(
        stage.client,
        late.entry(1, "AXE-L1"),
        late.entry(2, "AXE-L2", **closed),
        late.entry(3, "AXE-E"),
        late.typed(4),
        late.typed(5, reference="SO-" + "9" * 57),
    )
    over = await stage.deal(scenes.shipping("AXE-E").model_copy(update={"ending": Ending.CLOSED}))
    await over.signal("end", "the deal is over")
    await stage.deal(scenes.deal("AXE-" + "Q" * 96).model_copy(update={"customer_account": held.customer_account}))
    await stage.deal(scenes.parked("AXE-P1"))
    await stage.deal(scenes.parked("AXE-P2"))
    await stage.deal(scenes.shipping("AXE-S"), scenes.timeline())
    rival = RivalQuote(quote_number="Q-2001", revision=1, name="Rails", state="draft", net=Decimal(7), currency="USD")
    for quote in ("AXE-1", "AXE-2"):
        REVIEWED[quote] = (scenes.finding(1, "P250", "100", "195.00", "250.00", "190.00", product_name="Rail"),)
        BESIDE[quote] = Beside(justification="They buy the second hall as well.", rivals=(rival,), attachments=(FILE,))
        await stage.approval(scenes.request(quote))
    await stage.client.start_workflow(
        names.COLLECTIONS,
        accounts.start("AXE-C"),
        id=names.collections_id("usmf", "AXE-C"),
        task_queue=names.DEAL_QUEUE,
    )
    await parallel.put(stage.client, "usmf", unclean=True)
    await stopped(stage, "AXE-CU", TWIN, TAKEN, note="Finance does not take the customer: no group 10")
    await overpaid(stage, "AXE-O")
    previewed("AXE-X")
    await long_order(stage, "AXE-X", "SO-AXE", 120)
    many = [await bulk.put(stage.client, phase) for phase in (BulkPhase.READY, BulkPhase.PAUSED, BulkPhase.DONE)]
    picks = "pick=usmf/1/1/AXE-1&pick=usmf/1/1/AXE-2&pick=usmf/1/2/AXE-2"
    return {
        "mona": [
            "/",
            "/approvals/usmf/AXE-1/1",
            f"/bulk/approve?{picks}",
            "/decided",
            "/cases",
            "/cases?q=nothing+at+all",
            "/cases/usmf/AXE-S",
            "/delegations",
            "/late",
            "/cases/usmf/AXE-E",
            "/late?status=any&q=nothing+at+all",
            "/cases/usmf/NONE",
        ],
        "carl": ["/", "/cases/usmf/AXE-H"],
        "amy": ["/", "/cases/usmf/AXE-CU", "/cases/usmf/AXE-O"],
        "rita": ["/", "/explain/usmf/AXE-X", "/order-lines/usmf/AXE-X", "/views/deals?query=status%3Drunning"],
        "ines": ["/collections?account=AXE", "/collections/usmf/AXE-C", "/collections/usmf/AXE-C/letters/2", *DATA],
        "otto": [*PARALLEL, "/", "/cases/usmf/AXE-P1", "/late?matter=unclaimed", "/bulk", *NEW, *many, *MAPS],
    }


# What fades stands as it will when that is over.
ALL_FADES_OVER = "document.getAnimations().forEach(fade => fade.finish())"
COLOURS = "{runOnly: ['color-contrast', 'link-in-text-block']}"
LOOKED_AT: Final[dict[int, dict[Literal["light", "dark"], str]]] = {
    1280: {"light": "{}", "dark": COLOURS},  # what is no colour is the same in both
    390: {"dark": "{}"},
    NARROWEST: {},
}
"""The rules of axe that each page is held to, by width and scheme."""


@pytest.mark.parametrize("width", LOOKED_AT)
async def test_axe_finds_nothing_in_light_and_dark_and_everything_fits(
    world: dict[str, list[str]], open_as: Open, width: int
) -> None:
    pictures = os.environ.get("Q2C_SCREENSHOTS")
    found: list[str] = []
    backs = 0
    for name, addresses in world.items():
        page = await open_as(name, width=width)
        for place, address in enumerate(addresses):
            await page.goto(address)
            backs += await page.locator('form[action$="/rollback"]').count()
            for summary in await page.locator("main summary").all():
                await summary.click()
            for scheme, rules in LOOKED_AT[width].items():
                await page.emulate_media(color_scheme=scheme)
                await page.evaluate(ALL_FADES_OVER)
                found += await violations(page, rules)
            wide = await page.evaluate("document.documentElement.scrollWidth")
            found += [f"{address} is {wide} wide on a screen of {width}"] if wide > width else []
            if pictures:
                await page.screenshot(path=f"{pictures}/{name}-{place}-{width}.png", full_page=True)
    assert "\n".join(found) == ""
    assert backs == 1, "the form that rolls a map back is among them"


async def test_every_page_opens_in_every_language(world: dict[str, list[str]], open_as: Open) -> None:
    found: list[str] = []
    for name, addresses in world.items():
        page = await open_as(name)
        for address in addresses:
            asked = await page.context.request.get(address)
            for code in LANGUAGES:
                said = "en" if "/letters/" in address else code  # a letter is in the language of who gets it
                answer = await page.context.request.get(address, headers={"Accept-Language": code})
                if answer.status != asked.status or f'<html lang="{said}"' not in await answer.text():
                    found.append(f"{address} in {code} as {name}: {answer.status}")
    assert "\n".join(found) == ""


async def test_the_keyboard_alone_decides(stage: Stage, open_as: Open) -> None:
    REVIEWED["KEYS-1"] = ()
    await stage.approval(scenes.request("KEYS-1"))
    page = await open_as("mona")
    await page.keyboard.press("?")
    await expect(page.locator("#keys dl")).to_be_visible()
    await page.locator('a.cover[href="/approvals/usmf/KEYS-1/1"]').wait_for()
    places = await page.locator("[data-key] a.cover").evaluate_all("links => links.map(a => a.getAttribute('href'))")
    for _ in range(places.index("/approvals/usmf/KEYS-1/1") + 1):
        await page.keyboard.press("j")
    await page.keyboard.press("r")
    await page.wait_for_url("**/approvals/usmf/KEYS-1/1#reject")
    await expect(page.locator("#reject")).to_be_focused()
    await page.keyboard.type("too low, j k a r ?")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Reject")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator(".waiting.bad h2")).to_have_text("Rejected")


async def test_times_are_in_the_readers_zone_and_name_it(world: dict[str, list[str]], open_as: Open) -> None:
    page = await open_as("mona")
    await page.goto("/approvals/usmf/AXE-1/1")
    await expect(page.locator(".lead time")).to_have_text("23 Nov 2026, 09:00 EST")
    assert await page.locator(".lead time").get_attribute("title") == "23 Nov 2026, 14:00 UTC"


async def test_what_was_typed_survives_a_change_and_is_shown_when_its_form_is_over(stage: Stage, open_as: Open) -> None:
    REVIEWED["LIVE-1"] = ()
    handle = await stage.approval(scenes.request("LIVE-1"))
    page, other = await open_as("mona"), await open_as("mona")
    for opened in (page, other):
        await opened.goto("/approvals/usmf/LIVE-1/1")
    await page.locator("#reject").fill("half a sentence")
    await page.wait_for_timeout(5_000)
    await expect(page.locator("#reject")).to_have_value("half a sentence")
    await other.get_by_role("button", name="Approve").click()
    await expect(other.locator(".notice.good")).to_be_visible()
    await expect(page.locator("#reject")).to_have_count(0)
    await expect(page.locator("#kept pre")).to_have_text("half a sentence")
    await expect(page.locator("#said")).to_contain_text("The page was updated: Waiting for Dirk Dorn")
    await expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    assert (await handle.query("state"))["steps"][0]["comment"] == ""


async def test_a_form_appears_when_it_is_due(stage: Stage, open_as: Open) -> None:
    REVIEWED["LIVE-2"] = ()
    await stage.approval(scenes.request("LIVE-2"))
    dirk, mona = await open_as("dirk"), await open_as("mona")
    await dirk.goto("/approvals/usmf/LIVE-2/1")
    await expect(dirk.get_by_role("button", name="Approve")).to_have_count(0)
    await mona.goto("/approvals/usmf/LIVE-2/1")
    await mona.get_by_role("button", name="Approve").click()
    await expect(dirk.get_by_role("button", name="Approve")).to_have_count(1)


async def test_a_lost_session_and_a_lost_connection_are_said(stage: Stage, open_as: Open) -> None:
    REVIEWED["LIVE-3"] = ()
    await stage.approval(scenes.request("LIVE-3"))
    page = await open_as("mona")
    await page.goto("/approvals/usmf/LIVE-3/1")
    await page.locator("#reject").fill("kept")
    await page.context.set_offline(True)
    await expect(page.get_by_text("Connection lost")).to_be_visible()
    await page.context.set_offline(False)
    await expect(page.get_by_text("Connection lost")).to_be_hidden()
    await page.context.clear_cookies()
    await expect(page.get_by_text("You are signed out")).to_be_visible()
    await expect(page.locator("#reject")).to_have_value("kept")


async def test_a_parked_step_fits_on_the_narrowest_phone_whatever_the_answer_was(stage: Stage, open_as: Open) -> None:
    pictures = os.environ.get("Q2C_SCREENSHOTS")
    answers = {
        "word": "x" * 2_000,
        "table": "<td>" + "SalesOrderHeaderV4Entity" * 80,
        "said": "Site 9 is not there. " * 90,
    }
    for name, raw in answers.items():
        view = scenes.parked(f"WIDE-{name}")
        assert view.parked is not None
        parked = view.parked.model_copy(update={"message": raw, "suggestion": Cause.REFUSED.suggestion})
        await stage.deal(view.model_copy(update={"parked": parked}))
    page = await open_as("otto")
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": WIDTHS[width]})
        for name, raw in answers.items():
            await page.goto(f"/cases/usmf/WIDE-{name}")
            await expect(page.get_by_text(raw, exact=True)).to_be_hidden()
            if pictures:
                await page.screenshot(path=f"{pictures}/parked-{name}-{width}.png")
            await page.locator(".waiting summary").click()
            await expect(page.locator(".waiting pre").first).to_be_visible()
            wide = await page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{name} is {wide} wide on a screen of {width}"
            assert (await page.locator(".waiting h2").inner_text()).count(" ") > 4


async def test_a_view_is_kept_and_opened_and_fits(world: dict[str, list[str]], open_as: Open) -> None:
    pictures = os.environ.get("Q2C_SCREENSHOTS")
    page = await open_as("rita", width=NARROWEST)
    await page.goto("/cases?status=running&sort=-amount&q=AXE")
    await page.get_by_text("Save this view").click()
    await page.get_by_label("Name", exact=True).fill("A-rather-long-name-of-a-view-that-no-phone-has-room-for-60xx")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.locator(".views [aria-current]")).to_contain_text("A-rather-long-name")
    found: list[str] = []
    for address in ("/cases?view=all", "/cases?stage=quote", "/views/deals?query=stage%3Dquote"):
        await page.goto(address)
        found += await violations(page)
        wide = await page.evaluate("document.documentElement.scrollWidth")
        found += [f"{address} is {wide} wide on a screen of {NARROWEST}"] if wide > NARROWEST else []
        if pictures:
            await page.screenshot(
                path=f"{pictures}/views-{address[1:6].replace('/', '-')}-{NARROWEST}.png", full_page=True
            )
    assert "\n".join(found) == ""
    await page.get_by_role("button", name="Open first").click()
    await page.get_by_role("link", name="Deals", exact=True).first.click()
    await page.wait_for_url("**/cases?status=running&sort=-amount&q=AXE")
    await page.set_viewport_size({"width": 1280, "height": 860})
    if pictures:
        await page.screenshot(path=f"{pictures}/views-list-1280.png", full_page=True)
