"""A hold of Finance's own, after credit was given here: the page offers the credit manager the same commands."""

from __future__ import annotations

from decimal import Decimal

from domain.credit_facts import CreditReason, CreditStatus
from domain.views import Stage as DealStage
from domain.views import WaitingFor
from tests.webworld import scenes
from tests.webworld.browsing import Browser
from tests.webworld.world import Stage


async def test_a_hold_of_finances_own_is_released_or_refused_on_the_deals_page(browser: Browser, stage: Stage) -> None:
    explained = scenes.explanation(WaitingFor.CREDIT, "Finance's credit management holds the order", "Release it")
    deal = scenes.held("HOLD-LATE").model_copy(
        update={
            "stage": DealStage.FULFILMENT,
            "credit_status": CreditStatus.PASSED,
            "order_status": "confirmed",
            "explanation": explained,
        }
    )
    await stage.deal(deal)
    page = (await (await browser("carl")).get("/cases/usmf/HOLD-LATE")).text
    for command in ("credit_release", "credit_reject", "credit_recheck"):
        assert f'action="/cases/usmf/HOLD-LATE/commands/{command}"' in page, command


async def test_beside_a_hold_stand_the_customers_other_deals_for_who_decides_about_it(
    browser: Browser, stage: Stage
) -> None:
    of = {"customer_account": "US-HOLD"}
    await stage.deal(scenes.held("HOLD-1").model_copy(update=of))
    for quote, total in (("HOLD-2", "100.00"), ("HOLD-3", "9000.00")):
        await stage.deal(scenes.shipping(quote).model_copy(update={**of, "total": Decimal(total)}))
    page = (await (await browser("carl")).get("/cases/usmf/HOLD-1")).text
    others = page[page.index("Other running deals of the customer") :]
    assert 0 < others.index(">HOLD-3<") < others.index(">HOLD-2<") and "9,000.00 USD" in others
    assert ">HOLD-1<" not in others
    assert "Other running deals" not in (await (await browser("rita")).get("/cases/usmf/HOLD-1")).text
    assert "Other running deals" not in (await (await browser("carl")).get("/cases/usmf/HOLD-2")).text


async def test_no_limit_is_never_shown_as_a_limit_of_nothing(browser: Browser, stage: Stage) -> None:
    view = scenes.held("HOLD-FREE")
    assert view.credit is not None
    reasons = (CreditReason(code="UNLIMITED", text="unlimited"),)
    free = view.credit.model_copy(
        update={"passed": True, "limit": Decimal(0), "over_by": Decimal(0), "reasons": reasons}
    )
    await stage.deal(view.model_copy(update={"credit": free, "credit_status": CreditStatus.PASSED}))
    page = (await (await browser("carl")).get("/cases/usmf/HOLD-FREE")).text
    assert "<dt>Limit</dt><dd>none</dd>" in page and "<progress" not in page
