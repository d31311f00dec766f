"""What is said to a running deal: events of the two systems, decisions and commands of people.

Every message has an id of its own; a second delivery of the same id changes nothing. The outcome of a person's
message is read back by the query ``outcome(message_id)``.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, Field

from domain.line_change import MOST_LINES, LineChange
from domain.people import Person
from domain.record import Record
from domain.rights import Granted
from domain.sign_in import SignIn

Id = Annotated[str, Field(max_length=300)]
"""An id of a message, a record, a document or a person."""
Words = Annotated[str, Field(max_length=4_000)]
Label = Annotated[str, Field(max_length=1_000)]
"""A person's name, with whose place they take."""
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
Number = Annotated[Decimal, Field(ge=-(10**15), le=10**15, max_digits=28, decimal_places=10)]
"""A quantity or an amount of money; beyond it, a number is a mistake."""


class SalesEventKind(StrEnum):
    """What happened to a quote or its opportunity in Dynamics 365 Sales."""

    SUBMITTED = "submitted"
    ACTIVATED = "activated"
    ACCEPTED = "accepted"
    REVISED = "revised"
    LOST = "lost"
    CANCELLED = "cancelled"
    WITHDRAWN = "withdrawn"
    OPPORTUNITY_LOST = "opportunity_lost"
    OPPORTUNITY_REOPENED = "opportunity_reopened"
    DELETED = "deleted"
    ORDER_CANCELLED = "order_cancelled"
    ORDERS_MADE = "orders_made"


class SalesEvent(Record):
    """A change in Dynamics 365 Sales, as the webhook or the sweep reports it.

    It is a hint to look, not the truth: the deal reads the quote again before it acts on it.
    """

    event_id: Id = Field(min_length=1, description="Same id for the same fact, whether it came by webhook or by sweep")
    kind: SalesEventKind
    company: Id
    quote_number: Id
    quote_id: Id
    revision: Count
    version: Count = Field(0, description="Dataverse row version: orders events of one record")
    occurred_at: AwareDatetime
    actor: Id = Field("", description="Dataverse user id (GUID) of who did it")
    source: Id = "webhook"
    orders: tuple[Id, ...] = Field(
        (), max_length=20, description="Orders of Sales made from the quote beside the deal's own, by number"
    )


class FinanceEventKind(StrEnum):
    """What happened in Dynamics 365 Finance."""

    SHIPMENT_POSTED = "shipment_posted"
    INVOICE_POSTED = "invoice_posted"
    PAYMENT_POSTED = "payment_posted"
    PAYMENT_REVERSED = "payment_reversed"
    CREDIT_LIMIT_CHANGED = "credit_limit_changed"
    CUSTOMER_BLOCKED = "customer_blocked"
    CREDIT_HOLD = "credit_hold"
    ORDER_CHANGED = "order_changed"


SWEEP: Final = "sweep"
"""Source of a FinanceEvent that a sweep found; it knows the day alone."""


class FinanceEvent(Record):
    """A business event of Dynamics 365 Finance, or what a sweep found in its place."""

    event_id: Id = Field(min_length=1)
    kind: FinanceEventKind
    company: Id
    customer_account: Id = ""
    order_number: Id = ""
    document: Id = Field("", description="Packing slip, invoice or payment id; of a changed order, what was changed")
    invoice: Id = Field("", description="Of a payment: the invoice it settles, where that names no order")
    amount: Number | None = Field(None, description="Company currency; payment: the amount received")
    control_number: Count = 0
    occurred_at: AwareDatetime
    source: Id = "business_event"


SIGNATURE_ISSUER = "q2c-web"
"""``iss`` of what the web application signs for a person."""


class SignedMessage(Record):
    """A decision or command of a person, signed by the web application.

    The token is a compact JWS (EdDSA) with claims ``iss`` = ``SIGNATURE_ISSUER``, ``aud`` = the workflow id it is for,
    ``jti`` = message_id, ``iat``, ``exp``, ``sub`` = the person's Entra object id, ``name``, ``upn``, ``roles``,
    ``auth_time``, ``amr`` and ``acrs`` = when and how they signed in, as far as it is known, and ``act`` =
    {"name": …, "args": {…}}. What is not in the token was not said by a person.
    """

    message_id: Id = Field(min_length=1)
    token: str = Field(max_length=16_000)


class VerifiedMessage(Record):
    """What a signed message says, once its signature, audience and expiry were checked, and what it may come to.

    The rows of the table of rights are those in force when the message was checked, so that a right which was taken
    away counts at once, and a replay decides as the run did.
    """

    message_id: str
    person: Person
    name: str
    args: dict[str, Any] = Field(default_factory=dict)
    signed_at: AwareDatetime | None = Field(None, description="UTC, as the proof says; set where it holds")
    expires_at: AwareDatetime | None = Field(None, description="UTC; until when the proof holds")
    sign_in: SignIn = Field(
        SignIn(), description="How and when the person had signed in; what is not known is left out"
    )
    granted: Granted = Field(Granted(), description="What the table of rights grants them for this, in the company")
    refused: str = Field("", description="UNAUTHENTICATED and why, when the proof does not hold")


class Outcome(Record):
    """What became of a message."""

    message_id: str
    accepted: bool
    code: str = Field("", description="Refusal code, e.g. ALREADY_DECIDED; empty when accepted")
    detail: str = ""
    digest: str = Field("", description="Of the content it answers (domain.heard); empty where nothing was proved")


class CommandName(StrEnum):
    """Commands of people to a deal (POST /api/v1/cases/{company}/{quote}/commands/{name})."""

    RETRY = "retry"
    SKIP = "skip"
    ABORT = "abort"
    WITHDRAW = "withdraw"
    CANCEL = "cancel"
    CREDIT_RECHECK = "credit_recheck"
    CREDIT_RELEASE = "credit_release"
    CREDIT_REJECT = "credit_reject"
    REFUND_PROPOSE = "refund_propose"
    REFUND_APPROVE = "refund_approve"
    CREDIT_KEEP = "credit_keep"
    CREATE_CUSTOMER = "create_customer"
    CHOOSE_CUSTOMER = "choose_customer"
    NEW_CUSTOMER = "new_customer"
    REJECT_CUSTOMER = "reject_customer"
    CANCEL_ORDER = "cancel_order"
    CHANGE_ORDER = "change_order"
    REREAD = "reread"


class CustomerChanged(Record):
    """Something about a customer's credit changed: deals on hold may look again."""

    event_id: Id = Field(min_length=1)
    reason: Words
    freed: Number | None = Field(None, description="Amount by which exposure fell, incl. tax; None: not known")
    lowers: bool = Field(False, description="There may be less credit than before: confirmed orders look again")


class CreditRecheck(Record):
    """The ledger asks a held deal to look again."""

    message_id: Id = Field(min_length=1)
    reason: Words


class Supersede(Record):
    """A deal tells its approval request that the quote moved on. Nothing in it grants anything."""

    message_id: Id = Field(min_length=1)
    status: Literal["withdrawn", "superseded", "expired"]
    reason: Words
    by_revision: Count | None = Field(None, description="The revision that takes its place, if there is one")


class HandOver(Record):
    """A deal that continues as new asks its request to go on under the deal's next run."""

    message_id: Id = Field(min_length=1)


class DecisionRefused(Record):
    """A request for approval tells its deal whose decision it did not take, so that the attempt is on record there."""

    message_id: Id = Field(min_length=1)
    person: Person
    code: Id
    detail: Words = ""
    at: AwareDatetime = Field(description="UTC")


class Reminding(Record):
    """Who was reminded of a step, and of what."""

    step: Count
    level: Count
    role: Id
    pct: Annotated[int, Field(ge=1, le=99)]
    who: tuple[Person, ...] = Field(max_length=50)
    due: AwareDatetime | None = Field(description="UTC; when the step's hours are over")


MOST_ASKED = 50
"""People a deal names that are asked at a time."""


class AskedNow(Record):
    """Others are asked than before: a level was approved, its hours are over, or somebody was replaced."""

    who: tuple[Label, ...] = Field(min_length=1, max_length=MOST_ASKED, description="All who are asked, in words")
    overdue: tuple[Count, ...] = Field(
        (), max_length=50, description="Levels nobody decided in time, so others are asked"
    )


class RequestNote(Record):
    """A request for approval tells its deal what became of it that changes no decision, so that it is on record there.

    One of them is set.
    """

    message_id: Id = Field(min_length=1)
    n: Count = Field(description="Number of the request within the deal")
    at: AwareDatetime = Field(description="UTC")
    reminding: Reminding | None = None
    said: SignedMessage | None = Field(None, description="What a person said to it that counted, to be checked again")
    question_closed: Count | None = Field(None, description="A step that was decided before its question was answered")
    asked: AskedNow | None = None


class ReviewRequest(Record):
    """Which lines of a quote somebody wants to see before deciding."""

    company: str
    quote_number: str
    quote_id: str
    revision: int
    snapshot_hash: str
    order_lines: tuple[LineChange, ...] = Field(
        (), max_length=MOST_LINES, description="Of a larger order: its quantities that are not the quote's"
    )
    offset: int = Field(0, ge=0)
    limit: int = Field(200, ge=1, le=500)


class PreviewRequest(Record):
    """Which quote somebody wants to ask the rules about before they submit it."""

    company: str
    quote_number: str


class OrderLinesRequest(Record):
    """Which lines of an order in Finance somebody wants to see."""

    company: str
    order_number: str
    offset: int = Field(0, ge=0)
    limit: int = Field(100, ge=1, le=500)


class LedgerNote(Record):
    """A deal tells its customer's ledger that its order is in Finance, or that it needs no credit any more."""

    deal_id: Id = Field(min_length=1)
    at: AwareDatetime = Field(description="UTC")
    follows: bool = Field(False, description="Its order is to look again whenever credit becomes less")
