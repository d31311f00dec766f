"""What a rep reads about a customer that Finance does not know: what happens next, and what they have to enter."""

from __future__ import annotations

from typing import Final

from domain.assessment import Problem
from domain.customers import WORDS, UnknownCustomer

CUSTOMER_CODES: Final = frozenset({"CUSTOMER_UNMAPPED", "DUPLICATE_CUSTOMER"})
"""Codes of problems that somebody else than the rep may settle."""


def problems_of(unknown: UnknownCustomer) -> tuple[Problem, ...]:
    """The problems of a quote whose customer has no number of Finance: a duplicate first, then what is missing."""
    who = f"Customer {unknown.name or 'of the quote'} has no account number in Sales"
    if unknown.candidates:
        first = unknown.candidates[0]
        others = len(unknown.candidates) - 1 + unknown.more
        also = f", and {others} more" if others else ""
        text = (
            f"{who}, and Finance may have it already: {first.text}{also}. Accounts receivable says on the page of the "
            "deal whether it is the same; nothing is merged, and the quote goes on by itself."
        )
        return (Problem(code="DUPLICATE_CUSTOMER", field="customer", message=text),)
    if unknown.proposal is None:
        text = f"{who}. Create the customer in Finance and enter its account number on the account."
        return (Problem(code="CUSTOMER_UNMAPPED", field="customer", message=text),)
    if faults := unknown.proposal.faults:
        return tuple(
            Problem(code="CUSTOMER_UNMAPPED", field=f"customer: {WORDS[name]}", message=f"{who}. {text}")
            for name, text in faults.items()
        )
    text = f"{who}. Accounts receivable is asked to create it in Finance; then the quote goes on by itself."
    return (Problem(code="CUSTOMER_UNMAPPED", field="customer", message=text),)


def is_of_customer(problem: Problem) -> bool:
    """Whether a problem of a quote is that Finance does not know its customer."""
    return problem.code in CUSTOMER_CODES
