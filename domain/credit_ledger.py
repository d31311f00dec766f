"""What a deal and its customer's credit ledger say to each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final

from pydantic import Field, model_validator

from domain.credit import CreditBook, ReleaseToken, customer_changed, mark_visible, release
from domain.credit_facts import CreditDecision, CreditFacts
from domain.credit_parts import with_parts
from domain.credit_rule import CLOCK_SKEW
from domain.policy import CreditTerms
from domain.record import Record

MOST_MONEY: Final = Decimal(10) ** 15
"""More than any amount of a customer in any currency; beyond it, a number is a mistake."""


class LedgerRequest(Record):
    """What the customer's ledger is asked: a deal's question with the policy's terms for the customer."""

    deal_id: str = Field(min_length=1, max_length=500)
    order_number: str = Field(min_length=1, max_length=50)
    amount: Annotated[Decimal, Field(ge=0, le=MOST_MONEY, description="Order total, in the customer's currency")]
    facts: CreditFacts
    terms: CreditTerms
    release: ReleaseToken | None = None
    queues: bool = Field(True, description="Whether it waits for credit that is refused; else nothing is kept of it")
    keeps: bool = Field(True, description="Whether credit that is given is kept: not where the group refuses")
    follows: bool = Field(False, description="Its order is confirmed: it looks again whenever credit becomes less")
    group: str = Field("", max_length=100, description="The credit group in whose ledger the deal was decided before")

    @model_validator(mode="after")
    def _possible(self) -> LedgerRequest:
        for name, amount in self._amounts():
            if not amount.is_finite() or abs(amount) > MOST_MONEY:
                raise ValueError(f"{name}: {amount} is no amount of money; correct it in Finance")
        for name, moment in self._moments():
            if moment.tzinfo is None:
                raise ValueError(f"{name}: a moment needs its time zone")
        return self

    def _amounts(self) -> Iterator[tuple[str, Decimal]]:
        facts = self.facts
        yield "facts.credit_limit", facts.credit_limit
        yield "facts.open_ar", facts.open_ar
        yield "facts.overdue_amount", facts.overdue_amount
        yield "facts.threshold_pct", facts.threshold_pct
        for order in facts.open_orders:
            yield f"facts.open_orders[{order.order_number}]", order.amount
        if self.release is not None:
            yield "release.ceiling", self.release.ceiling

    def _moments(self) -> Iterator[tuple[str, datetime]]:
        yield "facts.as_of", self.facts.as_of
        if self.release is not None:
            yield "release.valid_until", self.release.valid_until


class CreditAnswer(Record):
    """The ledger's answer; no decision where one of the other fields says why."""

    decision: CreditDecision | None
    stale: str = Field("", description="The facts were too old to decide on: read Finance again")
    later: str = Field("", description="The ledger cannot take the question now: ask again in a while")
    refused: str = Field("", description="The question is impossible, and how: a person has to look")


MOST_GROUPS: Final = 5
"""Credit groups of a customer that are told: the one it is in, and those it was in lately."""


class GroupNote(Record):
    """A customer's ledger is told that the customer shares a credit limit."""

    group: str = Field(min_length=1, max_length=100)


class Onward(Record):
    """What a customer's ledger has to hand on to the ledgers of its credit groups."""

    visible: dict[str, datetime] = Field(default_factory=dict, description="Orders seen in Finance, by deal; UTC")
    ended: tuple[str, ...] = Field((), description="Deals that need no credit any more")
    changed: str = Field("", description="Why the credit changed, the last that was heard; empty: it did not")
    lowers: bool = Field(False, description="There may be less of it than before")

    def __bool__(self) -> bool:
        return bool(self.visible or self.ended or self.changed)

    @property
    def notes(self) -> int:
        """How many deals it tells of."""
        return len(self.visible) + len(self.ended)


class LedgerStart(Record):
    """Whose credit; the rest is what the run before it held (set when it continues as new)."""

    company: str
    customer_account: str
    book: CreditBook = CreditBook()
    seen: str = Field("", description="Digest of the customer's events that were heard")
    wake: dict[str, str] = Field(default_factory=dict, description="Deals still to be woken: why, by workflow id")
    changed_at: datetime | None = Field(None, description="UTC: when credit last came free")
    collections_hold: str = Field("", description="Why collections hold the customer's orders; empty: they do not")
    tally: dict[str, int] = Field(default_factory=dict)
    groups: tuple[str, ...] = Field((), description="Credit groups of the customer, to which news are handed on")
    followed: tuple[str, ...] = Field((), description="Deals with a confirmed order, woken when credit becomes less")
    handed_on: Onward = Field(default_factory=lambda: Onward(), description="News still to be handed on to them")


@dataclass(slots=True)
class News:
    """What a ledger was told and has not taken into its book yet: all that a moment brought is taken in one pass."""

    visible: dict[str, datetime] = field(default_factory=dict)
    """When deals' orders were seen in Finance, by workflow id; UTC."""
    ended: set[str] = field(default_factory=set)
    """Deals that need no credit any more."""
    changed: bool = False
    freed: Decimal | None = Decimal(0)
    """By how much the customer's exposure fell; None: not known."""
    reason: str = ""
    """Why held deals are woken: the last that was heard."""

    def __bool__(self) -> bool:
        return bool(self.visible or self.ended or self.changed)

    def free(self, amount: Decimal | None) -> None:
        """The customer's credit changed; an amount no customer can owe says nothing of by how much."""
        self.changed = True
        if amount is None or amount > MOST_MONEY or self.freed is None:
            self.freed = None
        else:
            self.freed += max(amount, Decimal(0))

    def into(self, book: CreditBook) -> tuple[CreditBook, tuple[str, ...]]:
        """The book with all of it, and the held deals that may now have credit."""
        if self.visible:
            book = mark_visible(book, self.visible)
        book, woken = release(book, with_parts(book, self.ended)) if self.ended else (book, ())
        if not self.changed:
            return book, woken
        book, more = customer_changed(book, self.freed)
        return book, (*woken, *more)


def outdated(facts: CreditFacts, decision: CreditDecision, changed_at: datetime | None) -> str:
    """Why a refusal does not count: credit came free after its facts were read. Empty: it counts.

    The deal was not on hold yet when it came free, so nobody woke it; on hold now, it would wait for the next change.

    Args:
        facts: what was decided on.
        decision: the decision.
        changed_at: UTC, when the ledger last heard that credit came free; None: never.
    """
    if decision.passed or changed_at is None or facts.as_of > changed_at + CLOCK_SKEW:
        return ""
    return f"credit came free at {changed_at:%H:%M:%S} UTC, after the facts were read: read them again"


def newest(kept: CreditFacts | None, asked: CreditFacts) -> CreditFacts:
    """The newer of two readings of a customer: what the ledger was given last, or what a deal asks with.

    One reading serves several deals; a deal that waited for its turn is decided on what was read since. Only readings
    of the same account in the same currency are one another's match.
    """
    if kept is None or kept.as_of <= asked.as_of:
        return asked
    return kept if _whose(kept) == _whose(asked) else asked


def _whose(facts: CreditFacts) -> tuple[str, str, str]:
    return facts.company, facts.customer_account, facts.currency
