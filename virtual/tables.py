"""The tables that Sales shows and nobody keeps: their columns, and what of Finance each is read from.

Names are the logical names the tables have in Dataverse, so that whoever sets them up maps each to itself. Types are
those that Dataverse's OData v4 provider can map (Microsoft Learn, "OData v4 Data Provider configuration, requirements,
and best practices"): no Int16, Single, Byte, Binary, and no Edm.Date.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID, uuid5

from dynamics.core.literals import key, literal, query

Row = Mapping[str, Any]
Edm = Literal["Edm.Guid", "Edm.String", "Edm.Decimal", "Edm.Int32", "Edm.Boolean", "Edm.DateTimeOffset"]

_KEYS: Final = UUID("3c1b8d52-0f0e-5b0a-9a53-5d5d0f0b7c11")
MOST_ROWS: Final = 5_000
"""Rows of Finance that one read takes: lists are for looking at, and whoever wants more asks for less of it."""
AS_OF: Final = "q2c_asof"
FRESHNESS: Final = "q2c_freshness"


class Column(NamedTuple):
    """A column of a table."""

    name: str
    edm: Edm
    help: str
    nullable: bool = True


@dataclass(frozen=True)
class Link:
    """A lookup to a table of Sales, whose row tells a number of Finance."""

    column: str
    by: str
    """Our column that holds the number."""
    entity_set: str
    number: str
    """Column of Sales that holds it."""
    of_company: bool
    """Whether a row of Sales belongs to one company."""


@dataclass(frozen=True)
class Ask:
    """A part of a table that Finance is asked for: all rows of a company, or those of a customer or an item."""

    table: str
    company: str
    column: str = ""
    """One of the table's narrow columns, or its link; empty: all rows."""
    value: str = ""


Made = Callable[[Ask, Mapping[str, list[Row]], date], Iterator[dict[str, Any]]]


@dataclass(frozen=True)
class Table:
    """One virtual table."""

    name: str
    title: str
    columns: tuple[Column, ...]
    reads: Callable[[Ask, str], Mapping[str, str]]
    """Paths by name, given what is asked and the condition on it."""
    made: Made
    """Rows of what was read, without key and freshness."""
    narrow: Mapping[str, str] = field(default_factory=dict)
    """Our columns by which Finance can be asked for less, and Finance's own."""
    link: Link | None = None

    @property
    def set(self) -> str:
        """Name of the entity set."""
        return f"{self.name}s"

    @property
    def id(self) -> str:
        """Name of the key."""
        return f"{self.name}id"

    @property
    def all_columns(self) -> tuple[Column, ...]:
        """The columns as Dataverse is told them."""
        return (
            Column(self.id, "Edm.Guid", "Key, the same at every read", nullable=False),
            *self.columns,
            *(
                (Column(self.link.column, "Edm.Guid", "The row in Sales, where it was asked for by it"),)
                if self.link
                else ()
            ),
            Column(AS_OF, "Edm.DateTimeOffset", "When Finance was read", nullable=False),
            Column(FRESHNESS, "Edm.String", "LIVE, CACHED or STALE", nullable=False),
        )

    def row_key(self, company: str, *parts: object) -> UUID:
        """The key of a row, the same for ever: Finance's own key says which it is."""
        return uuid5(_KEYS, "\n".join((self.name, company, *(str(part).casefold() for part in parts))))


def of_company(ask: Ask, table_narrow: Mapping[str, str]) -> str:
    """The condition on rows of Finance. Finance compares texts without regard to case."""
    company = f"dataAreaId eq {literal(ask.company)}"
    return f"{company} and {table_narrow[ask.column]} eq {literal(ask.value)}" if ask.column else company


def _listing(entity_set: str, condition: str, **options: str | int) -> str:
    return query(entity_set, cross_company="true", filter=condition, top=MOST_ROWS + 1, **options)


def _ledger(ask: Ask) -> str:
    path = key("Ledgers", LegalEntityId=ask.company)
    return query(path, cross_company="true", select="LegalEntityId,AccountingCurrency")


def _moment(value: object) -> datetime | None:
    """A day of Finance as an instant; its empty one, 1 January 1900, as none."""
    moment = datetime.fromisoformat(str(value)) if value else None
    return None if moment is None or moment.year == 1900 else moment.astimezone(UTC)


def _currency(read: Mapping[str, list[Row]]) -> str:
    return str(read["ledger"][0]["AccountingCurrency"]) if read["ledger"] else ""


# --- what is owed ---------------------------------------------------------------------------------------------------


def _balance_reads(ask: Ask, condition: str) -> Mapping[str, str]:
    customers = f"dataAreaId eq {literal(ask.company)} and CustomerAccount eq {literal(ask.value)}"
    columns = (
        {"customers": _listing("CustomersV3", customers, select="dataAreaId,CustomerAccount")} if ask.value else {}
    )
    opens = _listing("CustTransOpens", condition, select="SysRecId,dataAreaId,AccountNum,AmountMST,DueDate")
    return {"ledger": _ledger(ask), "opens": opens, **columns}


def _balances(ask: Ask, read: Mapping[str, list[Row]], today: date) -> Iterator[dict[str, Any]]:
    accounts: dict[str, list[Row]] = {str(row["CustomerAccount"]): [] for row in read.get("customers", ())}
    for row in read["opens"]:
        accounts.setdefault(str(row["AccountNum"]), []).append(row)
    for account, rows in accounts.items():
        due = sorted(found for row in rows if row["AmountMST"] > 0 and (found := _moment(row["DueDate"])))
        late = [row["AmountMST"] for row in rows if _late(row, today)]
        yield {
            "key": (account,),
            "q2c_name": account,
            "q2c_account": account,
            "q2c_currency": _currency(read),
            "q2c_balance": sum((row["AmountMST"] for row in rows), Decimal(0)),
            "q2c_overdue": sum(late, Decimal(0)),
            "q2c_openitems": len(rows),
            "q2c_oldestdue": due[0] if due else None,
        }


def _late(row: Row, today: date) -> bool:
    due = _moment(row["DueDate"])
    return due is not None and due.date() < today and row["AmountMST"] > 0


def _invoice_reads(ask: Ask, condition: str) -> Mapping[str, str]:
    return {"opens": _listing("CustTransOpens", f"{condition} and AmountCur gt 0", expand="CustTransaction")}


def _invoices(ask: Ask, read: Mapping[str, list[Row]], today: date) -> Iterator[dict[str, Any]]:
    for row in read["opens"]:
        posted: Row = row.get("CustTransaction") or {}
        due = _moment(row["DueDate"])
        yield {
            "key": (row["SysRecId"],),
            "q2c_name": posted.get("Invoice") or posted.get("Voucher") or "",
            "q2c_account": row["AccountNum"],
            "q2c_currency": posted.get("CurrencyCode"),
            "q2c_amount": posted.get("AmountCur"),
            "q2c_openamount": row["AmountCur"],
            "q2c_postedon": _moment(row["TransDate"]),
            "q2c_dueon": due,
            "q2c_daysoverdue": max((today - due.date()).days, 0) if due else 0,
        }


def _payment_reads(ask: Ask, condition: str) -> Mapping[str, str]:
    # The symbol of a kind of transaction is looked at here: the name of its type differs between versions.
    return {"paid": _listing("CustTransactions", f"{condition} and AmountCur lt 0")}


def _payments(ask: Ask, read: Mapping[str, list[Row]], today: date) -> Iterator[dict[str, Any]]:
    for row in read["paid"]:
        if row.get("TransType") == "Payment":
            yield {
                "key": (row["SysRecId"],),
                "q2c_name": row.get("PaymId") or row.get("Voucher") or "",
                "q2c_account": row["AccountNum"],
                "q2c_currency": row["CurrencyCode"],
                "q2c_amount": -row["AmountCur"],
                "q2c_settled": -(row.get("SettleAmountCur") or Decimal(0)),
                "q2c_paidon": _moment(row["TransDate"]),
                "q2c_reference": row.get("PaymReference") or "",
                "q2c_cancelled": row.get("CancelledPayment") == "Yes",
            }


# --- what a customer may have ---------------------------------------------------------------------------------------

_CREDIT_COLUMNS: Final = ",".join(
    (
        *("dataAreaId", "CustomerAccount", "InvoiceAccount", "CreditLimit", "CredManCustUnlimitedCredit"),
        *("CredManCreditLimitExpiryDate", "OnHoldStatus"),
    )
)


def _credit_reads(ask: Ask, condition: str) -> Mapping[str, str]:
    return {"ledger": _ledger(ask), "customers": _listing("CustomersV3", condition, select=_CREDIT_COLUMNS)}


def _credits(ask: Ask, read: Mapping[str, list[Row]], today: date) -> Iterator[dict[str, Any]]:
    for row in read["customers"]:
        yield {
            "key": (row["CustomerAccount"],),
            "q2c_name": row["CustomerAccount"],
            "q2c_account": row["CustomerAccount"],
            "q2c_invoiceaccount": row.get("InvoiceAccount") or row["CustomerAccount"],
            "q2c_currency": _currency(read),
            "q2c_limit": row["CreditLimit"],
            "q2c_unlimited": row.get("CredManCustUnlimitedCredit") == "Yes",
            "q2c_validuntil": _moment(row.get("CredManCreditLimitExpiryDate")),
            "q2c_hold": row.get("OnHoldStatus") or "No",
        }


def _term_reads(ask: Ask, condition: str) -> Mapping[str, str]:
    columns = "dataAreaId,CustomerAccount,PaymentTerms,PaymentMethod"
    terms = _listing("PaymentTerms", f"dataAreaId eq {literal(ask.company)}")
    return {"customers": _listing("CustomersV3", condition, select=columns), "terms": terms}


def _terms(ask: Ask, read: Mapping[str, list[Row]], today: date) -> Iterator[dict[str, Any]]:
    known = {str(row["Name"]).casefold(): row for row in read["terms"]}
    for row in read["customers"]:
        term: Row = known.get(str(row.get("PaymentTerms") or "").casefold()) or {}
        yield {
            "key": (row["CustomerAccount"],),
            "q2c_name": row.get("PaymentTerms") or "",
            "q2c_account": row["CustomerAccount"],
            "q2c_description": term.get("Description") or "",
            "q2c_days": term.get("NumberOfDays"),
            "q2c_months": term.get("NumberOfMonths"),
            "q2c_method": row.get("PaymentMethod") or "",
        }


# --- what is in stock ----------------------------------------------------------------------------------------------

_DIMENSIONS: Final = (
    *("ProductColorId", "ProductConfigurationId", "ProductSizeId", "ProductStyleId", "ProductVersionId"),
    *("InventorySiteId", "InventoryWarehouseId"),
)


def _stock_reads(ask: Ask, condition: str) -> Mapping[str, str]:
    return {"stock": _listing("WarehousesOnHandV2", condition)}


def _stock(ask: Ask, read: Mapping[str, list[Row]], today: date) -> Iterator[dict[str, Any]]:
    for row in read["stock"]:
        variant = [str(row[name]) for name in _DIMENSIONS[:-2] if row.get(name)]
        yield {
            "key": (row["ItemNumber"], *(row.get(name) or "" for name in _DIMENSIONS)),
            "q2c_name": f"{row['ItemNumber']} {row['InventoryWarehouseId']}",
            "q2c_item": row["ItemNumber"],
            "q2c_variant": " ".join(variant),
            "q2c_site": row["InventorySiteId"],
            "q2c_warehouse": row["InventoryWarehouseId"],
            "q2c_onhand": row.get("OnHandQuantity"),
            "q2c_reserved": row.get("ReservedOnHandQuantity"),
            "q2c_available": row.get("AvailableOnHandQuantity"),
            "q2c_onorder": row.get("OnOrderQuantity"),
        }


_NAME: Final = Column("q2c_name", "Edm.String", "What a list shows", nullable=False)
_ACCOUNT: Final = Column("q2c_account", "Edm.String", "Customer account in Finance", nullable=False)
_CURRENCY: Final = Column("q2c_currency", "Edm.String", "Currency of the amounts, ISO 4217")
_CUSTOMER: Final = Link("q2c_accountid", "q2c_account", "accounts", "accountnumber", of_company=True)
_PRODUCT: Final = Link("q2c_productid", "q2c_item", "products", "productnumber", of_company=False)

TABLES: Final = (
    Table(
        "q2c_customerbalance",
        "Customer balance",
        (
            _NAME,
            _ACCOUNT,
            _CURRENCY,
            Column("q2c_balance", "Edm.Decimal", "What is open, payments not applied deducted; accounting currency"),
            Column("q2c_overdue", "Edm.Decimal", "What was due before today, in the company's time zone"),
            Column("q2c_openitems", "Edm.Int32", "Open transactions"),
            Column("q2c_oldestdue", "Edm.DateTimeOffset", "Day the oldest open amount was or is due"),
        ),
        _balance_reads,
        _balances,
        {"q2c_account": "AccountNum"},
        _CUSTOMER,
    ),
    Table(
        "q2c_openinvoice",
        "Open invoice",
        (
            _NAME,
            _ACCOUNT,
            _CURRENCY,
            Column("q2c_amount", "Edm.Decimal", "Amount of the invoice"),
            Column("q2c_openamount", "Edm.Decimal", "What is open of it, or of this instalment"),
            Column("q2c_postedon", "Edm.DateTimeOffset", "Day it was posted"),
            Column("q2c_dueon", "Edm.DateTimeOffset", "Day it is due"),
            Column("q2c_daysoverdue", "Edm.Int32", "Days since then, in the company's time zone"),
        ),
        _invoice_reads,
        _invoices,
        {"q2c_account": "AccountNum"},
        _CUSTOMER,
    ),
    Table(
        "q2c_customerpayment",
        "Customer payment",
        (
            _NAME,
            _ACCOUNT,
            _CURRENCY,
            Column("q2c_amount", "Edm.Decimal", "What was paid"),
            Column("q2c_settled", "Edm.Decimal", "What of it settles invoices"),
            Column("q2c_paidon", "Edm.DateTimeOffset", "Day it was posted"),
            Column("q2c_reference", "Edm.String", "Payment reference"),
            Column("q2c_cancelled", "Edm.Boolean", "Whether it was reversed"),
        ),
        _payment_reads,
        _payments,
        {"q2c_account": "AccountNum"},
        _CUSTOMER,
    ),
    Table(
        "q2c_customercredit",
        "Customer credit",
        (
            _NAME,
            _ACCOUNT,
            Column("q2c_invoiceaccount", "Edm.String", "Account that is billed, and whose credit counts"),
            _CURRENCY,
            Column("q2c_limit", "Edm.Decimal", "Credit limit, accounting currency"),
            Column("q2c_unlimited", "Edm.Boolean", "Whether credit is unlimited"),
            Column("q2c_validuntil", "Edm.DateTimeOffset", "Day the limit ends"),
            Column("q2c_hold", "Edm.String", "Hold status: No, Invoice, All, Payment, Requisition, Never"),
        ),
        _credit_reads,
        _credits,
        {"q2c_account": "CustomerAccount"},
        _CUSTOMER,
    ),
    Table(
        "q2c_customerterm",
        "Payment terms",
        (
            _NAME,
            _ACCOUNT,
            Column("q2c_description", "Edm.String", "What the terms say"),
            Column("q2c_days", "Edm.Int32", "Days to pay"),
            Column("q2c_months", "Edm.Int32", "Months to pay"),
            Column("q2c_method", "Edm.String", "Method of payment"),
        ),
        _term_reads,
        _terms,
        {"q2c_account": "CustomerAccount"},
        _CUSTOMER,
    ),
    Table(
        "q2c_stocklevel",
        "Stock",
        (
            _NAME,
            Column("q2c_item", "Edm.String", "Item number in Finance", nullable=False),
            Column("q2c_variant", "Edm.String", "Configuration, colour, size, style and version"),
            Column("q2c_site", "Edm.String", "Site"),
            Column("q2c_warehouse", "Edm.String", "Warehouse"),
            Column("q2c_onhand", "Edm.Decimal", "Physically in stock"),
            Column("q2c_reserved", "Edm.Decimal", "Reserved of it"),
            Column("q2c_available", "Edm.Decimal", "Available of it"),
            Column("q2c_onorder", "Edm.Decimal", "Ordered by customers"),
        ),
        _stock_reads,
        _stock,
        {"q2c_item": "ItemNumber"},
        _PRODUCT,
    ),
)
BY_SET: Final[Mapping[str, Table]] = {table.set: table for table in TABLES}
BY_NAME: Final[Mapping[str, Table]] = {table.name: table for table in TABLES}


def rows_of(
    table: Table, ask: Ask, read: Mapping[str, list[Row]], today: date, linked: str | None
) -> Iterator[dict[str, Any]]:
    """The rows of a table out of what was read, each with its key.

    Args:
        table: the table.
        ask: what was asked for.
        read: rows of Finance by the name of their path.
        today: in the company.
        linked: id of the row of Sales they were asked by.
    """
    link = {table.link.column: linked} if table.link else {}
    for row in table.made(ask, {name: list(_own(ask.company, rows)) for name, rows in read.items()}, today):
        yield {table.id: str(table.row_key(ask.company, *row.pop("key"))), **row, **link}


def _own(company: str, rows: Iterable[Row]) -> Iterator[Row]:
    """Without rows that tell another company, whatever Finance answered."""
    return (row for row in rows if str(row.get("dataAreaId", company)).casefold() == company)
