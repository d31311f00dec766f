"""Money of a customer that settles nothing: who may decide finds it in the inbox, and decides on the deal's page."""

from __future__ import annotations

from decimal import Decimal

from domain.views import DocumentView, WaitingFor
from tests.webworld import scenes
from tests.webworld.browsing import Browser, form_of
from tests.webworld.world import Stage, until


async def overpaid(stage: Stage, quote: str) -> object:
    """A deal whose customer paid 55.00 too much."""
    payment = DocumentView(
        kind="payment", system="Finance", number="PAY-1", amount=Decimal(1100), open_amount=Decimal(55)
    )
    explained = scenes.explanation(WaitingFor.UNAPPLIED, "55.00 USD settle nothing", "Decide", "ar_manager")
    return await stage.deal(
        scenes.shipping(quote).model_copy(
            update={
                "unapplied": Decimal(55),
                "exceptions": ("UNAPPLIED_CREDIT: 55.00 USD settle nothing",),
                "documents": (payment,),
                "explanation": explained,
            }
        )
    )


async def test_who_may_decide_finds_it_in_the_inbox_though_nothing_else_waits(browser: Browser, stage: Stage) -> None:
    await overpaid(stage, "OVER-1")
    ines, mona = await browser("ines"), await browser("mona")

    async def listed() -> bool:
        page = (await ines.get("/")).text
        return "Unapplied credit" in page and "OVER-1" in page

    await until(listed)
    assert "Nothing is waiting for you" not in (await ines.get("/")).text
    assert "OVER-1" not in (await mona.get("/")).text


async def test_a_refund_is_proposed_of_what_is_unapplied(browser: Browser, stage: Stage) -> None:
    handle = await overpaid(stage, "OVER-2")
    ines = await browser("ines")
    page = (await ines.get("/cases/usmf/OVER-2")).text
    assert "AR manager" in page and "/commands/refund_approve" not in page
    action = "/cases/usmf/OVER-2/commands/refund_propose"
    done = await ines.post(action, data=form_of(page, action) | {"of": "PAY-1", "amount": "55.00", "reason": "asked"})
    assert done.status_code == 303
    (said,) = await handle.query("received")  # type: ignore[attr-defined]
    assert said.startswith("refund_propose ") and '"amount": "55.00"' in said
    assert "/commands/refund_propose" not in (await (await browser("mona")).get("/cases/usmf/OVER-2")).text
