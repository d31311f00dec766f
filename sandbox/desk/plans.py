"""How the people of the sandbox treat a deal when the autopilot plays them.

A plan is data: each deal of a demo or a test can end another way. The same words are used over HTTP (`PUT /autopilot`).
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final, Literal

import msgspec

REST: Literal["rest"] = "rest"


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One deal's story; every default is that of a deal that goes well.

    Attributes:
        submit: the rep asks for approval (only of quotes the data set brought along).
        decisions: what the approvers answer to the first, second, … request; the last one repeats. "leave" never
            answers.
        comment: what an approver writes.
        after_rejection: the rep leaves the rejected quote, or lowers every line's discount to `resubmit_discount_pct`
            percent of its base amount and submits again.
        activate: the rep activates the approved quote.
        accept: the customer accepts, never answers (so that the quote expires), or declines.
        shipments: what the warehouse ships, one entry a packing slip: "rest", or quantity by line number. Empty: never.
        invoice: accounts receivable invoice each packing slip.
        payments: what the customer pays for each invoice, one entry a payment: "rest" or an amount in the invoice's
            currency, as text. Empty: never.
        credit_release: the credit manager releases a hold, sooner or later.
        retry_parked: somebody presses retry on a parked step.
        shows: what the deal shows, in one sentence, for those who look at the desk.
        unit_costs: what items cost by the time the customer accepts, in the company's currency, by item number.
        reduce: what the rep makes lines of the order smaller to, in the product, by line number, once something of
            the order is shipped. The warehouse ships on when Finance has it.
        returns: what the customer sends back of the first invoice before paying it, by line number. It is received
            at once, and credited when the invoice is paid.
        refund: the credit that is left is paid back: one proposes it, another approves, accounts receivable post it.
        dispute: what the customer contests of the invoice when the first letter comes, in its currency, as text; it
            is found to stand. Empty: nothing.
    """

    submit: bool = True
    decisions: tuple[Literal["approve", "reject", "leave"], ...] = ("approve",)
    comment: str = "Played by the sandbox."
    after_rejection: Literal["leave", "resubmit"] = "leave"
    resubmit_discount_pct: Decimal = Decimal(0)
    activate: bool = True
    accept: Literal["accept", "never", "decline"] = "accept"
    shipments: tuple[Literal["rest"] | dict[str, Decimal], ...] = (REST,)
    invoice: bool = True
    payments: tuple[str, ...] = (REST,)
    credit_release: bool = True
    retry_parked: bool = False
    shows: str = ""
    unit_costs: dict[str, Decimal] = {}
    reduce: dict[str, Decimal] = {}
    returns: dict[str, Decimal] = {}
    refund: bool = False
    dispute: str = ""

    def __post_init__(self) -> None:
        """Refuse a payment that is no amount (msgspec reports the ValueError with its place)."""
        for payment in self.payments:
            if payment != REST and not _is_amount(payment):
                raise ValueError(f"a payment is 'rest' or an amount as text, not {payment!r}")
        if self.dispute and not _is_amount(self.dispute):
            raise ValueError(f"what is contested is an amount as text, not {self.dispute!r}")
        if not self.decisions:
            raise ValueError("decisions names at least one answer")

    def decision(self, request_number: int) -> Literal["approve", "reject", "leave"]:
        """The answer to the n-th approval request of the deal, counted from 1."""
        return self.decisions[min(request_number, len(self.decisions)) - 1]


BY_HAND: Final = Plan(
    submit=False,
    decisions=("leave",),
    activate=False,
    accept="never",
    shipments=(),
    invoice=False,
    payments=(),
    credit_release=False,
)
"""Of a quote that somebody entered at the desk: nobody is played."""


def _is_amount(text: str) -> bool:
    try:
        return Decimal(text) > 0
    except InvalidOperation:
        return False


class Delays(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds between what a person sees and what the person does."""

    submit: float = 0.0
    activate: float = 0.5
    accept: float = 0.5
    ship: float = 0.5
    invoice: float = 0.5
    pay: float = 0.5
    decide: float = 0.5


class AutopilotConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `PUT /autopilot` takes.

    `approvals_api` is the product's web origin (its JSON API); null plays no approvers and no credit manager. `plans`
    is by quote number and wins over the data set's own plans; quotes without one are played by `default_plan`, or left
    to people where it is null. The data set's quotes are submitted at `submits_per_second`, and only while fewer than
    `undecided_at_most` wait for the product or its approvers: people do not hand in more than is dealt with.
    """

    enabled: bool = False
    delays: Delays = Delays()
    approvals_api: str | None = None
    default_plan: Plan | None = None
    plans: dict[str, Plan] = {}
    submits_per_second: float = 10.0
    undecided_at_most: int = 60
