"""Terms of a quote that are better than the customer's own: a reason of its own to ask for credit, where the policy
says so (Microsoft Learn: credit management holds an order whose payment terms or cash discount were raised).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from domain.credit_facts import CreditReason
from domain.phrases import phrase
from domain.policy import RaisedTerms
from domain.record import Record
from domain.refusals import Refusal


class Terms(Record):
    """Payment terms and cash discount, as Finance names them; empty: none, or the customer's own."""

    payment: str = ""
    discount: str = ""


def raised(
    asked: Terms, own: Terms, payment_days: Mapping[str, int], judged: Collection[RaisedTerms]
) -> tuple[CreditReason, ...]:
    """Why the terms of a quote are better than the customer's own.

    Args:
        asked: the quote's; what is empty is the customer's own.
        own: the customer's.
        payment_days: days until due, by the name of payment terms in lower case. Terms Finance does not know count as
            none at all.
        judged: which of the two the policy has judged. Cash discounts have no order here: any that is not the
            customer's own is a better one.
    """
    found = []
    more, usual = (payment_days.get(name.casefold(), 0) for name in (asked.payment or own.payment, own.payment))
    if RaisedTerms.PAYMENT_TERMS in judged and more > usual:
        said = phrase(
            "payment terms {asked} ({days} days) are longer than the customer's own ({usual} days)",
            asked=asked.payment,
            days=more,
            usual=usual,
        )
        found.append(CreditReason.of(Refusal.TERMS_RAISED, said))
    if RaisedTerms.CASH_DISCOUNT in judged and asked.discount and asked.discount.casefold() != own.discount.casefold():
        said = phrase("cash discount {asked} is not the customer's own", asked=asked.discount)
        found.append(CreditReason.of(Refusal.DISCOUNT_RAISED, said))
    return tuple(found)
