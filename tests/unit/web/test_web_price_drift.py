"""Prices that moved between approval and order, on the page of the deal and in the API: cost and margin by right."""

from __future__ import annotations

from decimal import Decimal

from domain.people import Person
from domain.price_look import DriftDecision, DriftView, PriceDrift, PriceLook, Verdict
from tests.webworld import scenes
from tests.webworld.browsing import Browser
from tests.webworld.world import Stage

D = Decimal
LOOK = PriceLook(
    verdict=Verdict.ASK,
    price_hash="p",
    lines=(
        PriceDrift(line_no=1, item="P100", pinned=D(100), current=D(104), pinned_cost=D(60), current_cost=D("72.12")),
        PriceDrift(line_no=2, item="P250", pinned=D(250), current=D(250), pinned_cost=D(150), current_cost=D("166.66")),
    ),
    moved_lines=2,
    rose=1,
    cost_moved=2,
    margin_then=D("34.7826"),
    margin_now=D("21.7391"),
)
WORDS = "Since the approval the list price of 1 line rose"
DIRK = Person(oid="dirk", name="Dirk Dorn")
SECRETS = ("72.12", "166.66", "34.78", "21.74", "Cost now")


async def test_who_may_see_margins_sees_what_moved_and_who_decided_and_others_see_no_cost(
    browser: Browser, stage: Stage
) -> None:
    decision = DriftDecision(action="approved", by=DIRK, reason="still worth it")
    drift = DriftView(look=LOOK, words=WORDS, decision=decision)
    await stage.deal(scenes.held("DRIFT-1").model_copy(update={"price_drift": drift}))

    full = (await (await browser("mona")).get("/cases/usmf/DRIFT-1")).text
    assert all(text in full for text in ("Prices since the approval", WORDS, "104.00 USD", "still worth it", *SECRETS))
    assert "Dirk Dorn: approved" in full
    rep = (await (await browser("rita")).get("/cases/usmf/DRIFT-1")).text
    assert WORDS in rep and "104.00 USD" in rep
    assert not any(secret in rep for secret in SECRETS) and "P250" not in rep  # of which only the cost moved
