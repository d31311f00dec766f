"""The deals of `q2c demo`: one for every kind of decision, each with the end its input says it must have.

Items, prices and customers are those of the sandbox's sample companies: US-001 has room for credit, US-002 is checked
against 90 % of 10,000.00, US-004 has no limit; for US-9101 another account is billed, US-9300 buys in yen. Prices are
of the price list; discounts decide who is asked (policies/discount.yaml).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

SAMPLE_COMPANY = "usmf"


class Story(StrEnum):
    """What happens to a deal beyond its straight way, and is judged by facts of its own."""

    REDUCED = "reduced"
    """Part is shipped, the rep makes the order smaller, the rest of it is cancelled in Finance."""
    REFUNDED = "refunded"
    """Goods come back, are credited, and two persons have the money paid back."""
    REPRICED = "repriced"
    """A cost rises after the approval, and a level is asked again before there is an order."""
    BOUNCED = "bounced"
    """The bank returns the payment of a deal that has ended."""
    DUNNED = "dunned"
    """The invoice is overdue, contested, found to stand, demanded again, and paid."""


class End(StrEnum):
    """How a deal must end."""

    CLOSED = "closed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    FULFILMENT = "fulfilment"
    """Ordered and confirmed, waiting for a shipment that never comes."""


@dataclass(frozen=True)
class SampleDeal:
    """One quote and its story.

    Attributes:
        title: what it shows, in words.
        request: body of the desk's `POST /quotes`, without its number.
        plan: how the people played by the sandbox treat it, as the desk's `PUT /autopilot` takes it.
        end: how it must end.
        levels: highest level of approval it must need; 0: none.
        held: credit must be refused, and released by a person.
        parked: a step must be parked, and retried by a person.
        expires: its time must run out; the demo moves the clock of this one run.
        prefix: of its quote's number.
        story: what happens to it beyond its straight way; None: nothing.
        sentence: what it shows and what to do, for those who look at the desk.
    """

    title: str
    request: dict[str, Any]
    plan: dict[str, Any] = field(default_factory=dict)
    end: End = End.CLOSED
    levels: int = 0
    held: bool = False
    parked: bool = False
    expires: bool = False
    prefix: str = "Q-"
    story: Story | None = None
    sentence: str = ""


def _quote(
    name: str,
    customer: str,
    *lines: tuple[str, int, int],
    rep: str = "rita",
    opportunity: bool = False,
) -> dict[str, Any]:
    """A quote of lines (item, quantity, discount in per cent)."""
    return {
        "company": SAMPLE_COMPANY,
        "customer": customer,
        "rep": rep,
        "name": name,
        "opportunity": opportunity,
        "payment_terms": "Net 30",
        "lines": [{"item": item, "quantity": quantity, "discount_pct": discount} for item, quantity, discount in lines],
    }


PARKED = SampleDeal(
    "A step is parked and retried",
    _quote("Studio refresh", "US-001", ("P100", 12, 0), rep="ravi"),
    plan={"retry_parked": True},
    parked=True,
)
"""Submitted alone and first: the refusal that parks it hits the first order that is confirmed."""

SAMPLE = (
    SampleDeal("No approval needed", _quote("Ten headphones", "US-001", ("P100", 10, 5), opportunity=True)),
    SampleDeal("Two levels of approval", _quote("Showroom fit-out", "US-004", ("P250", 100, 22)), levels=2),
    SampleDeal("Up to the CFO", _quote("Nationwide rollout", "US-004", ("P250", 1000, 36), opportunity=True), levels=3),
    SampleDeal("Credit hold, released", _quote("Grand opening", "US-002", ("P100", 50, 10)), held=True),
    SampleDeal(
        "Shipped in two parts, two invoices",
        _quote("Split delivery", "US-001", ("P100", 10, 5), rep="ravi"),
        plan={"shipments": [{"1": "6"}, "rest"]},
    ),
    SampleDeal(
        "Paid in parts",
        _quote("Instalments", "US-004", ("P250", 8, 10)),
        plan={"payments": ["600.00", "900.00", "rest"]},
    ),
    SampleDeal(
        "Rejected",
        _quote("Too cheap", "US-004", ("P250", 20, 26), rep="ravi"),
        plan={"decisions": ["reject"], "comment": "Below what we can do for this customer."},
        end=End.REJECTED,
        levels=2,
    ),
    SampleDeal(
        "Expires unanswered",
        _quote("No answer", "US-001", ("P250", 2, 0)),
        plan={"accept": "never"},
        end=End.EXPIRED,
        expires=True,
    ),
    SampleDeal(
        "Three lines, one approver",
        _quote("Listening room", "US-004", ("P100", 4, 15), ("P250", 2, 5), ("P099", 6, 0), opportunity=True),
        levels=1,
    ),
    SampleDeal(
        "Head office is billed, slashes in the number",
        _quote("Branch in Salem", "US-9101", ("P100", 6, 5), rep="ravi"),
        prefix="AN/2026/",
    ),
    SampleDeal("A customer that buys in yen", _quote("Osaka listening bar", "US-9300", ("P250", 3, 5))),
)


CUSTOMERS = {
    "US-2001": "Riverside Records",
    "US-2002": "Hilltop Hi-Fi",
    "US-2003": "Old Town Theater",
    "US-2004": "Pier 9 Sound",
    "US-2005": "Canyon Cinema",
}
"""Customers of the stories, one each: what happens to their money concerns no other deal."""

STORIES = (
    SampleDeal(
        "Made smaller after 6 were shipped",
        _quote("Ten headphones, then eight", "US-2001", ("P100", 10, 5)),
        plan={"shipments": [{"1": "6"}, "rest"], "reduce": {"1": "8"}},
        story=Story.REDUCED,
        sentence="Six of ten are shipped when the customer needs only eight: Rita reduces line 1 to 8, and Finance "
        "cancels the other two.",
    ),
    SampleDeal(
        "Returned, credited, refunded by two",
        _quote("Two came back", "US-2002", ("P100", 10, 5), rep="ravi"),
        plan={"returns": {"1": "2"}, "refund": True},
        story=Story.REFUNDED,
        sentence="Two of ten come back, and the invoice is paid in full: Cleo proposes to pay the credit note back, "
        "Amy approves it, and the payment journal that the product prepared is posted in Finance.",
    ),
    SampleDeal(
        "Cost rose, asked again",
        _quote("Cables for the stage", "US-2003", ("Mx-15m", 200, 8)),
        plan={"unit_costs": {"Mx-15m": "10.80"}},
        levels=2,
        story=Story.REPRICED,
        sentence="Nobody had to approve the quote; its cost rises before the customer accepts, and Mona and Dirk "
        "decide on the new margin before there is an order.",
    ),
    SampleDeal(
        "Payment bounces after the end",
        _quote("Paid, or so it seemed", "US-2004", ("P100", 4, 5), rep="ravi"),
        story=Story.BOUNCED,
        sentence="The deal is paid and closed; then the bank returns the payment. Sales shows the invoice as open "
        "again, and Amy finds it under After the end.",
    ),
    SampleDeal(
        "Overdue, contested, dunned, paid",
        _quote("Slow to pay", "US-2005", ("P250", 4, 5)),
        plan={"payments": [], "dispute": "200.00"},
        story=Story.DUNNED,
        sentence="The demo lets this account's clock run past the due date: a reminder is written, the customer "
        "contests 200.00, Amy finds that the invoice stands, the next letter demands it with a fee, and it is paid.",
    ),
)


TIGHT = {"company": SAMPLE_COMPANY, "account": "US-3001", "name": "Narrow Street Audio", "credit_limit": "2500.00"}
"""A customer of a chaos run with credit for two of its deals at a time: all others wait until one is paid."""
TIGHT_DEAL = SampleDeal(
    "Waits until there is credit",
    _quote("Ten headphones, when there is credit", TIGHT["account"], ("P100", 10, 5)),
    plan={"credit_release": False},
)


def sample_deals(count: int) -> Iterator[tuple[str, SampleDeal]]:
    """Number of the quote and the deal, `count` of them: the parked one, the sample, the stories, then the sample anew.

    A story is told once: what it does to its customer would be another thing the second time.
    """
    yield "Q-1001", PARKED
    once = (*SAMPLE, *STORIES)
    for n in range(count - 1):
        deal = once[n] if n < len(once) else SAMPLE[(n - len(once)) % len(SAMPLE)]
        yield f"{deal.prefix}{1002 + n}", deal
