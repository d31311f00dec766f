"""Finance as one object, for the sandbox's own people: the same rules as over HTTP, called in-process.

Values of this interface are Python's: Decimal amounts, `date` days, enum members as text, columns by their published
names. What Finance refuses is raised (`FinanceError`) or, for the posting service, answered with Success = False.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

from sandbox.finance import credit, receivables, shipping
from sandbox.finance.amounts import due_date, round_money
from sandbox.finance.books import Books, Company, CreditSettings
from sandbox.finance.errors import MalformedRequest, PostingRefused, RecordNotFound
from sandbox.finance.events import BusinessEvents
from sandbox.finance.masterdata import add_currency, set_up_company
from sandbox.finance.model import SALES_ORDERS, EntitySet, day_of, entity_sets
from sandbox.finance.odata_service import ODataService
from sandbox.finance.posting import OPERATIONS, run_operation
from sandbox.finance.totals import calculate_totals
from sandbox.finance.writes import create_row, delete_row, read_body, update_row
from sandbox.odata.filters import compile_filter
from sandbox.store import Clock, Database, Row

_SEED_SETS: Final = frozenset(
    {
        "ReleasedProductsV2",
        "SalesPriceAgreements",
        "WarehousesOnHandV2",
        "PaymentTerms",
        "CustomerGroups",
        "UnitsOfMeasure",
    }
)


class Finance:
    """One Finance environment with all its companies."""

    def __init__(self, origin: str, *, clock: Clock | None = None, retry_delay: float = 1.0) -> None:
        """Make an environment without companies.

        Args:
            origin: Scheme, host and port it is served at, without trailing slash: also the audience of its tokens.
            clock: The sandbox's time.
            retry_delay: Seconds between attempts to deliver a business event.
        """
        self.origin = origin.rstrip("/")
        self.db = Database(clock)
        self.events = BusinessEvents(self.db, retry_delay=retry_delay)
        self.books = Books(self.db, self.events)
        self.odata = ODataService(self.books, self.origin, default_company="")
        self.high_utilization: int | None = None
        """While set, every request is answered 429 with this Retry-After, in seconds."""
        self.applications: set[str] = set()
        """Client ids registered under Microsoft Entra applications: tokens of others are refused."""

    # --- set-up ------------------------------------------------------------------------------------------------------

    def add_company(
        self,
        company: str,
        currency: str,
        timezone: str,
        tax_pct: Decimal,
        *,
        name: str = "",
        number_sequence: Literal["manual", "automatic"] = "manual",
        credit_management: bool = True,
        default_site: str = "1",
        default_warehouse: str = "11",
    ) -> None:
        """Add a legal entity with its set-up (terms of payment, customer groups, units, currency).

        The first company added is the one callers see without `cross-company=true`.

        Args:
            company: dataAreaId.
            currency: Accounting currency.
            timezone: IANA name.
            tax_pct: Sales tax in percent, by document.
            name: Of the legal entity.
            number_sequence: Whether sales order numbers are given by the caller or by Finance.
            credit_management: Whether credit management runs.
            default_site: Site and warehouse of orders whose customer has none; empty for none.
            default_warehouse: See `default_site`.
        """
        entry = Company(
            id=company.lower(),
            currency=currency,
            timezone=timezone,
            tax_pct=tax_pct,
            number_sequence=number_sequence,
            default_site=default_site,
            default_warehouse=default_warehouse,
            credit=CreditSettings(enabled=credit_management),
        )
        with self.db.transaction():
            set_up_company(self.books, entry, name)
        self.books.companies[entry.id] = entry
        self.odata.default_company = self.odata.default_company or entry.id

    def company(self, company: str) -> Company:
        """A company's parameters; change them (tax rate, sites, credit settings) in place.

        Raises:
            PostingRefused: There is none.
        """
        return self.books.company(company)

    def add_item(
        self,
        company: str,
        item: str,
        *,
        name: str,
        price: Decimal,
        cost: Decimal,
        unit: str = "ea",
        on_hand: Decimal = Decimal(100_000),
    ) -> None:
        """Release an item in a company: base sales price, cost, price agreement for all customers, and stock.

        Args:
            company: dataAreaId.
            item: Item number.
            name: Search name.
            price: List price a unit, in the company's currency.
            cost: Cost a unit, in the company's currency.
            unit: Unit of measure of sale.
            on_hand: Quantity in the company's default warehouse.
        """
        target = self.company(company)
        with self.db.transaction():
            self.seed(
                "ReleasedProductsV2",
                {
                    "dataAreaId": target.id,
                    "ItemNumber": item,
                    "ProductNumber": item,
                    "SearchName": name,
                    "ProductSearchName": name,
                    "SalesPrice": price,
                    "SalesPriceQuantity": Decimal(1),
                    "UnitCost": cost,
                    "UnitCostQuantity": Decimal(1),
                    "SalesUnitSymbol": unit,
                    "InventoryUnitSymbol": unit,
                    "ProductType": "Item",
                    "ProductSubType": "Product",
                    "ItemModelGroupId": "FIFO",
                },
            )
            self.set_list_price(company, item, price, unit=unit)
            if target.default_warehouse:
                self._stock(target, item, name, on_hand)

    def _stock(self, company: Company, item: str, name: str, quantity: Decimal) -> None:
        self.seed(
            "WarehousesOnHandV2",
            {
                "dataAreaId": company.id,
                "ItemNumber": item,
                "ProductName": name,
                "ProductColorId": "",
                "ProductConfigurationId": "",
                "ProductSizeId": "",
                "ProductStyleId": "",
                "ProductVersionId": "",
                "InventorySiteId": company.default_site,
                "InventoryWarehouseId": company.default_warehouse,
                "OnHandQuantity": quantity,
                "AvailableOnHandQuantity": quantity,
                "TotalAvailableQuantity": quantity,
            },
        )

    def set_list_price(self, company: str, item: str, price: Decimal, *, unit: str = "ea") -> None:
        """Set the price agreement of an item for all customers, in the company's currency."""
        target = self.company(company)
        for row in self.books.find("SalesPriceAgreements", ItemNumber=item, dataAreaId=target.id):
            if not row.get("CustomerAccountNumber") and not row.get("PriceCustomerGroupCode"):
                self.books.delete("SalesPriceAgreements", row)
        self.seed(
            "SalesPriceAgreements",
            {
                "dataAreaId": target.id,
                "ItemNumber": item,
                "ProductNumber": item,
                "PriceCurrencyCode": target.currency,
                "QuantityUnitySymbol": unit,
                "Price": price,
                "SalesPriceQuantity": Decimal(1),
            },
        )

    def set_cost(self, company: str, item: str, cost: Decimal) -> None:
        """Set an item's cost a unit, in the company's currency."""
        self.books.update("ReleasedProductsV2", self._item(company, item), {"UnitCost": cost})

    def stop_item(self, company: str, item: str, *, stopped: bool = True) -> None:
        """Stop an item for sales orders (default order settings), or allow it again."""
        self.books.update("ReleasedProductsV2", self._item(company, item), {"_stopped": stopped})

    def _item(self, company: str, item: str) -> Row:
        found = self.books.get("ReleasedProductsV2", company.lower(), item)
        if found is None:
            raise RecordNotFound(f"Item {item} is not released in company {company}.")
        return found

    def seed(self, set_name: str, body: Mapping[str, Any]) -> None:
        """Load a row of set-up data as it stands (items, prices, stock, terms, groups, units).

        Raises:
            MalformedRequest: The set is not set-up data, or a column is not the set's.
        """
        if set_name not in _SEED_SETS:
            raise MalformedRequest(f"{set_name} is not set-up data: use create.")
        entity = self._entity(set_name)
        self.books.insert(entity.table, read_body(entity, dict(body)))

    def register_application(self, client_id: str) -> None:
        """Register an application under Microsoft Entra applications: only its tokens are accepted over HTTP."""
        self.applications.add(client_id)

    def set_exchange_rate(self, source: str, target: str, rate: Decimal) -> None:
        """Set how many units of `target` one unit of `source` is worth, and back."""
        for code in (source, target):
            add_currency(self.books, code)
        self.books.rates[(source, target)] = rate
        self.books.rates[(target, source)] = 1 / rate

    def set_credit_limit(self, company: str, account: str, amount: Decimal) -> None:
        """Set a customer's credit limit, in the company's currency."""
        self.update("CustomersV3", (company, account), {"CreditLimit": amount})

    def set_credit_threshold(self, company: str, account_or_group: str, percentage: Decimal) -> None:
        """Set how much of its limit a customer (or a credit management group) may use."""
        self.company(company).credit.thresholds[account_or_group.lower()] = percentage

    # --- reading and writing -----------------------------------------------------------------------------------------

    def create(self, set_name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Insert a row through an entity set; the row as a client would see it.

        Raises:
            FinanceError: As over OData.
        """
        entity = self._entity(set_name)
        sent = read_body(entity, dict(body))
        company = self._company_for(entity, sent.get(entity.company or "", self.odata.default_company))
        return entity.project(None)(create_row(self.books, entity, company, sent))

    def update(self, set_name: str, key: Sequence[Any], changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change the row with this key (all parts, in the published order); errors as for `create`."""
        entity = self._entity(set_name)
        row = self._row(entity, key)
        company = self._company_for(entity, row.get(entity.company or "", ""))
        return entity.project(None)(update_row(self.books, entity, company, row, read_body(entity, dict(changes))))

    def delete(self, set_name: str, key: Sequence[Any]) -> None:
        """Delete the row with this key; errors as for `create`."""
        entity = self._entity(set_name)
        row = self._row(entity, key)
        delete_row(self.books, entity, self._company_for(entity, row.get(entity.company or "", "")), row)

    def get(self, set_name: str, key: Sequence[Any]) -> dict[str, Any] | None:
        """The row with this key, None when there is none."""
        entity = self._entity(set_name)
        row = self.books.table(entity.table).get(key)
        return None if row is None else entity.project(None)(row)

    def query(
        self,
        set_name: str,
        filter: str | None = None,
        *,
        select: Sequence[str] | None = None,
        **equal: Any,
    ) -> list[dict[str, Any]]:
        """Rows of a set in all companies, oldest first.

        Args:
            set_name: Entity set.
            filter: `$filter` text.
            select: Columns wanted; None for all.
            **equal: Column = value, found by index where there is one.

        Raises:
            MalformedRequest: A column does not exist.
        """
        entity = self._entity(set_name)
        unknown = equal.keys() - entity.properties.keys()
        if unknown:
            raise MalformedRequest(f"{set_name} has no column {sorted(unknown)[0]}.")
        stored = {entity.properties[name].stored: value for name, value in equal.items()}
        rows: Iterable[Row] = self.books.table(entity.table).find(**stored)
        if filter:
            rows = filter_rows(entity, filter, rows)
        project = entity.project(None if select is None else tuple(select))
        return [project(row) for row in rows]

    def post(self, operation: str, request: Mapping[str, Any] | None, *, user: str = "sandbox") -> dict[str, Any]:
        """Call an operation of the posting service; its answer, with Success false when it was refused.

        Args:
            operation: confirm, pick, packingSlip, invoice, payment, reversePayment, creditNote or cancelRemainder.
            request: The members of `_request`.
            user: Who calls.

        Raises:
            sandbox.finance.posting.BadServiceRequest: The request does not have the contract's types.
        """
        return run_operation(self.books, OPERATIONS[operation], request, user)

    def _entity(self, set_name: str) -> EntitySet:
        entity = entity_sets().get(set_name)
        if entity is None:
            raise MalformedRequest(f"There is no entity set {set_name}.")
        return entity

    def _row(self, entity: EntitySet, key: Sequence[Any]) -> Row:
        row = self.books.table(entity.table).get(key)
        if row is None:
            raise RecordNotFound(f"{entity.name}: no row {tuple(key)}.")
        return row

    def _company_for(self, entity: EntitySet, identifier: str) -> Company | None:
        if entity.company is None:
            return None
        found = self.books.companies.get(identifier.lower())
        if found is None:
            raise RecordNotFound(f"Company {identifier} does not exist.")
        return found

    # --- jobs and people ---------------------------------------------------------------------------------------------

    def run_totals_job(self, company: str | None = None) -> int:
        """Run the batch job Calculate sales totals; how many orders it calculated.

        Args:
            company: Of one company, or of all.
        """
        stale = [
            row
            for row in self.books.table(SALES_ORDERS)
            if row["AreTotalsCalculated"] == "No" and company in (None, row["dataAreaId"])
        ]
        with self.db.transaction():
            for row in stale:
                calculate_totals(self.books, self.company(row["dataAreaId"]), row)
        return len(stale)

    def place_hold(self, company: str, number: str, reason: str) -> None:
        """Put an order on credit hold by hand: only a release takes it away.

        Raises:
            PostingRefused: No such order.
        """
        target = self.company(company)
        with self.db.transaction():
            order = self.books.order(target, number)
            credit.place_hold(self.books, target, order, "ForcedHold", "NotApplicable", reason)
            changes = {"CredManInCreditControl": "Yes", "CredManReleasedFromCreditControl": "No"}
            self.books.update(SALES_ORDERS, order, changes)

    def exposure(self, company: str, account: str) -> credit.Exposure:
        """What a customer owes and has on confirmed orders, in the company's currency, tax included."""
        return credit.exposure(self.books, self.company(company), account, None)

    def seed_open_invoice(
        self,
        company: str,
        account: str,
        amount: Decimal,
        *,
        due: date | None = None,
        due_in_days: int | None = None,
        invoice: str | None = None,
    ) -> str:
        """Load an unpaid invoice from before; no business event is raised.

        Args:
            company: dataAreaId.
            account: Customer account.
            amount: Including tax, in the company's currency.
            due: Due date; or
            due_in_days: Days from today in the company, negative when overdue. With neither, the customer's terms.
            invoice: Its number; None makes one.

        Returns:
            The invoice number.
        """
        target = self.company(company)
        customer = self.books.customer(target, account)
        today = self.books.today(target)
        number = invoice or self.books.next_number(target, "opening invoice", "OPEN-{:06d}")
        if due is None and due_in_days is not None:
            due = today + timedelta(days=due_in_days)
        term = self.books.get("PaymentTerms", target.id, customer.get("PaymentTerms", ""))
        due = due or (due_date(today, term) if term else today)
        days = day_of(due.isoformat())
        with self.db.transaction():
            receivables.book(
                self.books,
                target,
                account=customer["CustomerAccount"],
                amount=amount,
                currency=target.currency,
                kind="Sales",
                voucher=self.books.next_number(target, "voucher", "VCH{:08d}"),
                day=min(today, days - timedelta(days=30)),
                due=due,
                more={"Invoice": number, "PaymTermId": customer.get("PaymentTerms", "")},
            )
        return number

    def seed_open_order(self, company: str, account: str, amount: Decimal, *, number: str, item: str) -> None:
        """Load a confirmed order from before, its totals calculated; no business event is raised.

        Args:
            company: dataAreaId.
            account: Customer account.
            amount: Value including tax, in the company's currency.
            number: Sales order number.
            item: Item of its one line, quantity 1.

        Raises:
            PostingRefused: No net amount gives this total at the company's tax rate.
        """
        target = self.company(company)
        net = round_money(amount / (1 + target.tax_pct / 100), target.currency)
        if net + round_money(net * target.tax_pct / 100, target.currency) != amount:
            raise PostingRefused(f"No net amount gives {amount} at {target.tax_pct} percent tax.")
        header: dict[str, Any] = {"dataAreaId": target.id, "OrderingCustomerAccountNumber": account}
        if target.number_sequence == "manual":
            header["SalesOrderNumber"] = number
        line = {"dataAreaId": target.id, "ItemNumber": item, "SalesPrice": net}
        with self.db.transaction():
            created = self.create("SalesOrderHeadersV4", header)["SalesOrderNumber"]
            self.create("SalesOrderLinesV3", line | {"SalesOrderNumber": created})
            self.books.update(
                SALES_ORDERS, self.books.order(target, created), {"_confirmed": True, "_DocumentStatus": "Confirmation"}
            )
            shipping.refresh_status(self.books, target, created)
            calculate_totals(self.books, target, self.books.order(target, created))

    # --- events and life ---------------------------------------------------------------------------------------------

    def set_endpoint(self, url: str | None) -> None:
        """Send business events to this URL (the secret is part of it); None stops sending."""
        self.events.set_endpoint(url)

    async def ping_endpoint(self) -> bool:
        """Send the test event of endpoint activation; True when it was answered with success."""
        return await self.events.ping(self.odata.default_company)

    def clear(self) -> None:
        """Forget companies, rows, numbers and events; endpoint and registered applications stay."""
        self.books.clear()
        self.odata.default_company = ""
        self.high_utilization = None
        self.events.history.clear()
        self.events.error_log.clear()

    async def aclose(self) -> None:
        """Stop delivering business events."""
        await self.events.aclose()


def filter_rows(entity: EntitySet, text: str, rows: Iterable[Row]) -> list[Row]:
    """The rows a `$filter` accepts.

    Raises:
        sandbox.odata.filters.FilterError: The filter is not valid.
    """
    matches = compile_filter(text, entity).matches
    return [row for row in rows if matches(row)]
