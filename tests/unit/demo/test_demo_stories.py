"""What the demo's stories must come to: each fact that is missing is said, and what came true is one sentence."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from demo.endings import Told, came_to, wrong_story
from demo.samples import CUSTOMERS, STORIES, Story, sample_deals
from demo.stories import StoryFacts
from domain.after_end import EndedDeal, LateEntry, Matter
from domain.approvals import ApprovalStatus, BusinessHours
from domain.collections import Account, CollectionsView, Entry, Letter, WatchedInvoice
from domain.dunning import DunningLevel, DunningPlan, DunningRules, LetterKind
from domain.payments import Refund, RefundStatus
from domain.people import Person
from domain.price_look import DriftDecision, DriftView, PriceLook, Verdict
from domain.views import ApprovalSummary, LineView
from tests.unit.demo.closed_deal import T0, deal

D = Decimal
CLEO, AMY, DIRK = (Person(oid=name, name=name.capitalize()) for name in ("cleo", "amy", "dirk"))
PLAN = DunningPlan(
    version="1",
    hash="c0ffee",
    rules=DunningRules(levels=(DunningLevel(id="reminder", days=5, letter=LetterKind.REMINDER),)),
    calendar=BusinessHours(timezone="UTC", workdays=(0,), opens="09:00", closes="17:00"),
)


def test_every_story_is_told_once_for_a_customer_of_its_own() -> None:
    deals = [deal for _, deal in sample_deals(60)]
    told = [deal for deal in deals if deal.story]
    assert [deal.story for deal in told] == list(Story)
    assert [deal.request["customer"] for deal in told] == list(CUSTOMERS)
    assert all(deal.sentence.endswith(".") for deal in STORIES)
    assert not {deal.request["customer"] for deal in deals if not deal.story} & CUSTOMERS.keys()


def line(**changes: str) -> LineView:
    usual = dict.fromkeys(("returned", "invoiced", "credited"), D(0))
    return LineView(line_no=1, **(usual | {name: D(value) for name, value in changes.items()}))


def slips(*quantities: str) -> list[dict[str, str]]:
    return [{"slip": f"PS-{n}", "quantity": quantity} for n, quantity in enumerate(quantities)]


LESS = Told(
    deal(lines=(line(ordered="10", shipped="8", cancelled="2"),)),
    {},
    {"lines": [{"cancelled": "2"}], "slips": slips("6", "2")},
    StoryFacts(),
)
REFUND = Refund(
    n=1, of="CCN-1", amount=D("209.00"), reason="", proposed_by=CLEO, approved_by=AMY, status=RefundStatus.PAID
)
BACK = Told(deal(refunds=(REFUND,), credited=D("209.00"), refunded=D("209.00")), {}, {}, StoryFacts())


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (LESS, ""),
        (Told(deal(lines=(line(ordered="10", shipped="10", cancelled="0"),)), {}, LESS.order, StoryFacts()), "Finance"),
        (Told(LESS.deal, {}, dict(LESS.order) | {"slips": slips("8")}, StoryFacts()), "in 1 parts"),
        (Told(LESS.deal, {}, dict(LESS.order) | {"lines": [{"cancelled": "0"}]}, StoryFacts()), "2 cancelled"),
    ],
)
def test_less_is_shipped_in_parts_and_the_rest_is_cancelled_in_finance(told: Told, said: str) -> None:
    found = wrong_story(Story.REDUCED, told)
    assert any(said in text for text in found) if said else found == []
    sentence = "10 ordered, 8 shipped, 2 cancelled in Finance"
    assert came_to(Story.REDUCED, told) == ("" if said else sentence)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"refunds": ()}, "refunds are []"),
        ({"refunds": (REFUND.model_copy(update={"approved_by": CLEO}),)}, "two persons"),
        ({"refunded": D(0), "unapplied": D("209.00")}, "209.00 left"),
    ],
)
def test_a_credit_is_paid_back_by_two_and_nothing_is_left(changes: dict[str, Any], said: str) -> None:
    told = Told(BACK.deal.model_copy(update=changes), {}, {}, StoryFacts())
    found = wrong_story(Story.REFUNDED, told)
    assert any(said in text for text in found) if said else found == []
    sentence = "209.00 USD paid back, proposed by Cleo, approved by Amy"
    assert came_to(Story.REFUNDED, told) == ("" if said else sentence)


def repriced(*, steps: int = 2, action: str = "approved") -> Told:
    look = PriceLook(verdict=Verdict.ASK, price_hash="h", margin_then=D("34.782"), margin_now=D("21.739"))
    asked = ApprovalSummary(
        n=1, revision=0, status=ApprovalStatus.COMPLETED, highest_level=2, steps=steps, requested_at=T0
    )
    drift = DriftView(look=look, words="", decision=DriftDecision(action=action, by=DIRK))
    return Told(deal(price_drift=drift, approvals=(asked,)), {}, {}, StoryFacts())


def test_a_new_margin_is_approved_by_more_than_one() -> None:
    assert came_to(Story.REPRICED, repriced()) == "margin 34.78 % → 21.74 %, approved by Dirk before the order"
    assert wrong_story(Story.REPRICED, repriced(steps=1)) == ["only one person was asked about the new margin"]
    assert wrong_story(Story.REPRICED, repriced(action="retry")) == ["nobody approved the new margin: ask"]
    assert "did not move" in wrong_story(Story.REPRICED, Told(deal(), {}, {}, StoryFacts()))[0]


def bounced(*, in_sales: str = "418.00", code: str = "PAYMENT_REVERSED_AFTER_END") -> Told:
    late = LateEntry(
        n=1,
        deal=EndedDeal.of(deal()),
        matter=Matter.MONEY,
        codes=(code,),
        text="",
        role="ar_manager",
        open_amount=D("418.00"),
        opened_at=T0,
        looked_at=T0,
    )
    sales = {"orders": [{"invoices": [{"open": in_sales}]}]}
    return Told(deal(), sales, {"invoices": [{"open": "418.00"}]}, StoryFacts(late=late))


def test_what_bounced_is_open_in_all_three_places() -> None:
    sentence = "418.00 USD open again after the end, in Finance and in Sales"
    assert came_to(Story.BOUNCED, bounced()) == sentence
    assert "0.00 in Sales" in wrong_story(Story.BOUNCED, bounced(in_sales="0.00"))[0]
    assert "stands open" in wrong_story(Story.BOUNCED, bounced(code="INVOICE_AFTER_END"))[0]
    assert "stands open" in wrong_story(Story.BOUNCED, Told(deal(), {}, {}, StoryFacts()))[0]


def dunned(
    *, fees: tuple[str, ...] = ("0", "25.00"), said: tuple[str, ...] = ("dispute_open", "dispute_resolve")
) -> Told:
    invoice = WatchedInvoice(
        number="INV-1",
        quote_number="Q-1",
        due_on=date(2026, 12, 23),
        currency="USD",
        total=D("1045.00"),
        open_amount=D(0),
        as_of=T0,
        settled_at=T0,
    )
    letters = tuple(
        Letter(
            n=n,
            on=date(2027, 1, n),
            company="usmf",
            account="US-2005",
            customer_name="",
            kind=LetterKind.NOTICE,
            level=("reminder", "notice")[n - 1],
            currency="USD",
            lines=(),
            demanded=D("1045.00"),
            fee=D(fee),
            policy="1",
        )
        for n, fee in enumerate(fees, 1)
    )
    history = tuple(Entry(n=n, at=T0, by=AMY, event=event, text="", invoice="INV-1") for n, event in enumerate(said, 1))
    state = Account(company="usmf", account="US-2005", invoices=(invoice,), letters=letters, history=history)
    view = CollectionsView(state=state, plan=PLAN, today=date(2027, 1, 3))
    return Told(deal(), {}, {}, StoryFacts(account=view))


def test_what_was_dunned_had_two_letters_a_dispute_and_its_money() -> None:
    sentence = "reminder, contested and found to stand, notice with a fee of 25.00 USD, paid"
    assert came_to(Story.DUNNED, dunned()) == sentence
    assert wrong_story(Story.DUNNED, dunned(fees=("0",))) == ["letters: reminder"]
    assert wrong_story(Story.DUNNED, dunned(said=("dispute_open",))) == ["its invoice was not contested and settled"]
    assert wrong_story(Story.DUNNED, Told(deal(), {}, {}, StoryFacts())) == ["nothing was collected from its customer"]
