"""What a person says about a customer's unapplied credit: what it is about, and the fact it states."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from domain import facts
from domain.deal_state import DealState
from domain.facts import RefundFact
from domain.messages import CommandName, VerifiedMessage
from domain.people import Person
from domain.record import Record
from domain.rights import Subject


class ProposeRefund(Record):
    """Arguments of a proposal. The amount is in the deal's currency."""

    of: str = Field(min_length=1, max_length=60)
    amount: Decimal = Field(gt=0, max_digits=19)
    reason: str = Field(min_length=1, max_length=4_000)

    def subject(self, state: DealState, *, own: bool) -> Subject:
        """What it is about: its amount."""
        return Subject(own=own, amount=self.amount, currency=state.header.currency)

    def fact(self, by: Person, state: DealState, *, role: str) -> RefundFact:
        """What it states."""
        return facts.RefundProposed(
            of=self.of, amount=self.amount, currency=state.header.currency, reason=self.reason, by=by, role=role
        )


class ApproveRefund(Record):
    """Arguments of an approval: which refund of the deal."""

    refund: int = Field(ge=1, le=1_000)
    reason: str = Field("", max_length=4_000)

    def _amount(self, state: DealState) -> Decimal:
        return next((refund.amount for refund in state.refunds if refund.n == self.refund), Decimal(0))

    def subject(self, state: DealState, *, own: bool) -> Subject:
        """What it is about: the amount of the refund."""
        return Subject(own=own, amount=self._amount(state), currency=state.header.currency)

    def fact(self, by: Person, state: DealState, *, role: str) -> RefundFact:
        """What it states."""
        return facts.RefundApproved(
            n=self.refund,
            reason=self.reason,
            by=by,
            amount=self._amount(state),
            currency=state.header.currency,
            role=role,
        )


class KeepCredit(Record):
    """Arguments of leaving a credit where it is."""

    reason: str = Field(min_length=1, max_length=4_000)

    def subject(self, state: DealState, *, own: bool) -> Subject:
        """What it is about: all that is unapplied."""
        return Subject(own=own, amount=state.delivery.unapplied, currency=state.header.currency)

    def fact(self, by: Person, state: DealState, *, role: str) -> RefundFact:
        """What it states."""
        return facts.CreditKept(reason=self.reason, by=by)


MoneyWords = ProposeRefund | ApproveRefund | KeepCredit


def money_words(command: CommandName, said: VerifiedMessage) -> MoneyWords | None:
    """What a command says about the customer's credit; None where it is about something else.

    Raises:
        ValidationError: an argument cannot be read.
    """
    match command:
        case CommandName.REFUND_PROPOSE:
            return ProposeRefund.model_validate(said.args)
        case CommandName.REFUND_APPROVE:
            return ApproveRefund.model_validate(said.args)
        case CommandName.CREDIT_KEEP:
            return KeepCredit.model_validate(said.args)
        case _:
            return None
