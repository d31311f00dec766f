"""What happens to a deal after its end: what was reported, what was found, and what of it stands open for a person.

A deal that ended keeps no run. Money goes on all the same: a payment bounces, a credit note or an invoice is posted
late, somebody cancels the order in Sales. Each report becomes a look at the deal's documents in Finance and its records
in Sales; what the look finds is shown in Sales at once, and what stands open is an exception with an owner until both
systems agree again or a person dismisses it. Pure: nothing is read here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime, Field, computed_field

from domain.feeds import Report
from domain.messages import FinanceEvent, FinanceEventKind, Id, SalesEvent, SalesEventKind
from domain.money import format_money, plain
from domain.people import Person
from domain.record import Record
from domain.refusals import Refusal
from domain.severity import Severity, worst
from domain.views import DealView, Ending

DISMISS_LATE: Final = "dismiss_late"
"""Name of a message: a person says that something that stands open after a deal's end is settled otherwise."""
MOST_DOCUMENTS: Final = 10
"""Documents of one exception that are named; of more, their number is said."""
LONGEST_WHY: Final = 1_000
_NONE: Final = Decimal(0)


class Matter(StrEnum):
    """What something that happens after the end is about; of each deal one exception of a matter is open at most."""

    MONEY = "money"
    """Finance's invoices, credit notes and payments of the deal's order."""
    SALES_ORDER = "sales_order"
    OPPORTUNITY = "opportunity"
    QUOTE = "quote"
    UNKNOWN = "unknown"
    """It cannot be compared with anything."""
    UNCLAIMED = "unclaimed"
    """No deal takes it: nothing is compared, it is offered to the deals again (`domain.unclaimed`)."""

    @property
    def role(self) -> str:
        """Whose exceptions of this matter are: a role of rights.yaml."""
        return _OWNERS[self]


_OWNERS: Final[dict[Matter, str]] = {
    Matter.MONEY: "ar_manager",
    Matter.SALES_ORDER: "sales_manager",
    Matter.OPPORTUNITY: "sales_manager",
    Matter.QUOTE: "sales_manager",
    Matter.UNKNOWN: "ops",
    Matter.UNCLAIMED: "ops",
}
_OF_SALES: Final[dict[SalesEventKind, Matter]] = {
    SalesEventKind.ORDER_CANCELLED: Matter.SALES_ORDER,
    SalesEventKind.OPPORTUNITY_REOPENED: Matter.OPPORTUNITY,
    SalesEventKind.REVISED: Matter.QUOTE,
}
SALES_KINDS: Final = frozenset(_OF_SALES)
"""Events of Sales that count after a deal's end; each is one that its deal would have taken while it ran."""
FINANCE_KINDS: Final = frozenset(
    {
        FinanceEventKind.SHIPMENT_POSTED,
        FinanceEventKind.INVOICE_POSTED,
        FinanceEventKind.PAYMENT_POSTED,
        FinanceEventKind.PAYMENT_REVERSED,
    }
)
"""Events of Finance that count after a deal's end; a credit hold stops nothing any more."""
_SALES_CODES: Final[dict[Matter, Refusal]] = {
    Matter.SALES_ORDER: Refusal.ORDER_CANCELLED_AFTER_END,
    Matter.OPPORTUNITY: Refusal.OPPORTUNITY_REOPENED_AFTER_END,
    Matter.QUOTE: Refusal.QUOTE_CHANGED_AFTER_END,
}


class LateReport(Record):
    """Something that happened to a deal after its end, as the systems report it: a hint to look, not the truth."""

    quote_number: Id = Field(min_length=1, description="Of the deal")
    event: FinanceEvent | SalesEvent

    @property
    def key(self) -> str:
        """What tells it from every other: one payment may be of two orders."""
        order = self.event.order_number if isinstance(self.event, FinanceEvent) else ""
        return f"{self.event.event_id}|{order}|{self.quote_number}"

    @property
    def matter(self) -> Matter:
        """What it is about."""
        if isinstance(self.event, FinanceEvent):
            return Matter.MONEY
        return _OF_SALES.get(self.event.kind, Matter.UNKNOWN)

    @property
    def needs_look(self) -> bool:
        """Whether it can make something stand open: a payment only settles what does."""
        return self.event.kind is not FinanceEventKind.PAYMENT_POSTED


class EndedDeal(Record):
    """What is known of a deal that ended, from what its run left."""

    company: str
    quote_number: str
    quote_id: str
    order_number: str = ""
    sales_order_id: str = ""
    opportunity_id: str = ""
    customer: str = Field("", description="Account in Finance")
    customer_name: str = ""
    currency: str = ""
    owner: Person
    ending: Ending
    ended_at: datetime

    @classmethod
    def of(cls, view: DealView) -> EndedDeal:
        """From the result of the deal's run."""
        same = {name: getattr(view, name) for name in cls.model_fields if name not in _OTHERWISE_IN_VIEW}
        return cls(**same, customer=view.customer_account, owner=view.owner.named, ended_at=view.updated_at)


_OTHERWISE_IN_VIEW = ("customer", "owner", "ended_at")


class LateDocument(Record):
    """A document of Finance that is not as the deal ended with it. Money in its own currency."""

    number: str
    total: Decimal
    open_amount: Decimal
    currency: str
    was_open: Decimal | None = Field(None, description="When the deal ended; None: it was not there")

    @property
    def stands_open(self) -> bool:
        """Whether more is open than when the deal ended."""
        return abs(self.open_amount) > abs(self.was_open or _NONE)

    @property
    def code(self) -> Refusal:
        """What it is an instance of."""
        if self.was_open is not None:
            return Refusal.PAYMENT_REVERSED_AFTER_END
        return Refusal.CREDIT_NOTE_AFTER_END if self.total < 0 else Refusal.INVOICE_AFTER_END

    @property
    def text(self) -> str:
        """In words."""
        left = format_money(self.open_amount, self.currency)
        total = format_money(self.total, self.currency)
        match self.code:
            case Refusal.PAYMENT_REVERSED_AFTER_END:
                return f"{left} of invoice {self.number} ({total}) is open again"
            case Refusal.CREDIT_NOTE_AFTER_END:
                return f"credit note {self.number} of {total} was posted, and {left} of it is open"
            case _:
                return f"invoice {self.number} of {total} was posted, and {left} of it is open"


class LookAfterEnd(Record):
    """Look at a deal that ended."""

    company: str
    quote_number: str
    deal: EndedDeal | None = Field(None, description="Where it is known from an earlier look; None: its run is read")
    known: dict[str, Decimal] = Field(
        default_factory=dict, description="With ``deal``: what was open on its documents when it ended"
    )
    matters: tuple[Matter, ...]


class FoundAfterEnd(Record):
    """What a look found, after it was shown in Sales."""

    deal: EndedDeal | None = None
    known: dict[str, Decimal] = Field(
        default_factory=dict, description="What was open on its documents when it ended, by number"
    )
    nothing: str = Field("", description="Why there is nothing to compare, in words; empty: there is")
    running: bool = Field(False, description="A deal runs for the quote again, and takes its own reports")
    documents: tuple[LateDocument, ...] = Field((), max_length=MOST_DOCUMENTS)
    more_documents: int = 0
    open_amount: Decimal = Field(_NONE, description="Of all documents that stand open")
    not_shown: str = Field("", description="What Sales does not take, in words; empty: it shows all")
    in_sales: tuple[Matter, ...] = Field((), description="Records of Sales that are not as the deal ended with them")


class Finding(Record):
    """What stands open of one matter."""

    matter: Matter
    codes: tuple[Refusal, ...]
    text: str
    documents: tuple[LateDocument, ...] = ()
    more_documents: int = 0
    open_amount: Decimal = _NONE

    @property
    def facts(self) -> str:
        """A digest of what was found: a person who dismissed it dismissed this and nothing else."""
        rows = [f"{d.number}|{plain(d.open_amount)}" for d in self.documents]
        content = "\n".join([*self.codes, plain(self.open_amount), *sorted(rows)])
        return hashlib.sha256(content.encode()).hexdigest()[:32]


def changed_documents(
    known: dict[str, Decimal], now: Iterable[tuple[str, Decimal, Decimal, str]]
) -> tuple[LateDocument, ...]:
    """The documents that are not as a deal ended with them; what stands open comes first.

    Args:
        known: what was open on each document when the deal ended, by number.
        now: number, total, open amount and currency of each document as Finance holds it.
    """
    all_of = [
        LateDocument(number=number, total=total, open_amount=left, currency=currency, was_open=known.get(number))
        for number, total, left, currency in now
    ]
    changed = [document for document in all_of if document.was_open != document.open_amount]
    return tuple(sorted(changed, key=lambda document: (not document.stands_open, document.number)))


def findings(found: FoundAfterEnd, matters: Iterable[Matter]) -> dict[Matter, Finding | None]:
    """What stands open of each matter that was looked at; None: both systems agree.

    Args:
        found: what the look found.
        matters: what it looked at.
    """
    asked = [matter for matter in matters if matter is not Matter.UNKNOWN]
    if found.nothing:
        return {Matter.UNKNOWN: _unknown(found)}
    opened: dict[Matter, Finding | None] = {matter: _of(matter, found) for matter in asked}
    return opened | {Matter.UNKNOWN: None}


def _of(matter: Matter, found: FoundAfterEnd) -> Finding | None:
    if matter is Matter.MONEY:
        return _money(found)
    if matter not in found.in_sales:
        return None
    code = _SALES_CODES[matter]
    return Finding(matter=matter, codes=(code,), text=code.sentence)


def _money(found: FoundAfterEnd) -> Finding | None:
    standing = [document for document in found.documents if document.stands_open]
    codes = list(dict.fromkeys(document.code for document in standing))
    texts = [document.text for document in standing[:5]]
    if (more := len(standing) - len(texts) + found.more_documents) > 0:
        texts.append(f"{more} more documents")
    if found.not_shown:
        codes.append(Refusal.NOT_SHOWN_AFTER_END)
        texts.append(f"Sales does not show it: {found.not_shown}")
    if not codes:
        return None
    text = "; ".join(texts)
    return Finding(
        matter=Matter.MONEY,
        codes=tuple(codes),
        text=f"{text[:1].upper()}{text[1:]}"[:LONGEST_WHY],
        documents=found.documents,
        more_documents=found.more_documents,
        open_amount=found.open_amount,
    )


def _unknown(found: FoundAfterEnd) -> Finding:
    return Finding(
        matter=Matter.UNKNOWN, codes=(Refusal.NOTHING_TO_COMPARE,), text=f"{found.nothing[:LONGEST_WHY]}".rstrip()
    )


class LateStatus(StrEnum):
    """Where an exception stands."""

    OPEN = "open"
    SETTLED = "settled"
    """Both systems agreed again by themselves."""
    DISMISSED = "dismissed"
    """A person said that it is settled otherwise, and why."""


class LateEntry(Record):
    """An exception: what stood open after a deal's end, whose it is, and how it ended."""

    n: int = Field(ge=1, description="Its number within the company")
    deal: EndedDeal
    matter: Matter
    status: LateStatus = LateStatus.OPEN
    codes: tuple[str, ...] = Field(description="What it is an instance of (docs/api.md, refusals)")
    text: str
    role: str = Field(description="Whose it is")
    documents: tuple[LateDocument, ...] = ()
    more_documents: int = 0
    open_amount: Decimal = _NONE
    reports: int = Field(0, description="How many reports of the two systems it stands for")
    opened_at: AwareDatetime
    looked_at: AwareDatetime
    closed_at: AwareDatetime | None = None
    closed_by: Person | None = None
    reason: str = Field("", description="Why it was dismissed")
    facts: str = ""
    known: dict[str, Decimal] = Field(default_factory=dict, description="What was open when the deal ended")
    reference: str = Field("", description="Of what no deal takes: order number, quote number or id of the record")
    help: str = Field("", description="Of what no deal takes: what to do about it")
    again: tuple[Report, ...] = Field((), description="Of what no deal takes: what is offered to the deals again")

    @computed_field(description="How much harm it does to wait")  # type: ignore[prop-decorator]
    @property
    def severity(self) -> Severity:
        """The worst of its codes."""
        return worst(self.codes)

    @property
    def is_open(self) -> bool:
        """Whether somebody still has to do something about it."""
        return self.status is LateStatus.OPEN


class LateView(Record):
    """What stands open after the end of a company's deals, and what became of all that was reported."""

    company: str
    entries: tuple[LateEntry, ...] = Field((), description="Open ones first, the newest in front")
    tally: dict[str, int] = Field(default_factory=dict, description="Reports received, and what became of them")
    failing: str = Field("", description="What failed when it was last tried, and why; empty: nothing")
    next_look_at: AwareDatetime | None = None
