"""Option numbers of Dataverse's tables, and what the rules call them: the only place that knows them.

No HTTP client and no row is needed to know them, so the parser of webhooks uses them as well.
Sources: Microsoft's table reference of quote, salesorder, invoice and opportunity (state and status columns); the
`q2c_*` choices are the product's own, in its solution.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Literal

from domain.messages import SalesEventKind


class QuoteState(IntEnum):
    """statecode of quote."""

    DRAFT = 0
    ACTIVE = 1
    WON = 2
    CLOSED = 3


class QuoteStatus(IntEnum):
    """statuscode of quote."""

    DRAFT = 1
    IN_PROGRESS = 2
    OPEN = 3
    WON = 4
    LOST = 5
    CANCELED = 6
    REVISED = 7


class OrderState(IntEnum):
    """statecode of salesorder."""

    ACTIVE = 0
    SUBMITTED = 1
    CANCELED = 2
    FULFILLED = 3
    INVOICED = 4


class OrderStatus(IntEnum):
    """statuscode of salesorder."""

    NEW = 1
    PENDING = 2
    IN_PROGRESS = 3
    NO_MONEY = 4
    COMPLETE = 100001
    PARTIAL = 100002
    INVOICED = 100003


class InvoiceState(IntEnum):
    """statecode of invoice."""

    ACTIVE = 0
    CLOSED = 1
    PAID = 2
    CANCELED = 3


class InvoiceStatus(IntEnum):
    """statuscode of invoice; only those this product sets."""

    BILLED = 4
    COMPLETE = 100001
    PARTIAL = 100002


class OpportunityState(IntEnum):
    """statecode of opportunity."""

    OPEN = 0
    WON = 1
    LOST = 2


OPPORTUNITY_WON_STATUS = 3
"""statuscode `Won`, the `Status` of WinOpportunity."""


class ApprovalChoice(IntEnum):
    """quote.q2c_approvalstatus."""

    NONE = 100000000
    REQUESTED = 100000001
    PENDING = 100000002
    APPROVED = 100000003
    REJECTED = 100000004


class DealStage(IntEnum):
    """q2c_deal.q2c_stage."""

    OPPORTUNITY = 100000000
    QUOTE = 100000001
    CREDIT = 100000002
    ORDER = 100000003
    FULFILMENT = 100000004
    INVOICE = 100000005
    PAYMENT = 100000006
    CLOSED = 100000007


class CreditChoice(IntEnum):
    """q2c_creditstatus of quote, while it can be written, and of q2c_deal."""

    NOTCHECKED = 100000000
    PASSED = 100000001
    HELD = 100000002
    RELEASED = 100000003


class FulfilmentChoice(IntEnum):
    """q2c_deal.q2c_fulfilmentstatus."""

    NONE = 100000000
    CONFIRMED = 100000001
    PARTIAL = 100000002
    SHIPPED = 100000003
    INVOICED = 100000004
    CLOSED = 100000005


class PaymentChoice(IntEnum):
    """q2c_deal.q2c_paymentstatus."""

    OPEN = 100000000
    PARTIAL = 100000001
    PAID = 100000002


QUOTE_CLOSED_AS: Mapping[int, SalesEventKind] = {
    QuoteStatus.LOST: SalesEventKind.LOST,
    QuoteStatus.CANCELED: SalesEventKind.CANCELLED,
    QuoteStatus.REVISED: SalesEventKind.REVISED,
}
"""What happened to a quote, by the status it was closed with; a status of the tenant's own is in no row."""

PAYMENT_TERMS_LABELS: Mapping[int, str] = {1: "Net 30", 2: "2% 10, Net 30", 3: "Net 45", 4: "Net 60"}
"""paymenttermscode of a quote as Dataverse ships it; a tenant may add choices of its own."""

QUOTE_STATE_NAMES: Mapping[QuoteState, Literal["draft", "active", "won", "closed"]] = {
    QuoteState.DRAFT: "draft",
    QuoteState.ACTIVE: "active",
    QuoteState.WON: "won",
    QuoteState.CLOSED: "closed",
}
