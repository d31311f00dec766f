"""The books every part of Finance writes to: tables, companies, number sequences, record ids and the company's date.

A `Books` is what X++ code finds around it: the current company's parameters, the number sequences, and tables whose
rows carry a record id and a version that rises with every update.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from sandbox.finance.errors import PostingRefused
from sandbox.finance.events import ACTIVATIONS, BusinessEvents
from sandbox.finance.model import SALES_LINES, SALES_ORDERS, entity_sets, stamp
from sandbox.finance.views import INVOICE_LINES, INVOICES
from sandbox.store import Database, Row, Table

FIRST_RECORD_ID: Final = 22565420000
SETTLEMENTS: Final = "Settlements"
SERVICE_CALLS: Final = "ServiceCalls"
DEFAULT_RATE_TYPE: Final = "Default"
SERVICE_USER: Final = "Q2C"
"""The user an application's calls run as: who wrote a row is in its SysModifiedBy."""

_INDEXES: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    SALES_ORDERS: (
        ("OrderingCustomerAccountNumber",),
        ("InvoiceCustomerAccountNumber",),
        ("dataAreaId", "InvoiceCustomerAccountNumber", "_open"),
        ("CustomerRequisitionNumber",),
        ("CustomersOrderReference",),
        ("SalesOrderNumber",),
        ("QuotationNumber",),
        ("AreTotalsCalculated",),
    ),
    SALES_LINES: (("SalesOrderNumber",), ("InventoryLotId",)),
    "CustomersV3": (("CustomerAccount",), ("InvoiceAccount",)),
    "SalesPriceAgreements": (("ItemNumber",),),
    "WarehousesOnHandV2": (("ItemNumber",),),
    INVOICES: (
        ("SalesOrderNumber",),
        ("InvoiceNumber",),
        ("InvoiceCustomerAccountNumber",),
        ("LedgerVoucher",),
        ("InvoiceDate",),
    ),
    INVOICE_LINES: (("InvoiceNumber",), ("_SalesId",), ("_lot",)),
    "CustTransactions": (
        ("AccountNum",),
        ("OrderAccount",),
        ("Invoice",),
        ("PaymId",),
        ("_record",),
        ("Voucher",),
        ("TransDate",),
        ("LastSettleDate",),
        ("Closed",),
    ),
    "CustTransOpens": (("AccountNum",), ("RefRecId",)),
    "CustSettlementBiEntities": (("TransRecId",), ("OffsetRecid",), ("AccountNum",)),
    "CustomerPaymentJournalLines": (("JournalBatchNumber",),),
    "PaymentJournalLineSettledInvoices": (("JournalBatchNumber",), ("InvoiceNumber",)),
    "CredManTableBiEntities": (("SalesId",), ("CustAccount",)),
    "CustomerCreditGroupLines": (("CreditLimitId",),),
    "TemporaryCreditLimits": (("CustAccount",), ("CreditLimitId",)),
    "CustPackingSlipJourBiEntities": (("SalesId",), ("PackingSlipId",), ("DeliveryDate",)),
    "CustPackingSlipTransBiEntities": (("SalesId",), ("PackingSlipId",), ("InventTransId",)),
    "SalesOrderConfirmationHeaders": (("SalesOrderNumber",), ("ConfirmationNumber",)),
    "SalesOrderConfirmationLines": (("SalesOrderNumber",), ("ConfirmationNumber",)),
    "MarkupTransBiEntities": (("TransRecId",),),
    "ReturnOrderHeadersV2": (("ReturnOrderNumber",), ("_SalesOrderNumber",)),
    "ReturnOrderLinesV2": (("ReturnOrderNumber",), ("ReturningInventoryLotId",), ("ReferenceNumber",)),
    "FreeTextInvoiceLines": (("ParentRecId",),),
    "FreeTextInvoiceHeaders": (("FreeTextNumber",), ("CustomerAccount",)),
    "PaymentScheduleLines": (("PaymentScheduleName",),),
    "TaxGroupDatas": (("TaxGroupId",),),
    "TaxItemGroups": (("TaxItemGroupCode",),),
    "TaxCodeValuesV2": (("TaxCodeId",),),
    "ExchangeRates": (("FromCurrency", "ToCurrency"),),
    "ShipmentPackingSlipJournalLines": (("ConsignerOrderNumber",), ("ShipmentPackingSlipVersionNumber",)),
    "ShipmentPackingSlipJournalHeaders": (("_SalesOrderNumber",), ("DocumentDate",)),
    SETTLEMENTS: (("payment",), ("invoice",)),
}
"""Table -> the columns look-ups name."""

_FACTORS: Final = {"One": 1, "Ten": 10, "Hundred": 100, "Thousand": 1000, "TenThousand": 10000}
"""How many units of the source currency an exchange rate is given for (`ConversionFactor`)."""


@dataclass(slots=True)
class CreditSettings:
    """Credit management parameters of a company.

    Attributes:
        enabled: Whether credit management runs. When it does, a limit of 0.00 means no credit; otherwise unlimited.
        checkpoints: Posting operations that check.
        overdue_days: An open transaction overdue by more days than this blocks.
        threshold_pct: Percentage of the limit that may be used.
        thresholds: Percentages of their own, by customer account or by credit management group.
    """

    enabled: bool = True
    checkpoints: frozenset[str] = frozenset({"confirm", "packingSlip"})
    overdue_days: int = 60
    threshold_pct: Decimal = Decimal(100)
    thresholds: dict[str, Decimal] = field(default_factory=dict)


@dataclass(slots=True)
class Company:
    """A legal entity and the parameters that decide how it books.

    Attributes:
        id: dataAreaId, lower case.
        currency: Accounting currency.
        timezone: IANA name; the company's calendar date follows it.
        number_sequence: Whether callers must give the sales order number ("manual") or never may ("automatic").
        customer_sequence: Whether a customer without an account is numbered ("automatic") or refused ("manual").
        default_site: Site and warehouse of orders whose customer has none; empty means there is no default.
        default_warehouse: See `default_site`.
        credit: Credit management parameters.
        net_price_rounding: Whether the unit price after its discount is rounded before it is multiplied.
        order_prefix: The constant that the number sequence of sales orders begins with.
    """

    id: str
    currency: str
    timezone: str
    number_sequence: Literal["manual", "automatic"]
    default_site: str
    default_warehouse: str
    credit: CreditSettings
    net_price_rounding: bool = False
    order_prefix: str = ""
    customer_sequence: Literal["manual", "automatic"] = "automatic"


class Books:
    """Tables, companies and sequences of one Finance environment."""

    def __init__(self, db: Database, events: BusinessEvents) -> None:
        self.db = db
        self.events = events
        self.companies: dict[str, Company] = {}
        self.open_values: dict[int, tuple[Row, int, Decimal]] = {}
        """What is still to be invoiced of an order, by record id: valid for this very version of its row and of the
        tax set-up. Every change of a line or charge writes its order too, so an unchanged order has unchanged lines."""
        self.tax_rates: dict[tuple[str, str, str, date], Mapping[str, Decimal]] = {}
        """Tax code -> percentage, by company, tax group, item group and day: forgotten when the set-up changes."""
        self.tax_version = 0
        self._user = SERVICE_USER
        self._sequences: dict[tuple[str, str], int] = {}
        self._last_record = FIRST_RECORD_ID
        for entity_set in entity_sets().values():
            table = db.tables.get(entity_set.table)
            if table is None:
                table = db.table(entity_set.table, key=entity_set.stored_key)
            if table.key != entity_set.stored_key:
                table.index(*entity_set.stored_key)
        db.table(SETTLEMENTS, key=("_record",))
        db.table(SERVICE_CALLS, key=("company", "operation", "document"))
        for name, indexes in _INDEXES.items():
            for columns in indexes:
                db.tables[name].index(*columns)

    def table(self, name: str) -> Table:
        """A stored table by its name (`model.SALES_ORDERS`, or the entity set's name)."""
        if name == ACTIVATIONS:
            self._follow_activations()
        return self.db.tables[name]

    def _follow_activations(self) -> None:
        """Let the rows be what the events' own settings say."""
        table = self.db.tables[ACTIVATIONS]
        wanted = {table.key_of(row): row for row in self.events.activations(self.companies)}
        for row in list(table):
            if table.key_of(row) not in wanted:
                table.delete(table.key_of(row))
        for key, row in wanted.items():
            stored = table.get(key)
            if stored is None:
                table.insert({**row, **self._stamps()})
            elif stored["Disabled"] != row["Disabled"]:
                table.update(key, {"Disabled": row["Disabled"]})

    def clear(self) -> None:
        """Forget companies, sequences and all rows."""
        self.db.clear()
        self.companies.clear()
        self.open_values.clear()
        self.tax_rates.clear()
        self._sequences.clear()

    def kept(self) -> Any:
        """Companies and what was counted: what lasts beside the tables."""
        return self.companies, self._sequences, self._last_record

    def take_back(self, kept: Any) -> None:
        """Go on from what `kept` gave."""
        self.companies, self._sequences, self._last_record = kept

    def company(self, identifier: str) -> Company:
        """The company of a dataAreaId.

        Raises:
            PostingRefused: There is none.
        """
        found = self.companies.get(identifier.lower())
        if found is None:
            raise PostingRefused(f"Company {identifier} does not exist.")
        return found

    def now(self) -> datetime:
        """The present moment, UTC."""
        return self.db.clock.now()

    def today(self, company: Company) -> date:
        """The company's calendar date."""
        return self.now().astimezone(ZoneInfo(company.timezone)).date()

    def next_number(self, company: Company, sequence: str, pattern: str) -> str:
        """The next number of a sequence, e.g. `next_number(usmf, "invoice", "CIV-{:06d}")`.

        Numbers of writes that are rolled back are lost, as with non-continuous sequences.
        """
        key = (company.id, sequence)
        self._sequences[key] = self._sequences.get(key, 0) + 1
        return pattern.format(self._sequences[key])

    def insert(self, table: str, row: Row) -> Row:
        """Store a new row, with a record id and version of its own.

        Raises:
            sandbox.store.DuplicateKey: Its key is taken.
        """
        self._forget_taxes(table)
        return self.table(table).insert({**row, **self._stamps()})

    def _stamps(self) -> Row:
        self._last_record += 1
        return {"_record": self._last_record, "_version": 0, **self._change()}

    def reserve_records(self, count: int) -> int:
        """Keep so many record ids for rows that are not inserted one by one; the first of them."""
        first = self._last_record + 1
        self._last_record += count
        return first

    def _change(self) -> Row:
        """Who changes a row, and when."""
        return {"_modified": stamp(self.now()), "_modified_by": self._user}

    @contextmanager
    def acting(self, user: str) -> Iterator[None]:
        """Whatever is written meanwhile is written by this user."""
        before, self._user = self._user, user
        try:
            yield
        finally:
            self._user = before

    def update(self, table: str, row: Mapping[str, Any], changes: Mapping[str, Any], *, own: bool = True) -> Row:
        """Change a row, which may have been read some time ago; its version rises.

        Args:
            table: Where it is.
            row: The row, as it was read.
            changes: New values.
            own: Whether the entity's own table changes: a value that lives in a joined table leaves who changed the
                row, and when, as they are.

        Raises:
            sandbox.store.NoSuchRow: It is gone.
        """
        self._forget_taxes(table)
        target = self.table(table)
        key = target.key_of(row)
        current = target.get(key) or row
        stamps = {"_version": current["_version"] + 1, **(self._change() if own else {})}
        if own and "_own_version" in current:
            stamps["_own_version"] = current["_own_version"] + 1
        return target.update(key, {**changes, **stamps})

    def delete(self, table: str, row: Mapping[str, Any]) -> None:
        """Remove a row."""
        self._forget_taxes(table)
        target = self.table(table)
        target.delete(target.key_of(row))

    def _forget_taxes(self, table: str) -> None:
        if table.startswith("Tax"):
            self.tax_rates.clear()
            self.tax_version += 1

    def get(self, table: str, *key: Any) -> Row | None:
        """A row by its primary key."""
        return self.table(table).get(key)

    def find(self, table: str, **equal: Any) -> list[Row]:
        """Rows by equal columns, oldest first."""
        return self.table(table).find(**equal)

    def order(self, company: Company, number: str) -> Row:
        """A sales order.

        Raises:
            PostingRefused: There is none of this number in the company.
        """
        found = self.get(SALES_ORDERS, company.id, number)
        if found is None:
            raise PostingRefused(f"Sales order {number} does not exist in company {company.id}.")
        return found

    def lines(self, company: Company, number: str) -> list[Row]:
        """The lines of a sales order, by line number."""
        rows = self.find(SALES_LINES, SalesOrderNumber=number, dataAreaId=company.id)
        return sorted(rows, key=lambda row: int(row["LineCreationSequenceNumber"]))

    def customer(self, company: Company, account: str) -> Row:
        """A customer.

        Raises:
            PostingRefused: There is none of this account in the company.
        """
        found = self.get("CustomersV3", company.id, account)
        if found is None:
            raise PostingRefused(f"Customer account {account} does not exist in company {company.id}.")
        return found

    def parameters(self, company: Company) -> Row:
        """The company's accounts receivable parameters."""
        found = self.get("CustomerParameters", company.id)
        if found is None:
            raise AssertionError(f"company {company.id} has no accounts receivable parameters")
        return found

    def rate_type(self, company: Company) -> str:
        """The exchange rate type the company's ledger books with."""
        ledger = self.get("Ledgers", company.id)
        return str(ledger["ExchangeRateType"]) if ledger else DEFAULT_RATE_TYPE

    def credit_rate_type(self, company: Company) -> str:
        """The exchange rate type credit limits are checked with; the ledger's where none is set."""
        row = self.get("CreditManagementParameters", company.id) or {}
        return str(row.get("CreditLimitExchRateTypeName") or self.rate_type(company))

    def rate(self, source: str, target: str, rate_type: str, day: date) -> Decimal | None:
        """How many units of `target` one unit of `source` is worth on a day; None where no rate is set.

        The pair's own rate, otherwise the reciprocal of the opposite pair's. Currencies are not chained over a third.
        """
        if source == target:
            return Decimal(1)
        direct = self._rate_of(source, target, rate_type, day)
        if direct is not None:
            return direct
        opposite = self._rate_of(target, source, rate_type, day)
        return None if opposite is None else 1 / opposite

    def _rate_of(self, source: str, target: str, rate_type: str, day: date) -> Decimal | None:
        stamp_of_day = day.isoformat()
        rows = [
            row
            for row in self.find("ExchangeRates", FromCurrency=source, ToCurrency=target, RateTypeName=rate_type)
            if row["StartDate"][:10] <= stamp_of_day
            and (row["EndDate"][:4] == "1900" or stamp_of_day <= row["EndDate"][:10])
        ]
        if not rows:
            return None
        latest = max(rows, key=lambda row: str(row["StartDate"]))
        rate: Decimal = latest["Rate"] / _FACTORS[latest["ConversionFactor"]]
        return rate

    def in_accounting_currency(
        self,
        amount: Decimal,
        currency: str,
        company: Company,
        *,
        rate_type: str | None = None,
        day: date | None = None,
    ) -> Decimal:
        """An amount converted at the exchange rate set for the pair; unrounded.

        Args:
            amount: In `currency`.
            currency: ISO code.
            company: Whose accounting currency is wanted.
            rate_type: Exchange rate type; None is the ledger's.
            day: Date of the rate; None is today in the company.

        Raises:
            PostingRefused: No rate has been set.
        """
        if currency == company.currency:
            return amount
        return amount * self.rate_or_refuse(currency, company.currency, company, rate_type=rate_type, day=day)

    def rate_or_refuse(
        self, source: str, target: str, company: Company, *, rate_type: str | None = None, day: date | None = None
    ) -> Decimal:
        """The rate of a pair; arguments as for `in_accounting_currency`.

        Raises:
            PostingRefused: No rate has been set.
        """
        on = day or self.today(company)
        rate = self.rate(source, target, rate_type or self.rate_type(company), on)
        if rate is None:
            raise PostingRefused(f"There is no exchange rate from {source} to {target} on {on}.")
        return rate


def total(amounts: Iterable[Decimal]) -> Decimal:
    """The sum of amounts, Decimal also when there are none."""
    return sum(amounts, Decimal(0))


def positive(value: Any) -> Decimal | None:
    """The number of a request as Decimal when it is one and above zero, otherwise None."""
    if type(value) not in (int, Decimal) or value <= 0:
        return None
    return Decimal(value)
