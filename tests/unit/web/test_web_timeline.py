"""The timeline by stage: how long a deal was in each; and a release that would not help is refused with a number."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from domain.views import DealView, DocumentView, Stage, TimelineEntry, WaitingFor
from tests.webworld import scenes
from tests.webworld.browsing import Browser, form_of
from tests.webworld.world import Stage as Theatre
from tests.webworld.world import Tenant
from web.timeline import spans

T0 = scenes.T0


def entry(minutes: int, stage: Stage) -> TimelineEntry:
    return scenes.timeline()[0].model_copy(update={"at": T0 + timedelta(minutes=minutes), "stage": stage})


def test_each_stay_in_a_stage_has_its_length() -> None:
    entries = [entry(0, Stage.QUOTE), entry(9, Stage.QUOTE), entry(30, Stage.CREDIT), entry(50, Stage.QUOTE)]
    found = spans(entries, ended_at=None, now=T0 + timedelta(minutes=60))
    assert [(span.stage, span.lasted, span.over) for span in found] == [
        (Stage.QUOTE, timedelta(minutes=10), False),
        (Stage.CREDIT, timedelta(minutes=20), True),
        (Stage.QUOTE, timedelta(minutes=30), True),
    ]
    assert [e.at for e in found[-1].entries] == [T0 + timedelta(minutes=9), T0], "the newest first"


def test_the_last_stay_of_an_ended_deal_is_over() -> None:
    (span,) = spans([entry(0, Stage.QUOTE)], ended_at=T0 + timedelta(hours=1), now=T0 + timedelta(days=1))
    assert (span.lasted, span.over) == (timedelta(hours=1), True)
    assert spans([], ended_at=None, now=T0) == []


async def test_a_deal_shows_how_long_each_stage_took(browser: Browser, stage: Theatre) -> None:
    entries = (*scenes.timeline(), entry(120, Stage.CREDIT))
    await stage.deal(scenes.deal("SPAN-1"), entries)
    page = (await (await browser("rita")).get("/cases/usmf/SPAN-1")).text
    assert 'Quote <span class="quiet-text">2 hours</span>' in page and "so far" in page


async def test_a_deal_that_waits_for_payment_says_when_it_is_due(browser: Browser, stage: Theatre) -> None:
    due = T0 + timedelta(days=30)
    invoice = DocumentView(kind="invoice", system="Finance", number="INV-1", amount=Decimal(5), due_on=due)
    waiting = scenes.explanation(WaitingFor.PAYMENT, "5.00 USD open", "The customer pays.", "customer", days=30)
    await stage.deal(scenes.deal("DUE-1", stage=Stage.PAYMENT, documents=(invoice,), explanation=waiting))
    page = (await (await browser("rita")).get("/cases/usmf/DUE-1")).text
    assert '<dt>Due</dt><dd><time datetime="2026-12-23">23 Dec 2026</time>' in page
    assert "<th>Due</th>" in page


def held(quote: str) -> DealView:
    return scenes.held(quote)


@pytest.mark.parametrize(
    ("ceiling", "tolerance", "helps"),
    [("4000", "", False), ("4390.24", "", False), ("4390.25", "", True), ("4400", "0", False), ("4500", "0", True)],
)
async def test_a_release_that_would_leave_the_deal_on_hold_is_refused_with_the_number_that_helps(
    browser: Browser, stage: Theatre, ceiling: str, tolerance: str, helps: bool
) -> None:
    quote = f"HELP-{ceiling}-{tolerance or 'x'}"
    handle = await stage.deal(held(quote))
    carl = await browser("carl")
    action = f"/cases/usmf/{quote}/commands/credit_release"
    form = form_of((await carl.get(f"/cases/usmf/{quote}")).text, action)
    fields = {"reason": "paid by wire", "ceiling": ceiling, "deviation_pct": tolerance}
    answer = await carl.post(action, data=form | fields)
    assert answer.status_code == (303 if helps else 400)
    assert bool(await handle.query("received")) is helps
    if not helps:
        assert "Enter 4,500.00 USD or more" in answer.text
        assert f'value="{ceiling}"' in answer.text and "paid by wire</textarea>" in answer.text, (
            "what was typed is kept"
        )


async def test_a_release_that_is_over_already_is_refused(browser: Browser, stage: Theatre) -> None:
    handle = await stage.deal(held("HELP-OVER"))
    carl = await browser("carl")
    action = "/cases/usmf/HELP-OVER/commands/credit_release"
    form = form_of((await carl.get("/cases/usmf/HELP-OVER")).text, action)
    answer = await carl.post(action, data=form | {"reason": "paid", "valid_until": "2026-01-31"})
    assert answer.status_code == 400 and "valid_until: 2026-01-31 is over" in answer.text
    assert await handle.query("received") == []


async def test_a_program_is_told_the_same(browser: Browser, stage: Theatre, tenant: Tenant) -> None:
    await stage.deal(held("HELP-API"))
    carl = await browser("carl")
    body = {"args": {"reason": "paid", "ceiling": "10"}}
    address = "/api/v1/cases/usmf/HELP-API/commands/credit_release"
    answer = await carl.post(address, json=body, headers=tenant.bearer("carl"))
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (400, "BAD_ARGUMENT", "ceiling")
