"""Why an order is held for credit and what would lift it, in one sentence for the rep in Sales."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from domain.credit_facts import CreditDecision
from domain.money import format_money
from domain.refusals import Refusal

_LONGEST: Final = 200
"""Characters that the deal's row in Sales takes."""
_RELEASE: Final = "a credit manager's release"

_LIFTS: Final[Mapping[str, str]] = {
    Refusal.GROUP_OVER_LIMIT: "a payment of any of its customers",
    Refusal.GROUP_LIMIT_EXPIRED: "a renewed limit",
    Refusal.NO_CREDIT: "a credit limit in Finance",
    Refusal.LIMIT_EXPIRED: "a renewed limit",
    Refusal.TERMS_RAISED: "terms of the customer's own in Finance that are as long",
    Refusal.DISCOUNT_RAISED: "the same cash discount at the customer in Finance",
    Refusal.OVERDUE: "payment of what is overdue",
    Refusal.OVERDUE_AMOUNT: "payment of what is overdue",
    Refusal.ORDER_TOO_LARGE: "a smaller order",
    Refusal.CUSTOMER_BLOCKED: "the end of the customer's hold",
}


def hold_in_words(decision: CreditDecision) -> str:
    """Why credit was refused, with its numbers, and what would lift that. Where it is too long, the reasons are cut."""
    lifts = list(dict.fromkeys(_lift(reason.code, decision) for reason in decision.reasons))
    lifted = f"Lifted by {' and '.join(each for each in lifts if each)}, or by {_RELEASE}."
    if not any(lifts) or len(lifted) > _LONGEST // 2 + 20:
        lifted = f"Lifted by {_RELEASE}."
    room = _LONGEST - len(lifted) - len("On credit hold: . ")
    why = decision.text if len(decision.text) <= room else f"{decision.text[: room - 1].rstrip()}…"
    return f"On credit hold: {why}. {lifted}"


def _lift(code: str, decision: CreditDecision) -> str:
    if code == Refusal.OVER_LIMIT and decision.over_by and decision.currency:
        return f"{format_money(decision.over_by, decision.currency)} paid"
    return _LIFTS.get(code, "")
