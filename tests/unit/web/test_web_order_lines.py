"""All lines of an order, a page at a time: on a page and through the API."""

from __future__ import annotations

from decimal import Decimal

import httpx
import pytest

from domain.fulfilment import MOST_LINES_SHOWN
from domain.views import LineView
from tests.webworld import scenes
from tests.webworld.browsing import Browser
from tests.webworld.standins import ORDERED
from tests.webworld.world import Stage, Tenant
from web.addresses import Deal

NONE = Decimal(0)


def lines(count: int) -> tuple[LineView, ...]:
    """Lines of five pieces, each other one shipped."""
    return tuple(
        LineView(
            line_no=n,
            item=f"P{n:05}",
            ordered=Decimal(5),
            cancelled=NONE,
            shipped=Decimal(5 * (n % 2)),
            returned=NONE,
            invoiced=NONE,
            credited=NONE,
        )
        for n in range(1, count + 1)
    )


async def shown(stage: Stage, quote: str, order: str, count: int) -> None:
    """A deal whose order has many lines."""
    ORDERED[order] = lines(count)
    view = scenes.deal(quote, order_number=order, line_count=count, lines=ORDERED[order][:MOST_LINES_SHOWN])
    await stage.deal(view)


async def test_every_line_of_a_long_order_is_reached_by_links_from_the_deal(browser: Browser, stage: Stage) -> None:
    await shown(stage, "LINES/1", "SO-L1", 250)
    otto = await browser("otto")
    page = (await otto.get(Deal("usmf", "LINES/1").path())).text
    assert "100 of 250 lines" in page
    address = Deal("usmf", "LINES/1").lines_path()
    seen = []
    for first in (0, 100, 200):
        assert f'href="{address}"' in page
        page = (await otto.get(address)).text
        seen += [line.item for line in ORDERED["SO-L1"] if f">{line.item}<" in page]
        address = Deal("usmf", "LINES/1").lines_path(first + 100)
    assert seen == [line.item for line in ORDERED["SO-L1"]]
    assert "Next lines" not in page and "Lines 201–250 of 250" in page


@pytest.mark.parametrize("beyond", ["250", "999999", "-1", "x", "1e3", "9" * 40])
async def test_a_page_that_is_none_shows_no_error(browser: Browser, stage: Stage, beyond: str) -> None:
    quote = f"LINES-2 {beyond}"
    await shown(stage, quote, "SO-L2", 250)
    answer = await (await browser("otto")).get(f"{Deal('usmf', quote).lines_path()}?from={beyond}")
    assert answer.status_code == 200


async def test_the_api_gives_the_lines_of_an_order_page_by_page(
    http: httpx.AsyncClient, tenant: Tenant, stage: Stage
) -> None:
    await shown(stage, "LINES-3", "SO-L3", 130)
    read = [
        (await http.get(f"/api/v1/order-lines/usmf/LINES-3?offset={n}", headers=tenant.bearer("otto"))).json()
        for n in (0, 100)
    ]
    assert [(page["total_lines"], page["offset"], len(page["lines"])) for page in read] == [
        (130, 0, 100),
        (130, 100, 30),
    ]
    assert read[1]["lines"][0] == {**read[0]["lines"][1], "line_no": 101, "item": "P00101", "shipped": "5"}
    refused = await http.get("/api/v1/order-lines/usmf/LINES-3?offset=-1", headers=tenant.bearer("otto"))
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (400, "BAD_ARGUMENT", "offset")


async def test_who_may_not_read_the_deal_reads_no_line(http: httpx.AsyncClient, tenant: Tenant, stage: Stage) -> None:
    await shown(stage, "LINES-4", "SO-L4", 3)
    answer = await http.get("/api/v1/order-lines/usmf/LINES-4", headers=tenant.bearer("greta"))
    assert answer.status_code == 403 and "P00001" not in answer.text


async def test_a_deal_without_an_order_and_a_finance_that_refuses_say_so(
    http: httpx.AsyncClient, tenant: Tenant, stage: Stage
) -> None:
    await stage.deal(scenes.deal("LINES-5"))
    none = await http.get("/api/v1/order-lines/usmf/LINES-5", headers=tenant.bearer("otto"))
    assert (none.status_code, none.json()["detail"]) == (404, "Deal LINES-5 has no order in Finance yet.")
    await stage.deal(scenes.deal("LINES-6", order_number="SO-GONE"))
    gone = await http.get("/api/v1/order-lines/usmf/LINES-6", headers=tenant.bearer("otto"))
    assert gone.status_code == 502 and "Finance has no such order" in gone.json()["detail"]
