"""What a deal itself says it holds of its customer's credit: the other side of every entry in a credit ledger."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from pydantic import Field

from domain.credit_facts import CreditStatus
from domain.deal_state import DealState
from domain.record import Record


class ClaimKind(StrEnum):
    """What a deal claims."""

    RESERVED = "reserved"
    """Credit was given for an order that Finance does not count yet."""
    HELD = "held"
    """It waits for credit."""
    ASKING = "asking"
    """It asks at this moment: either answer may have been given."""
    IN_FINANCE = "in_finance"
    """Finance counts its order: as open order, or as invoice."""


class CreditClaim(Record):
    """A running deal's claim on credit. Money in the customer's currency, incl. tax."""

    deal_id: str
    account: str = Field(description="Who is billed")
    order_number: str = Field(description="Our key of the order")
    amount: Decimal
    kind: ClaimKind


def claim_of(state: DealState, *, deal_id: str, order_key: str) -> CreditClaim | None:
    """What a deal claims; None: nothing, or it has ended."""
    kind = _kind(state)
    if kind is None or not state.credit_account:
        return None
    amount = state.credit_decision.this_order if state.credit_decision else Decimal(0)
    return CreditClaim(deal_id=deal_id, account=state.credit_account, order_number=order_key, amount=amount, kind=kind)


def _kind(state: DealState) -> ClaimKind | None:
    if not state.running or not state.won:
        return None
    if state.confirmation_number:
        return ClaimKind.IN_FINANCE
    if state.may_order:
        return ClaimKind.RESERVED
    if state.credit is CreditStatus.HELD:
        return ClaimKind.HELD
    return ClaimKind.ASKING
