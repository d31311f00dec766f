"""What the product needs in Dataverse: solution, table, columns, relationships, keys, role, webhook steps.

The one description of it. `q2c setup dataverse` creates what is missing of it, `q2c doctor` looks at each part, and the
tables of docs/tenant-set-up.md are written from it (a test compares them).

Names of Microsoft's tables, messages and rights: Microsoft Learn, table references of Dataverse and Dynamics 365 Sales,
"Security roles and privileges", "Register a plug-in" (messages that have images).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal

from dynamics.sales.options import ApprovalChoice, CreditChoice, DealStage, FulfilmentChoice, PaymentChoice

Kind = Literal["String", "Memo", "Picklist", "Money", "DateTime"]
"""Type of a column: what stands before `AttributeMetadata`."""

PREFIX: Final = "q2c"
PUBLISHER: Final = "q2c"
OPTION_PREFIX: Final = 10000
"""Of the publisher: its options are numbered from 100000000."""
SOLUTION: Final = "QuoteToCash"
TITLE: Final = "Quote to Cash"
"""Display name of publisher and solution, name of the role and of the webhook's endpoint."""
VERSION: Final = "1.0.0.0"

IMAGE: Final = "PostImage"
"""Alias of a step's image."""
KEY_HEADER: Final = "x-q2c-webhook-key"
"""Header in which the webhook shows its key."""
INTAKE: Final = "/intake/dataverse"
"""Path of the web application that webhooks are sent to."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the product's own.

    Attributes:
        table: logical name of its table.
        schema_name: name as it is created; the logical name is its lower case.
        label: shown to people.
        kind: its type.
        length: most characters of a text.
        options: a choice's values and their labels; the first one is the default.
        format: of a line of text, other than plain text.
        note: what it holds, for the documentation.
    """

    table: str
    schema_name: str
    label: str
    kind: Kind
    length: int = 0
    options: Mapping[IntEnum, str] | None = None
    format: Literal["Text", "Url"] = "Text"
    note: str = ""

    @property
    def name(self) -> str:
        """Logical name."""
        return self.schema_name.lower()


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the product's own, with its primary column."""

    schema_name: str
    label: str
    plural: str
    primary: Column

    @property
    def name(self) -> str:
        """Logical name."""
        return self.schema_name.lower()


@dataclass(frozen=True, slots=True)
class Relationship:
    """A lookup of the product's own.

    Attributes:
        schema_name: name of the relationship as it is created.
        parent: logical name of the table that is pointed to.
        child: logical name of the table that has the column.
        lookup: schema name of the column.
        label: of the column, shown to people.
    """

    schema_name: str
    parent: str
    child: str
    lookup: str
    label: str


@dataclass(frozen=True, slots=True)
class Key:
    """An alternate key over one column, by logical names."""

    table: str
    schema_name: str
    column: str


@dataclass(frozen=True, slots=True)
class Step:
    """A message of a table that is sent to the web application, asynchronously, after the operation.

    Attributes:
        table: logical name.
        message: the platform's name for what happened.
        filtering: columns of which one must be written; empty: always sent.
        image: columns the call carries as they are afterwards; empty: no image, because the platform has none for the
            message, or, for Delete, none of afterwards.
    """

    table: str
    message: str
    filtering: tuple[str, ...] = ()
    image: tuple[str, ...] = ()


_APPROVAL: Mapping[IntEnum, str] = {
    ApprovalChoice.NONE: "None",
    ApprovalChoice.REQUESTED: "Requested",
    ApprovalChoice.PENDING: "Pending",
    ApprovalChoice.APPROVED: "Approved",
    ApprovalChoice.REJECTED: "Rejected",
}
_CREDIT: Mapping[IntEnum, str] = {
    CreditChoice.NOTCHECKED: "Not checked",
    CreditChoice.PASSED: "Passed",
    CreditChoice.HELD: "Held",
    CreditChoice.RELEASED: "Released",
}
_STAGE: Mapping[IntEnum, str] = {
    DealStage.OPPORTUNITY: "Opportunity",
    DealStage.QUOTE: "Quote",
    DealStage.CREDIT: "Credit check",
    DealStage.ORDER: "Order",
    DealStage.FULFILMENT: "Fulfilment",
    DealStage.INVOICE: "Invoice",
    DealStage.PAYMENT: "Payment",
    DealStage.CLOSED: "Closed",
}
_FULFILMENT: Mapping[IntEnum, str] = {
    FulfilmentChoice.NONE: "None",
    FulfilmentChoice.CONFIRMED: "Confirmed",
    FulfilmentChoice.PARTIAL: "Partial",
    FulfilmentChoice.SHIPPED: "Shipped",
    FulfilmentChoice.INVOICED: "Invoiced",
    FulfilmentChoice.CLOSED: "Closed",
}
_PAYMENT: Mapping[IntEnum, str] = {
    PaymentChoice.OPEN: "Open",
    PaymentChoice.PARTIAL: "Partial",
    PaymentChoice.PAID: "Paid",
}

DEAL: Final = Table("q2c_Deal", "Deal", "Deals", Column("q2c_deal", "q2c_Name", "Name", "String", 200))
PAST_INVOICE: Final = Table(
    "q2c_PastInvoice",
    "Past invoice",
    "Past invoices",
    Column("q2c_pastinvoice", "q2c_Name", "Invoice number", "String", 200),
)
OWN_TABLES: Final = (DEAL, PAST_INVOICE)

COLUMNS: Final[tuple[Column, ...]] = (
    Column("quote", "q2c_ApprovalStatus", "Approval status", "Picklist", options=_APPROVAL),
    Column("quote", "q2c_ApprovalReason", "Approval reason", "Memo", 4000, note="why it is pending or rejected"),
    Column("quote", "q2c_CaseId", "Deal id", "String", 200, note="id of the deal"),
    Column("quote", "q2c_CreditStatus", "Credit status", "Picklist", options=_CREDIT),
    Column(
        "quote",
        "q2c_CustomerReference",
        "Customer's purchase order",
        "String",
        60,
        note="the customer's purchase order number",
    ),
    Column(
        "contact", "q2c_ContactPersonId", "Finance contact", "String", 20, note="id of the contact person in Finance"
    ),
    Column("salesorder", "q2c_FinanceOrderNumber", "Finance order number", "String", 30),
    Column("invoice", "q2c_FinanceInvoiceNumber", "Finance invoice number", "String", 30),
    Column("q2c_deal", "q2c_CaseId", "Deal id", "String", 200, note="id of the deal, on the deal's row"),
    Column("q2c_deal", "q2c_Stage", "Stage", "Picklist", options=_STAGE),
    Column("q2c_deal", "q2c_CreditStatus", "Credit status", "Picklist", options=_CREDIT, note="as on the quote"),
    Column("q2c_deal", "q2c_FulfilmentStatus", "Fulfilment status", "Picklist", options=_FULFILMENT),
    Column("q2c_deal", "q2c_PaymentStatus", "Payment status", "Picklist", options=_PAYMENT),
    Column(
        "q2c_deal",
        "q2c_OpenAmount",
        "Open amount",
        "Money",
        note="what is open on an invoice, on the invoice's row, in the order's currency",
    ),
    Column(
        "q2c_deal",
        "q2c_OrderedInFinance",
        "Ordered in Finance",
        "Memo",
        2000,
        note="quantities of the order that are not those of its lines here; empty: none",
    ),
    Column(
        "q2c_deal",
        "q2c_Collected",
        "Collected",
        "Memo",
        2000,
        note="levels reached, disputes, promises and rests of its open invoices; empty: none",
    ),
    Column("q2c_deal", "q2c_WaitingFor", "Waiting for", "String", 200, note="what it waits for; empty: nothing"),
    Column("q2c_deal", "q2c_WaitingSince", "Waiting since", "DateTime", note="since when"),
    Column("q2c_deal", "q2c_Link", "Link", "String", 500, format="Url", note="page of the deal"),
    Column("q2c_pastinvoice", "q2c_Company", "Legal entity", "String", 10),
    Column("q2c_pastinvoice", "q2c_FinanceKey", "Finance record", "String", 20, note="Finance's number of the record"),
    Column("q2c_pastinvoice", "q2c_InvoiceAccount", "Invoice account", "String", 20, note="who is billed"),
    Column("q2c_pastinvoice", "q2c_OrderAccount", "Ordering account", "String", 20, note="who ordered"),
    Column("q2c_pastinvoice", "q2c_OrderNumber", "Order", "String", 20, note="empty: billed without an order"),
    Column("q2c_pastinvoice", "q2c_Voucher", "Voucher", "String", 20),
    Column("q2c_pastinvoice", "q2c_Reference", "Customer's reference", "String", 60),
    Column("q2c_pastinvoice", "q2c_InvoicedOn", "Invoiced on", "DateTime", note="the day, at noon UTC"),
    Column("q2c_pastinvoice", "q2c_DueOn", "Due on", "DateTime", note="the day, at noon UTC"),
    Column("q2c_pastinvoice", "q2c_Total", "Total", "Money", note="with tax; less than nought: a credit note"),
    Column("q2c_pastinvoice", "q2c_Tax", "Tax", "Money"),
)

RELATIONSHIPS: Final[tuple[Relationship, ...]] = (
    Relationship("q2c_quote_deals", "quote", "q2c_deal", "q2c_QuoteId", "Quote"),
    Relationship("q2c_salesorder_deals", "salesorder", "q2c_deal", "q2c_SalesOrderId", "Order"),
    Relationship("q2c_invoice_deals", "invoice", "q2c_deal", "q2c_InvoiceId", "Invoice"),
    Relationship("q2c_account_pastinvoices", "account", "q2c_pastinvoice", "q2c_AccountId", "Customer"),
)

KEYS: Final[tuple[Key, ...]] = (
    Key("salesorder", "q2c_FinanceOrderNumber_key", "q2c_financeordernumber"),
    Key("invoice", "q2c_FinanceInvoiceNumber_key", "q2c_financeinvoicenumber"),
    Key("q2c_deal", "q2c_CaseId_key", "q2c_caseid"),
)

TRACKED: Final = ("quote", "opportunity", "salesorder")
"""Tables with change tracking: what a webhook missed is found by it."""

AUDITED: Final[Mapping[str, tuple[str, ...]]] = {
    "quote": (
        *("name", "customerid", "ownerid", "pricelevelid", "transactioncurrencyid", "effectiveto", "expireson"),
        *("paymenttermscode", "requestdeliveryby", "discountpercentage", "discountamount", "freightamount"),
        *("shipto_name", "shipto_contactname", "shipto_telephone", "shipto_line1", "shipto_line2", "shipto_line3"),
        *("shipto_city", "shipto_postalcode", "shipto_stateorprovince", "shipto_country"),
        *("description", "q2c_customerreference", "q2c_approvalstatus"),
    ),
    "quotedetail": (
        *("productid", "uomid", "isproductoverridden", "productdescription", "description", "quantity"),
        *("ispriceoverridden", "priceperunit", "manualdiscountamount", "tax", "lineitemnumber", "sequencenumber"),
    ),
}
"""Tables and columns whose changes Dataverse's audit must hold: who made a quote never decides it, and who edited it
before somebody else did is known from the audit alone. The columns are those a person enters and an approval is of."""

_ACTIVITIES = ("quoteclose", "orderclose", "opportunityclose")
_CONFIGURATION = (
    "publisher",
    "solution",
    "role",
    "serviceendpoint",
    "sdkmessage",
    "sdkmessageprocessingstep",
    "sdkmessageprocessingstepimage",
)
"""Read by `q2c doctor` alone."""
_DOCUMENTS = ("quote", "salesorder", "invoice")
_OWN = tuple(table.name for table in OWN_TABLES)

RIGHTS: Final[Mapping[str, tuple[str, ...]]] = {
    "Read": (
        *("account", "contact", "opportunity", "product", "pricelevel", "uom", "transactioncurrency", "businessunit"),
        *(
            "systemuser",
            "team",
            "organization",
            *_DOCUMENTS,
            *_ACTIVITIES,
            *_OWN,
            "audit",
            "annotation",
            *_CONFIGURATION,
        ),
    ),
    "Write": (*_DOCUMENTS, "account", "contact", "opportunity", *_ACTIVITIES, *_OWN),
    "Create": ("account", "salesorder", "invoice", *_ACTIVITIES, *_OWN, "annotation"),
    "Append": (*_DOCUMENTS, *_ACTIVITIES, *_OWN, "annotation"),
    "AppendTo": ("account", "contact", "opportunity", "product", "transactioncurrency", *_DOCUMENTS),
    "Assign": ("account", "salesorder", "invoice", *_ACTIVITIES, "q2c_deal"),
}
"""What the role allows on which tables, each at organization level: no more, and nothing is ever deleted."""

_QUOTE_IMAGE = (
    *("quotenumber", "revisionnumber", "statecode", "statuscode", "q2c_approvalstatus", "owningbusinessunit"),
    *("ownerid", "versionnumber", "expireson"),
)

STEPS: Final[tuple[Step, ...]] = (
    Step("quote", "Create", image=_QUOTE_IMAGE),
    Step("quote", "Update", ("q2c_approvalstatus", "statecode", "statuscode"), _QUOTE_IMAGE),
    Step("quote", "Delete"),
    Step("quote", "Win"),
    Step("quote", "Close"),
    Step("quote", "Revise"),
    Step(
        "opportunity",
        "Update",
        ("statecode", "statuscode"),
        ("name", "statecode", "statuscode", "owningbusinessunit"),
    ),
    Step("opportunity", "Win"),
    Step("opportunity", "Lose"),
)


def columns_of(table: str) -> tuple[Column, ...]:
    """The product's own columns of a table, its primary one included, lookups not."""
    primary = tuple(own.primary for own in OWN_TABLES if own.name == table)
    return primary + tuple(column for column in COLUMNS if column.table == table)


TABLES: Final = tuple(dict.fromkeys(column.table for column in COLUMNS))
"""Logical names of the tables with columns of the product's own."""
