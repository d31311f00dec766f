"""Prices that move between approval and order: every branch of the price-drift rule (lifecycle 4.3), S37 in figures."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import drift, facts
from domain.approvals import ApprovalStatus
from domain.audit import facts_of
from domain.deal import apply
from domain.deal_state import DealState, QuoteStatus
from domain.facts import Event
from domain.price_look import PinnedPrices, PriceLook, Tier, Verdict, tiers
from domain.pricing import FinancePrice, PricedQuote, price_quote
from domain.quote import QuoteSnapshot
from domain.rules.drift import look_due
from domain.views import ParkedStep, Resolution
from tests.deals import CARL, SYSTEM, TO_ORDER, approval, assessment, decision, new_deal, put
from tests.unit.domain.makers import POLICY, PRICES, T0, line, plan, quote, working_time

D = Decimal
EXPIRES = T0 + timedelta(days=7)
AT_92 = quote(line(quantity=10, price="92.00"))
"""S37: listed at 100.00, quoted at 92.00, with a cost of 60.00."""


def p100(list_price: str = "100.00", cost: str = "60.00", **more: object) -> dict[str, FinancePrice]:
    changed = {"list_price": D(list_price), "cost": D(cost)} | more
    return {"P100": PRICES["P100"].model_copy(update=changed)}


def at(snapshot: QuoteSnapshot, prices: dict[str, FinancePrice]) -> PricedQuote:
    """The quote at these prices."""
    return price_quote(snapshot, PRICES | prices, payment_days=30, on=T0.date())


def pinned(snapshot: QuoteSnapshot, prices: dict[str, FinancePrice]) -> PinnedPrices:
    return drift.pin(at(snapshot, prices), {item: prices.get(item, PRICES[item]) for item in _items(snapshot)})


def _items(snapshot: QuoteSnapshot) -> set[str]:
    return {each.item or "" for each in snapshot.lines}


def look(
    snapshot: QuoteSnapshot,
    now: dict[str, FinancePrice],
    *,
    then: dict[str, FinancePrice] | None = None,
    accepted_at: datetime | None = T0,
    pins: PinnedPrices | None = None,
    remembered: dict[str, FinancePrice] | None = None,
) -> PriceLook:
    """A second look, within the quote's validity unless said otherwise."""
    then = p100() if then is None else then
    approved = drift.Approved(
        pinned=pins or pinned(snapshot, then), tiers=tiers(plan(at(snapshot, then))), expires_at=EXPIRES
    )
    asked = drift.Question(
        snapshot=snapshot, approved=approved, payment_days=30, customer_account="US-001", accepted_at=accepted_at
    )
    return drift.look(asked, now, POLICY, calendar=working_time("usmf"), remembered=remembered)


def levels(found: PriceLook) -> list[tuple[str, int]]:
    assert found.anew is not None
    return [(step.chain, step.level) for step in found.anew.plan.steps]


def test_the_same_prices_say_nothing() -> None:
    found = look(AT_92, p100())
    assert (found.verdict, found.lines, found.anew) == (Verdict.SAME, (), None)


def test_s37_a_rise_is_honoured_and_the_margin_at_todays_cost_reaches_the_director() -> None:
    """Sold at 92 when P100 cost 60 and listed at 100; now cost is 72 and list 104: D2 is asked, 21.74 % < 25 %."""
    found = look(AT_92, p100("104.00", "72.00"))

    assert found.verdict is Verdict.ASK and levels(found) == [("sales", 1), ("sales", 2)]
    assert found.margin_then is not None and found.margin_now is not None and found.anew is not None
    assert (round(found.margin_then, 2), round(found.margin_now, 2)) == (D("34.78"), D("21.74"))
    assert found.anew.terms.disc_pct == 8  # measured at the list price it was granted at, not at 104.00
    (moved,) = found.lines
    assert (moved.line_no, moved.item, moved.pinned, moved.current) == (1, "P100", D(100), D(104))
    assert (moved.pinned_cost, moved.current_cost, found.rose, found.cost_moved) == (D(60), D(72), 1, 1)
    told = [change.text for change in drift.changes(found, "USD")]
    assert told[0].startswith("Margin 34.78 % → 21.74 %")
    assert told[1:] == [
        "Line 1 P100: cost 60.00 → 72.00",
        "Line 1 P100: list price 100.00 → 104.00, the quoted one holds",
    ]


def test_s37_cost_alone_is_looked_at_as_well_and_what_stays_in_its_tier_asks_nobody() -> None:
    assert look(AT_92, p100(cost="72.00")).verdict is Verdict.ASK
    within = look(AT_92, p100(cost="68.00"))  # 26.09 %
    assert (within.verdict, within.rose, within.cost_moved) == (Verdict.HONOURED, 0, 1)
    assert "no further approval" in str(drift.in_words(within)) and "68" not in str(drift.in_words(within))


def test_a_level_that_approved_before_is_not_reached_anew() -> None:
    deep = quote(line(quantity=10, price="78.00"))  # 22 %, 23.08 %: sales 1 and 2 had to approve
    assert look(deep, p100("104.00", "65.00")).verdict is Verdict.HONOURED  # 16.67 %: still level 2
    found = look(deep, p100("104.00", "67.00"))  # 14.10 %: the CFO's
    assert found.verdict is Verdict.ASK and levels(found)[-1] == ("sales", 3)


def test_a_rise_alone_neither_counts_as_discount_nor_as_below_the_floor() -> None:
    floored = p100("130.00", "60.00", floor_price=D("99.00"))
    found = look(AT_92, floored)
    assert (found.verdict, found.rose) == (Verdict.HONOURED, 1)


def test_a_fall_keeps_the_quoted_price_and_is_told() -> None:
    found = look(AT_92, p100("90.00"))
    assert (found.verdict, found.fell) == (Verdict.FELL, 1)
    assert str(drift.in_words(found)) == "Since the approval the list price of 1 line fell: the quoted prices are kept"


def test_a_rise_that_met_an_acceptance_after_the_validity_has_to_be_quoted_anew() -> None:
    late = EXPIRES + timedelta(seconds=1)
    assert look(AT_92, p100("104.00"), accepted_at=late).verdict is Verdict.REQUOTE
    assert look(AT_92, p100("104.00"), accepted_at=EXPIRES).verdict is Verdict.HONOURED  # the last moment is in time
    assert look(AT_92, p100("90.00"), accepted_at=late).verdict is Verdict.FELL


@pytest.mark.parametrize("now", [p100(blocked=True), p100(released=False), {}])
def test_a_product_that_is_stopped_discontinued_or_gone_holds(now: dict[str, FinancePrice]) -> None:
    found = look(AT_92, now)
    assert (found.verdict, found.blocked, found.blocked_lines) == (Verdict.BLOCKED, "P100", 1)
    assert found.verdict.holds and str(drift.in_words(found)) == "Finance takes no order for P100"


def test_of_more_items_than_are_pinned_the_sums_and_the_digest_decide() -> None:
    many = quote(*(line(n, f"I{n}", price="92.00") for n in range(1, drift.MOST_PINNED + 2)))

    def prices(list_price: str, cost: str) -> dict[str, FinancePrice]:
        (price,) = p100(list_price, cost).values()
        return {item: price.model_copy(update={"item": item}) for item in _items(many)}

    then = prices("100.00", "60.00")
    pins = drift.pin(at(many, then), then)
    assert pins.items is None
    rose = look(many, prices("104.00", "60.00"), then=then, pins=pins, remembered=then)
    assert (rose.verdict, rose.moved_lines, len(rose.lines)) == (Verdict.HONOURED, 101, drift.LINES_TOLD)
    forgotten = look(many, prices("104.00", "60.00"), then=then, pins=pins)  # judged at today's list: 11.54 %
    assert (forgotten.verdict, forgotten.moved_lines, forgotten.lines) == (Verdict.ASK, 0, ())
    assert look(many, prices("99.00", "60.00"), then=then, pins=pins).verdict is Verdict.FELL
    assert look(many, prices("100.00", "72.00"), then=then, pins=pins).verdict is Verdict.ASK


@given(
    list_now=st.decimals(min_value=1, max_value=500, places=2),
    cost_now=st.decimals(min_value=0, max_value=200, places=2),
    price=st.decimals(min_value="60.00", max_value="110.00", places=2),
)
def test_whatever_moves_the_content_stays_and_only_a_tier_that_is_new_is_asked(
    list_now: Decimal, cost_now: Decimal, price: Decimal
) -> None:
    snapshot = quote(line(quantity=3, price=str(price)))
    now = p100(str(list_now), str(cost_now))
    found = look(snapshot, now)
    before = {tier.level for tier in tiers(plan(at(snapshot, p100())))}
    if found.verdict is Verdict.ASK:
        assert found.anew is not None
        assert {level for _, level in levels(found)} > before or not before
        assert found.anew.terms.net == snapshot.net and found.anew.pinned.price_hash == found.price_hash
        again = look(snapshot, now, pins=found.anew.pinned)
        assert again.verdict is Verdict.SAME  # once approved, the same prices ask nobody any more
    else:
        assert found.verdict in (Verdict.SAME, Verdict.HONOURED, Verdict.FELL)


# The deal


def accepted() -> DealState:
    """A deal whose quote was accepted and read again."""
    pins = pinned(AT_92, p100())
    found = assessment().model_copy(update={"pinned": pins, "price_hash": pins.price_hash})
    return put(new_deal(), facts.Assessed(assessment=found, asked="q"), *TO_ORDER[1:4])


def told(state: DealState, found: PriceLook) -> DealState:
    return put(state, facts.PricesMoved(look=found))


def test_a_look_that_asks_takes_the_approval_away_until_it_is_given_again() -> None:
    state = told(accepted(), look(AT_92, p100("104.00", "72.00")))

    assert (state.quote, state.won, state.may_order, state.accepted) == (QuoteStatus.APPROVAL_DUE, False, False, True)
    assert state.assessment is not None and state.assessment.snapshot_hash == "h0"  # what is sold is the same
    assert state.assessment.margin_pct is not None and round(state.assessment.margin_pct, 2) == D("21.74")
    assert state.assessment.plan is not None
    asked = put(state, facts.ApprovalAsked(n=1, at=T0, plan=state.assessment.plan))
    given_ = put(asked, facts.ApprovalEnded(n=1, result=approval(ApprovalStatus.COMPLETED)))
    assert (given_.quote, given_.won, given_.approved_hash) == (QuoteStatus.ACCEPTED, True, "h0")
    refused = put(asked, facts.ApprovalEnded(n=1, result=approval(ApprovalStatus.REJECTED)))
    assert refused.stuck_without_approval and not refused.won


def test_pins_stay_through_every_look_that_asks_nobody() -> None:
    state = accepted()
    before = state.assessment
    for moved in (look(AT_92, p100("104.00")), look(AT_92, p100("90.00")), look(AT_92, p100(blocked=True))):
        state = told(state, moved)
        assert state.assessment is before and state.approved_hash == "h0" and state.drift == moved.kept
    assert not put(state, facts.CreditDecided(decision=decision(True))).parked


def test_a_fall_is_an_exception_for_the_rep_and_goes_when_the_price_is_back() -> None:
    state = told(accepted(), look(AT_92, p100("90.00")))
    assert [text.partition(":")[0] for text in state.exceptions] == ["PRICE_FELL"]
    back = look(AT_92, p100())
    assert look_due(state, facts.PricesMoved(look=back))
    assert told(state, back).exceptions == ()


def test_the_same_move_is_told_once_however_often_credit_is_looked_at() -> None:
    moved = facts.PricesMoved(look=look(AT_92, p100("104.00")))
    state = accepted()
    assert look_due(state, moved) and not look_due(put(state, moved), moved)
    assert not look_due(state, facts.PricesMoved(look=look(AT_92, p100())))


def test_who_decides_about_a_hold_and_with_what_figures_is_on_record() -> None:
    parked = ParkedStep(
        step="A product can no longer be sold",
        activity="prepare_order",
        cause="PriceDrift",
        message="Blocked: P100",
        suggestion="",
        since=T0,
        failures=0,
    )
    moved = facts.PricesMoved(look=look(AT_92, p100(blocked=True)))
    held = put(accepted(), moved, facts.StepParked(parked=parked))
    resumed = put(held, facts.StepResumed(action=Resolution.RETRY, reason="released again", by=CARL))
    assert resumed.drift_decision is not None
    assert (resumed.drift_decision.action, resumed.drift_decision.by, resumed.drift_decision.reason) == (
        "retry",
        CARL,
        "released again",
    )
    assert facts_of(moved) == {"verdict": "blocked", "rose": "0", "fell": "0", "cost moved": "0", "blocked": "1"}
    asked = facts_of(facts.PricesMoved(look=look(AT_92, p100("104.00", "72.00"))))
    assert (asked["margin then"], asked["margin now"]) == ("34.78", "21.74")
    assert (asked["list net then"], asked["list net now"]) == ("1000", "1040")


def test_a_look_that_comes_when_nothing_is_about_to_be_ordered_changes_nothing() -> None:
    moved = facts.PricesMoved(look=look(AT_92, p100("104.00", "72.00")))
    transition = apply(new_deal(), Event(at=T0, actor=SYSTEM, fact=moved))
    assert transition.code == "ILLEGAL_TRANSITION"
    assert Tier(chain="sales", level=1) in tiers(moved.look.anew.plan if moved.look.anew else None)
