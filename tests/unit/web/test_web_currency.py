"""Amounts in lists carry their currency and its own decimals: a list may hold deals in many currencies."""

from __future__ import annotations

import re
from decimal import Decimal

import httpx
import pytest

from domain.views import DealView
from tests.webworld import scenes
from tests.webworld.browsing import Browser
from tests.webworld.world import Stage, Tenant

CURRENCIES = [
    ("JPY", "150000.00", "150,000 JPY", "150000"),
    ("KWD", "12.345", "12.345 KWD", "12.345"),
    ("USD", "21450", "21,450.00 USD", "21450.00"),
    ("", "12.345", "12.345", "12.345"),
]


def in_currency(deal: DealView, currency: str, total: str) -> DealView:
    return deal.model_copy(update={"currency": currency, "total": Decimal(total)})


def amounts(page: str) -> list[str]:
    return re.findall(r'<td data-label="Total incl. tax"[^>]*>([^<]*)</td>', page)


@pytest.mark.parametrize(("currency", "total", "shown", "sent"), CURRENCIES)
async def test_the_list_of_deals_shows_the_currency_of_each(
    browser: Browser, tenant: Tenant, stage: Stage, currency: str, total: str, shown: str, sent: str
) -> None:
    quote = f"MONEY-{currency or 'NONE'}"
    await stage.deal(in_currency(scenes.deal(quote), currency, total))
    otto = await browser("otto")
    page = (await otto.get(f"/cases?quote={quote}")).text
    assert re.search(r'<th class="num"><a [^>]*>Total incl. tax</a></th>', page)
    assert amounts(page) == [shown]
    answer: httpx.Response = await otto.get(f"/api/v1/cases?quote={quote}", headers=tenant.bearer("otto"))
    (item,) = answer.json()["items"]
    assert (item["amount"], item["currency"]) == (sent, currency)


async def test_the_inbox_shows_the_currency_of_what_waits(browser: Browser, stage: Stage) -> None:
    await stage.deal(in_currency(scenes.held("MONEY-HELD"), "KWD", "4500.125"))
    await stage.deal(in_currency(scenes.parked("MONEY-PARKED"), "JPY", "82500"))
    holds, parked = (await browser("carl")), (await browser("otto"))
    assert "4,500.125 KWD" in amounts((await holds.get("/")).text)
    assert "82,500 JPY" in amounts((await parked.get("/")).text)
