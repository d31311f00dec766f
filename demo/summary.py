"""What a run of the demo came to, over all its deals: the JSON that `q2c demo --auto --json` writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from statistics import median_low
from typing import Any

from demo.verdict import Outcome, mismatches
from domain.money import round_money
from domain.views import DealView, Ending, WaitingFor


def summarise(
    outcomes: Sequence[Outcome], state: dict[str, Any], requests: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """The summary `q2c demo --json` writes.

    Args:
        outcomes: every deal.
        state: the desk's `GET /state`.
        requests: the desk's `GET /requests/summary`.
        seconds: how long the run took.

    Returns:
        JSON types; amounts as text: `money` in the currency of most deals, where there are others in
        `money_in` by currency.
    """
    deals = [outcome.deal for outcome in outcomes if outcome.deal is not None]
    running = [deal for deal in deals if deal.ending is Ending.RUNNING]
    levels = Counter(max((request.highest_level for request in deal.approvals), default=0) for deal in deals)
    orders = state["orders"]
    duplicates = orders["duplicates"] + orders["without_quote"]
    found = [text for outcome in outcomes for text in mismatches(outcome)]
    if duplicates:
        found.append(f"{duplicates} orders in Finance beyond one per deal")
    costs = [o.cost for o in outcomes if o.deal is not None and o.deal.ending is Ending.CLOSED]
    return {
        "deals": len(outcomes),
        "closed": sum(deal.ending is Ending.CLOSED for deal in deals),
        "waiting": dict(Counter(deal.stage.value for deal in running)),
        "rejected": sum(outcome.rejected for outcome in outcomes),
        "expired": sum(deal.ending is Ending.EXPIRED for deal in deals),
        "parked": sum(WaitingFor.OPERATOR.value in outcome.waited_for for outcome in outcomes),
        "orders_in_finance": orders["total"],
        "duplicate_orders": duplicates,
        "approvals": {
            "none": levels[0],
            "level1": levels[1],
            "level2": levels[2],
            "level3": levels[3],
            "steps": sum(request.steps for deal in deals for request in deal.approvals),
        },
        "credit": {
            "held": sum(WaitingFor.CREDIT.value in outcome.waited_for for outcome in outcomes),
            "released_by_person": sum(deal.credit_released_by is not None for deal in deals),
        },
        "stories": _stories(outcomes),
        **_money([deal for deal in deals if deal.order_number]),
        "requests": {
            "dataverse": requests["dataverse"]["total"],
            "finance": requests["finance"]["total"],
            "throttled": requests["dataverse"]["throttled"] + requests["finance"]["throttled"],
        },
        "temporal": {
            "actions_per_case_p50": median_low([cost.actions for cost in costs]) if costs else 0,
            "events_per_case_p50": median_low([cost.events for cost in costs]) if costs else 0,
        },
        "mismatches": found,
        "seconds": round(seconds, 1),
    }


def _stories(outcomes: Sequence[Outcome]) -> dict[str, dict[str, str]]:
    """By quote number, each story and what it came to; that is empty where it did not come true."""
    told = [(outcome, outcome.expected.story) for outcome in outcomes]
    return {outcome.quote: {"story": story.value, "came_to": outcome.came_to} for outcome, story in told if story}


def _money(ordered: Sequence[DealView]) -> dict[str, Any]:
    """Sums over the deals that were ordered, never of two currencies."""
    by_currency = Counter(deal.currency for deal in ordered)
    most = by_currency.most_common(1)[0][0] if ordered else "USD"
    sums = {
        currency: _sums([deal for deal in ordered if deal.currency == currency], currency)
        for currency in (most, *sorted(by_currency.keys() - {most}))
    }
    return {"money": sums.pop(most), **({"money_in": sums} if sums else {})}


def _sums(ordered: Sequence[DealView], currency: str) -> dict[str, str]:
    return {
        name: str(round_money(sum((getattr(deal, name) for deal in ordered), Decimal(0)), currency))
        for name in ("net", "tax", "total", "invoiced", "paid")
    }
