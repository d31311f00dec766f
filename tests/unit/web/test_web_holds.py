"""A hold of Finance's own, after credit was given here: the page offers the credit manager the same commands."""

from __future__ import annotations

from domain.credit_facts import CreditStatus
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
