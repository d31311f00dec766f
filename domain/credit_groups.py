"""A limit that several customers share: head office and branches. The group's ledger decides on it, then the
customer's own on the customer's own limit; both must pass.

What is said of a group is in the group's currency, what is said of the customer in the customer's.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from pydantic import Field

from domain.credit import ReleaseToken
from domain.credit_facts import CreditDecision, CreditFacts
from domain.credit_rule import RELEASED
from domain.money import arithmetic
from domain.policy import CreditLimits, CreditTerms
from domain.record import Record

GROUPS: Final = "group"
"""Where a legal entity stands in the id of a ledger; no legal entity has a name of five letters."""
MOST_MEMBERS: Final = 100
"""Customers that may share one limit; credit of more is not decided."""


class Member(Record):
    """A customer who shares the limit."""

    company: str
    account: str


class GroupCredit(Record):
    """What a deal asks with of the credit its customer shares with others."""

    facts: CreditFacts = Field(description="Of all members together, in the group's currency")
    rate: Decimal = Field(gt=0, description="What one unit of the customer's currency is in the group's")
    members: tuple[Member, ...] = Field(max_length=MOST_MEMBERS)

    def amount(self, own: Decimal) -> Decimal:
        """An amount of the customer's in the group's currency, not rounded."""
        with arithmetic():
            return own * self.rate

    def release(self, token: ReleaseToken | None) -> ReleaseToken | None:
        """A release in the group's currency."""
        return None if token is None else token.model_copy(update={"ceiling": self.amount(token.ceiling)})


def group_terms(terms: CreditTerms) -> CreditTerms:
    """The terms on which a group's limit is decided: the limit and its end; all else is asked of each customer."""
    return terms.model_copy(update={"limits": CreditLimits(), "raised": ()})


def both(group: CreditDecision, own: CreditDecision) -> CreditDecision:
    """One answer of two: refused by either, with the reasons of those that refuse. The figures are the customer's."""
    if group.passed and own.passed:
        released = next((d for d in (own, group) if any(r.code == RELEASED for r in d.reasons)), own)
        reasons = released.reasons
    else:
        reasons = tuple(reason for decision in (group, own) if not decision.passed for reason in decision.reasons)
    return own.model_copy(
        update={"passed": group.passed and own.passed, "reasons": reasons, "as_of": min(group.as_of, own.as_of)}
    )
