"""What tools answer. Numbers and codes stand by themselves; every text that somebody wrote is fenced."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from pydantic import Field

from assistant.stored import Stored
from domain.entities.dictionary import Place
from domain.record import Record


class Answer(Record):
    """What every answer says."""

    as_of: datetime = Field(description="When this was read, UTC")


class DealRow(Record):
    """A deal in a list."""

    company: str
    quote: str
    name: Stored
    customer: str = Field(description="Customer account in Finance")
    customer_name: Stored
    stage: str
    waiting_for: str
    parked_because: str = Field(description="Cause, where a step failed for good; else empty")
    order: str
    amount: Decimal | None
    currency: str
    status: str
    deadline: datetime | None


class Deals(Answer):
    """Deals that were found."""

    deals: tuple[DealRow, ...]
    more: bool = Field(description="There are more than are listed")


class Happened(Record):
    """Something that happened to a deal."""

    at: datetime
    who: Stored
    event: str
    text: Stored
    accepted: bool
    code: str


class Document(Record):
    """A document of a deal."""

    kind: str
    system: str
    number: str
    amount: Decimal | None
    open_amount: Decimal | None
    status: Stored
    due_on: datetime | None


class Explained(Answer):
    """Why a deal stands where it does, and what would move it."""

    company: str
    quote: str
    stage: str
    ending: str
    waiting_for: str
    since: datetime
    why: Stored
    unblock: Stored
    who_can_act: tuple[Stored, ...]
    deadline: datetime | None
    problems: tuple[str, ...] = Field(description="Codes of what is wrong with the quote")
    exceptions: tuple[Stored, ...]
    credit_status: str
    order: str
    total: Decimal
    open_amount: Decimal
    currency: str
    approvals: tuple[Stored, ...]
    documents: tuple[Document, ...]
    timeline: tuple[Happened, ...] = Field(description="The last of what happened, oldest first")


class Hold(Record):
    """A deal that does not go on by itself."""

    deal: DealRow
    why: Stored
    unblock: Stored
    credit_reasons: tuple[str, ...] = Field(description="Codes, where credit is held")


class Holds(Answer):
    """Deals on credit hold, and deals with a step that failed for good."""

    credit: tuple[Hold, ...]
    parked: tuple[Hold, ...]
    more: bool


class Difference(Record):
    """What is not the same in both systems."""

    record: Stored
    kind: str
    field: str
    owner: str
    finance: Stored | None = Field(description="Null: personal data, which assistants are not shown")
    sales: Stored | None
    first_seen_at: datetime


class Differences(Answer):
    """Where both systems differ about an entity of a company."""

    entity: str
    company: str
    compared_at: datetime | None = Field(description="When both systems were compared last; null: never")
    open: dict[str, int] = Field(description="How many are open, by kind")
    differences: tuple[Difference, ...]
    more: bool


class Customer(Answer):
    """A customer, as its deals and its account tell."""

    company: str
    account: str
    deals: tuple[DealRow, ...]
    more: bool
    overdue: Decimal | None = Field(description="Null: nothing is known of the account, or you may not see it")
    currency: str
    level: str = Field(description="Highest dunning level reached")


class MappedField(Record):
    """A field of both systems."""

    name: str
    finance: str
    sales: str
    owner: str
    how: str
    personal: bool


class Described(Answer):
    """What a map says of one kind of record."""

    entity: str
    title: str
    map_hash: str
    facts: dict[str, str]
    fields: tuple[MappedField, ...]
    unconfirmed: tuple[str, ...]


class Scored(Record):
    """The quality of an entity's records in a company."""

    entity: str
    company: str
    score: Decimal = Field(description="0 to 100")
    records: int
    critical: int = Field(description="Breaks of critical rules")
    failing: int
    before: Decimal | None


class Quality(Answer):
    """The scores of the last check of data quality."""

    checked_at: datetime | None = Field(description="Null: no check was made")
    scores: tuple[Scored, ...]


class Lineage(Answer):
    """Where a field comes from, where it goes, and who is asked about it."""

    entity: str
    field: str
    path: tuple[Place, ...] = Field(description="From where it is owned to where it is seen")
    owner: str
    carried_by: str
    changed_on_the_way: str
    personal: bool
    compared_at: datetime | None
    open_differences: int | None = Field(description="Of this field; 20 or more are 20. Null: not known to you")
