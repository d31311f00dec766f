"""What a rep reads about a customer that Finance does not know: what happens next, and what they have to enter."""

from __future__ import annotations

from typing import Final

from domain.assessment import Problem
from domain.customers import WORDS, UnknownCustomer
from domain.phrases import Phrase, listed, phrase

CUSTOMER_CODES: Final = frozenset({"CUSTOMER_UNMAPPED", "DUPLICATE_CUSTOMER"})
"""Codes of problems that somebody else than the rep may settle."""


def problems_of(unknown: UnknownCustomer) -> tuple[Problem, ...]:
    """The problems of a quote whose customer has no number of Finance: a duplicate first, then what is missing."""
    if unknown.candidates:
        return (Problem.of("DUPLICATE_CUSTOMER", "customer", _maybe_known(unknown)),)
    if unknown.proposal is None:
        return (Problem.of("CUSTOMER_UNMAPPED", "customer", unmapped(unknown.name)),)
    if faults := unknown.proposal.faults:
        return tuple(
            Problem.of(
                "CUSTOMER_UNMAPPED",
                f"customer: {WORDS[name]}",
                phrase("{who}. {fault}", who=listed((no_number(unknown.name),)), fault=text),
            )
            for name, text in faults.items()
        )
    said = phrase(
        "{who}. Accounts receivable is asked to create it in Finance; then the quote goes on by itself.",
        who=listed((no_number(unknown.name),)),
    )
    return (Problem.of("CUSTOMER_UNMAPPED", "customer", said),)


def _maybe_known(unknown: UnknownCustomer) -> Phrase:
    also = len(unknown.candidates) - 1 + unknown.more
    who, first = listed((no_number(unknown.name),)), unknown.candidates[0].text
    if also:
        return phrase(
            "{who}, and Finance may have it already: {first}, and {also} more. Accounts receivable says on the page of "
            "the deal whether it is the same; nothing is merged, and the quote goes on by itself.",
            who=who,
            first=first,
            also=also,
        )
    return phrase(
        "{who}, and Finance may have it already: {first}. Accounts receivable says on the page of the deal whether it "
        "is the same; nothing is merged, and the quote goes on by itself.",
        who=who,
        first=first,
    )


def no_number(name: str) -> Phrase:
    """That a customer has no number of Finance."""
    if not name:
        return phrase("Customer of the quote has no account number in Sales")
    return phrase("Customer {name} has no account number in Sales", name=name)


def unmapped(name: str) -> Phrase:
    """That a customer has no number of Finance, and what to do where nobody is asked about it."""
    return phrase(
        "{who}. Create the customer in Finance and enter its account number on the account.",
        who=listed((no_number(name),)),
    )


def is_of_customer(problem: Problem) -> bool:
    """Whether a problem of a quote is that Finance does not know its customer."""
    return problem.code in CUSTOMER_CODES
