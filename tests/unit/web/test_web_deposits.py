"""An order that waits for its deposit: on the page of its deal, and in the inbox of those who look after the money."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from domain.views import DepositView, WaitingFor
from tests.webworld import scenes
from tests.webworld.browsing import Browser
from tests.webworld.world import Stage, until

D = Decimal
HELD = DepositView(
    amount=D("313.50"),
    share="30 %",
    rule="net45",
    policy_version="2026-11-01#1",
    received=D("100.00"),
    missing=D("213.50"),
    left=D("100.00"),
    due_at=datetime(2026, 12, 7, 12, tzinfo=UTC),
    holds=True,
)


async def waiting(stage: Stage, quote: str, deposit: DepositView) -> None:
    explained = scenes.explanation(WaitingFor.DEPOSIT, "Waits for its deposit", "The customer pays", "ar_manager")
    await stage.deal(scenes.shipping(quote).model_copy(update={"deposit": deposit, "explanation": explained}))


async def test_who_looks_after_money_finds_the_order_in_the_inbox(browser: Browser, stage: Stage) -> None:
    await waiting(stage, "DEP-1", HELD)
    ines, mona = await browser("ines"), await browser("mona")

    async def listed() -> bool:
        page = (await ines.get("/")).text
        return "Waiting for a deposit" in page and "DEP-1" in page

    await until(listed)
    assert "DEP-1" not in (await mona.get("/")).text


async def test_the_page_says_what_is_missing_and_what_settled_each_invoice(browser: Browser, stage: Stage) -> None:
    await waiting(stage, "DEP-2", HELD)
    ines = await browser("ines")
    page = (await ines.get("/cases/usmf/DEP-2")).text
    for words in ("313.50", "30 % of the order", "213.50", "as its payment reference"):
        assert words in page
    settled = {"settled": {"CIV-000001": D("60.00")}, "left": D("40.00"), "missing": D(0), "holds": False}
    await waiting(stage, "DEP-3", HELD.model_copy(update=settled))
    page = (await ines.get("/cases/usmf/DEP-3")).text
    assert "Invoice CIV-000001" in page and "60.00" in page and "payment reference" not in page
