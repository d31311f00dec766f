"""What is collected from one customer's account: invoices with their levels, what pauses them, letters, what happened.

What is open is Finance's word, read before each step. Everything kept is bounded; what a bound keeps out is counted.
How an account goes from one state to the next is in ``domain.collecting``, what people may say in
``domain.collection_words``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, Field

from domain.dunning import DunningLevel, DunningPlan, LetterKind
from domain.heard import HeardMessage
from domain.messages import Id, Number, Outcome, SignedMessage
from domain.money import same_money
from domain.notices import Notice
from domain.people import Person
from domain.record import Record

MOST_INVOICES: Final = 200
"""Invoices of one account that are kept; paid ones fall out first."""
MOST_LETTERS: Final = 24
MOST_LINES: Final = 100
"""Invoices on one letter; of more, their number and sum are said."""
MOST_ENTRIES: Final = 150
MOST_TOLD: Final = 50
"""Invoices that one message of a deal tells."""
LONGEST_NUMBER: Final = 60
LONGEST_REASON: Final = 1_000
_LONGEST_KEPT: Final = 300
_NONE: Final = Decimal(0)

Short = Annotated[str, Field(max_length=LONGEST_NUMBER)]
_Why = Annotated[
    str,
    AfterValidator(lambda reason: reason[:_LONGEST_KEPT]),
    Field(description="Its first 300 characters: every invoice may keep three; whole in the history and the audit"),
]


class PausedBy(StrEnum):
    """Why no level of an invoice is reached."""

    DISPUTE = "dispute"
    PROMISE = "promise"
    REST = "rest"


class Dispute(Record):
    """That the customer contests an invoice, or part of it."""

    amount: Decimal = Field(description="What is contested, in the invoice's currency")
    reason: _Why
    by: Person
    on: date = Field(description="In the calendar of the company")


class Promise(Record):
    """That the customer will pay by a day."""

    amount: Decimal = Field(description="In the invoice's currency")
    until: date = Field(description="This day included, in the calendar of the company")
    reason: _Why = ""
    by: Person
    on: date


class Rest(Record):
    """That somebody has an invoice, or the whole account, rest until a day, e.g. for a payment that is on its way."""

    until: date = Field(description="This day included, in the calendar of the company")
    reason: _Why
    by: Person
    on: date


class WatchedInvoice(Record):
    """An invoice, its level and what pauses it. Money in the invoice's currency, incl. tax."""

    number: str
    order_number: str = ""
    quote_number: str = Field("", description="Of the deal that told it; empty: found in Finance")
    owner: Person | None = Field(None, description="Who owns the quote")
    due_on: date
    currency: str
    total: Decimal
    open_amount: Decimal
    as_of: AwareDatetime = Field(description="UTC, when the open amount was read in Finance")
    level: int = Field(0, ge=0, description="Levels reached; 0: none")
    reached_on: date | None = Field(None, description="When the last level was reached")
    restarted_on: date | None = Field(None, description="From when the time to the next level counts, after a pause")
    dispute: Dispute | None = None
    promise: Promise | None = None
    rest: Rest | None = None
    settled_at: AwareDatetime | None = Field(None, description="UTC, when nothing was open on it any more")

    @property
    def is_open(self) -> bool:
        """Whether something is open on it that counts."""
        return self.settled_at is None

    def paused(self, today: date) -> PausedBy | None:
        """What keeps it from the next level on a day; None: nothing of its own."""
        if self.dispute is not None:
            return PausedBy.DISPUTE
        if self.promise is not None and today <= self.promise.until:
            return PausedBy.PROMISE
        if self.rest is not None and today <= self.rest.until:
            return PausedBy.REST
        return None

    def is_overdue(self, today: date) -> bool:
        """Whether it is open after its due date."""
        return self.is_open and self.due_on < today

    def days_overdue(self, today: date) -> int:
        """Days since it was due; 0 before."""
        return max((today - self.due_on).days, 0)

    def next_level(self, levels: Sequence[DunningLevel]) -> tuple[DunningLevel, date] | None:
        """The next level and the first day it may be reached, whatever pauses it; None after the last.

        Not before its days are over since the due date, and not before the time between two levels is over since the
        one before was reached, or since a dispute was settled or a payment came back.
        """
        if self.level >= len(levels):
            return None
        level = levels[self.level]
        gap = timedelta(days=level.days - (levels[self.level - 1].days if self.level else 0))
        days = [self.due_on + timedelta(days=level.days)]
        days += [since + gap for since in (self.reached_on, self.restarted_on) if since is not None]
        return level, max(days)

    def blocks(self, levels: Sequence[DunningLevel]) -> bool:
        """Whether it holds the customer's orders."""
        reached = levels[: self.level]
        return self.is_open and bool(reached) and reached[-1].blocks_orders

    def unpaused(self) -> WatchedInvoice:
        """Without anything that pauses it."""
        return self.model_copy(update={"dispute": None, "promise": None, "rest": None})


class LetterLine(Record):
    """An invoice on a letter."""

    invoice: str
    order_number: str
    due_on: date
    days_overdue: int
    total: Decimal
    open_amount: Decimal
    level: str = Field("", description="Id of the level it has reached; empty: none yet")
    left_out: str = Field("", description="Why it is named but not demanded; empty: it is demanded")


class Letter(Record):
    """A letter to one customer with all that is overdue in one currency. It is written, never sent, by this product."""

    n: int = Field(description="Number within the account, counted from 1")
    on: date = Field(description="In the calendar of the company")
    company: str
    account: str
    customer_name: str
    address: tuple[str, ...] = ()
    sender: tuple[str, ...] = ()
    language: str = ""
    kind: LetterKind
    level: str = Field(description="Id of the highest level reached with this letter")
    currency: str
    lines: tuple[LetterLine, ...]
    more: int = Field(0, description="Further invoices that are demanded, beyond those listed")
    demanded: Decimal = Field(description="Sum of what is demanded, those beyond the list included")
    fee: Decimal = _NONE
    unapplied: Decimal = Field(_NONE, description="Payments and credit notes not settled with any invoice yet")
    blocks_orders: bool = False
    policy: str = Field(description="Version and hash of dunning.yaml")

    @property
    def to_pay(self) -> Decimal:
        """What the customer is asked for: what is demanded and the fee, less what they paid already."""
        return self.demanded + self.fee - self.unapplied


class Entry(Record):
    """Something that happened to an account."""

    n: int
    at: AwareDatetime
    by: Person
    event: str = Field(description="What, as a code")
    text: str
    reason: str = ""
    invoice: str = ""


class CustomerAddress(Record):
    """To whom a letter goes, as Finance has it."""

    name: str = Field("", max_length=200)
    lines: tuple[Annotated[str, Field(max_length=200)], ...] = Field((), max_length=8)
    language: str = Field("", max_length=20)


class Account(Record):
    """What is collected from one account that is billed."""

    company: str = Field(description="Legal entity, lower case")
    account: str = Field(description="Account in Finance that is billed")
    customer: CustomerAddress = CustomerAddress()
    invoices: tuple[WatchedInvoice, ...] = ()
    rest: Rest | None = Field(None, description="The whole account rests")
    unapplied: dict[str, Decimal] = Field(default_factory=dict, description="Not settled with any invoice, by currency")
    letters: tuple[Letter, ...] = ()
    letters_written: int = 0
    history: tuple[Entry, ...] = ()
    happened: int = Field(0, description="Entries of the history in all, those that fell out included")
    left_out: int = Field(0, description="Invoices that found no room")
    read_at: AwareDatetime | None = Field(None, description="UTC, when Finance was last read")
    looked_on: date | None = Field(None, description="The last day on which levels could be reached")

    def invoice(self, number: str) -> WatchedInvoice | None:
        """An invoice by its number, as Finance compares numbers."""
        wanted = number.strip().casefold()
        return next((invoice for invoice in self.invoices if invoice.number.casefold() == wanted), None)

    def letter(self, n: int) -> Letter | None:
        """A letter by its number; None where it was never written or fell out."""
        return next((letter for letter in self.letters if letter.n == n), None)

    def overdue(self, today: date) -> dict[str, Decimal]:
        """What is overdue on a day, by currency."""
        found: dict[str, Decimal] = {}
        for invoice in self.invoices:
            if invoice.is_overdue(today):
                found[invoice.currency] = found.get(invoice.currency, _NONE) + invoice.open_amount
        return dict(sorted(found.items()))

    def resting(self, today: date) -> bool:
        """Whether the whole account rests on a day."""
        return self.rest is not None and today <= self.rest.until

    def blocking(self, levels: Sequence[DunningLevel]) -> tuple[WatchedInvoice, ...]:
        """The invoices that hold the customer's orders."""
        return tuple(invoice for invoice in self.invoices if invoice.blocks(levels))

    def highest(self) -> int:
        """The highest level that an open invoice has reached; 0: none."""
        return max((invoice.level for invoice in self.invoices if invoice.is_open), default=0)

    def with_invoice(self, new: WatchedInvoice) -> Account:
        """With an invoice in the place of the one of its number."""
        return self.model_copy(update={"invoices": tuple(new if i.number == new.number else i for i in self.invoices)})

    def with_entry(
        self, at: datetime, by: Person, event: str, text: str, *, reason: str = "", invoice: str = ""
    ) -> Account:
        """With one more line of the history."""
        entry = Entry(
            n=self.happened + 1,
            at=at,
            by=by,
            event=event,
            text=text[:500],
            reason=reason[:LONGEST_REASON],
            invoice=invoice,
        )
        return self.model_copy(
            update={"history": (*self.history, entry)[-MOST_ENTRIES:], "happened": self.happened + 1}
        )

    def bounded(self) -> Account:
        """Within its bounds: paid invoices fall out first, then those due last, which are counted."""
        over = len(self.invoices) - MOST_INVOICES
        if over <= 0:
            return self

        def place(invoice: WatchedInvoice) -> tuple[bool, date]:
            return invoice.is_open, date.max - (invoice.due_on - date.min)

        kept_out = sorted(self.invoices, key=place)[:over]
        numbers = {invoice.number for invoice in kept_out}
        return self.model_copy(
            update={
                "invoices": tuple(invoice for invoice in self.invoices if invoice.number not in numbers),
                "left_out": self.left_out + sum(invoice.is_open for invoice in kept_out),
            }
        )


def counts_as_paid(open_amount: Decimal, currency: str, plan: DunningPlan) -> bool:
    """Whether so little is open that it counts as nothing; an invoice of which too much was paid is paid too."""
    return open_amount <= 0 or same_money(open_amount, _NONE, currency, plan.rules.tolerance_units)


# What an account is told


class ShownInvoice(Record):
    """An invoice as a deal read it in Finance."""

    number: Annotated[str, Field(min_length=1, max_length=LONGEST_NUMBER)]
    due_on: date
    currency: Annotated[str, Field(min_length=3, max_length=3)]
    total: Number
    open_amount: Number


class InvoicesShown(Record):
    """A deal tells the account that is billed for it which invoices it has, and what is open on them."""

    company: Id
    account: Annotated[str, Field(min_length=1, max_length=LONGEST_NUMBER)]
    customer_name: Annotated[str, Field(max_length=200)] = ""
    order_number: Short = ""
    quote_number: Annotated[str, Field(max_length=100)] = ""
    owner: Person | None = None
    invoices: tuple[ShownInvoice, ...] = Field(max_length=MOST_TOLD)
    more: int = Field(0, ge=0, le=10**6, description="Further invoices that found no room in this message")
    as_of: AwareDatetime = Field(description="UTC, when Finance was read")


class OpenItem(Record):
    """What is open of one posted transaction of a customer; a payment or credit note not settled is negative."""

    invoice: str = ""
    currency: str
    due_on: date | None
    total: Decimal
    open_amount: Decimal


class OpenItems(Record):
    """All that Finance has open of an account, read at one moment, and the rules that count for the company then."""

    as_of: AwareDatetime
    customer: CustomerAddress
    items: tuple[OpenItem, ...]
    left_out: int = Field(0, description="Open transactions beyond those handed on")
    plan: DunningPlan


class OrdersHeld(Record):
    """Collections tell a customer's credit ledger that orders are to be held, or not any more."""

    event_id: Id = Field(min_length=1)
    reason: Annotated[str, Field(max_length=500)] = Field("", description="Empty: orders are let through again")
    at: AwareDatetime


class CollectionsStart(Record):
    """Whose account, under which rules; the rest is what the run before held (set when it continues as new)."""

    company: str
    account: str
    plan: DunningPlan
    state: Account | None = None
    held_told: str = Field("", description="What the credit ledger was told last; empty: that nothing is held")
    ledger_knows: bool = Field(False, description="Whether the credit ledger was told by this account's runs")
    changed: bool = False
    shown: dict[str, str] = Field(default_factory=dict, description="Mark of what Sales shows of each deal, by quote")
    outcomes: tuple[Outcome, ...] = ()
    heard: tuple[HeardMessage, ...] = ()
    unheard: tuple[SignedMessage, ...] = ()
    notices: tuple[Notice, ...] = ()
    tally: dict[str, int] = Field(default_factory=dict)


class CollectionsView(Record):
    """An account as it is shown: with the rules it stands under and what comes next."""

    state: Account
    plan: DunningPlan
    today: date = Field(description="In the calendar of the company, when the run last did something")
    next_look: datetime | None = Field(None, description="UTC; None: nothing until something is heard")
    held: str = Field("", description="Why orders of the customer are held; empty: they are not")
    failing: str = Field("", description="Why Finance could not be read; empty: it could")


def total_of(invoices: Iterable[WatchedInvoice]) -> Decimal:
    """What is open on invoices of one currency."""
    return sum((invoice.open_amount for invoice in invoices), _NONE)
