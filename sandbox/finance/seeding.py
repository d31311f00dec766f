"""Setting a Finance environment up: companies, items, prices, rates, limits, and what was there before.

The part of `sandbox.finance.Finance` that the sandbox's owner uses before clients do; what is loaded here raises no
business event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

from sandbox.finance import receivables
from sandbox.finance.amounts import due_date, round_money
from sandbox.finance.behaviour import Behaviour
from sandbox.finance.books import DEFAULT_RATE_TYPE, Books, Company, CreditSettings
from sandbox.finance.errors import MalformedRequest, PostingRefused, RecordNotFound
from sandbox.finance.model import SALES_ORDERS, EntitySet, day_of, day_stamp, entity_sets
from sandbox.finance.odata_service import ODataService
from sandbox.finance.reads import row_of
from sandbox.finance.setup import add_exchange_rate, add_tax_code, set_up_company
from sandbox.finance.statuses import refresh_status
from sandbox.finance.taxes import FULL_ITEM_GROUP, STANDARD_CODE
from sandbox.finance.totals import calculate_totals
from sandbox.finance.writes import create_row, read_body, update_row
from sandbox.store import Database, Row

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


class Environment:
    """What is in a Finance environment, and setting it up."""

    db: Database
    books: Books
    odata: ODataService
    behaviour: Behaviour
    applications: set[str]
    readers: set[str]

    def add_company(
        self,
        company: str,
        currency: str,
        timezone: str,
        tax_pct: Decimal,
        *,
        name: str = "",
        number_sequence: Literal["manual", "automatic"] = "automatic",
        credit_management: bool = True,
        default_site: str = "1",
        default_warehouse: str = "11",
        order_prefix: str = "",
    ) -> None:
        """Add a legal entity with its set-up (terms of payment, customer groups, units, currency).

        The first company added is the one callers see without `cross-company=true`.

        Args:
            company: dataAreaId.
            currency: Accounting currency.
            timezone: IANA name.
            tax_pct: Sales tax in percent: the rate of the standard tax code.
            name: Of the legal entity.
            number_sequence: Whether sales order numbers are given by the caller or by Finance.
            credit_management: Whether credit management runs.
            default_site: Site and warehouse of orders whose customer has none; empty for none.
            default_warehouse: See `default_site`.
            order_prefix: The constant that order numbers of Finance's begin with.
        """
        entry = Company(
            id=company.lower(),
            currency=currency,
            timezone=timezone,
            number_sequence=number_sequence,
            default_site=default_site,
            default_warehouse=default_warehouse,
            credit=CreditSettings(enabled=credit_management),
            order_prefix=order_prefix,
        )
        with self.db.transaction():
            self.books.companies[entry.id] = entry
            set_up_company(self.books, entry, name, tax_pct)
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
        tax_group: str = FULL_ITEM_GROUP,
        overdelivery: Decimal = Decimal(0),
        group: str = "",
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
            tax_group: Item sales tax group.
            overdelivery: How much more than ordered may be delivered, in percent.
            group: Its product group (ProductGroupId).
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
                    "SalesSalesTaxItemGroupCode": tax_group,
                    "SalesOverdeliveryPercentage": overdelivery,
                    "ProductGroupId": group,
                },
            )
            self.books.insert("ProductDefaultOrderSettings", {"dataAreaId": target.id, "ItemNumber": item})
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
        row = self._item(company, item)
        settings = self.books.get("ProductDefaultOrderSettings", row["dataAreaId"], row["ItemNumber"])
        if settings is None:
            raise RecordNotFound(f"Item {item} has no default order settings in company {company}.")
        change = {"IsSalesProcessingStopped": "Yes" if stopped else "No"}
        self.books.update("ProductDefaultOrderSettings", settings, change)

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

    def register_application(self, client_id: str, *, reads_only: bool = False) -> None:
        """Register an application under Microsoft Entra applications: only its tokens are accepted over HTTP.

        Args:
            client_id: Its client id.
            reads_only: Whether the user it runs as may read every entity and do nothing else.
        """
        self.applications.add(client_id)
        self.readers.discard(client_id)
        if reads_only:
            self.readers.add(client_id)

    def set_exchange_rate(
        self,
        source: str,
        target: str,
        rate: Decimal,
        *,
        rate_type: str = DEFAULT_RATE_TYPE,
        start: date | None = None,
    ) -> None:
        """Set how many units of `target` one unit of `source` is worth from a day on (None: from always)."""
        add_exchange_rate(self.books, source, target, rate, rate_type=rate_type, start=start)

    def set_rounding(self, currency: str, multiple: Decimal | None, method: str | None) -> Row:
        """Set how a currency's amounts on sales orders are rounded; None leaves it. Answers the currency as it is."""
        row = self.books.get("Currencies", currency)
        if row is None:
            raise LookupError(f"no currency {currency}")
        wanted = {"RoundingRuleSalesOrders": multiple, "RoundingMethodSalesOrders": method}
        with self.db.transaction():
            return self.books.update("Currencies", row, {k: v for k, v in wanted.items() if v is not None})

    def set_tax_rate(self, company: str, percentage: Decimal, code: str = STANDARD_CODE) -> None:
        """Set the rate of a tax code of a company."""
        target = self.company(company)
        for row in self.books.find("TaxCodeValuesV2", TaxCodeId=code, dataAreaId=target.id):
            self.books.update("TaxCodeValuesV2", row, {"Value": percentage})

    def tax_rate(self, company: str) -> Decimal:
        """The rate of a company's standard tax code."""
        rows = self.books.find("TaxCodeValuesV2", TaxCodeId=STANDARD_CODE, dataAreaId=self.company(company).id)
        rate: Decimal = rows[0]["Value"]
        return rate

    def add_tax(self, company: str, code: str, name: str, percentage: Decimal, group: str) -> None:
        """Add a tax code that customers of one more tax group pay on top of the standard rate.

        Args:
            company: dataAreaId.
            code: Tax code.
            name: Its name.
            percentage: Its rate.
            group: Sales tax group; made where it is not there.
        """
        target = self.company(company)
        here = {"dataAreaId": target.id}
        with self.db.transaction():
            add_tax_code(self.books, target, code, name, percentage)
            self.books.insert("TaxItemGroups", here | {"TaxItemGroupCode": FULL_ITEM_GROUP, "TaxCodeId": code})
            if self.books.get("TaxGroups", target.id, group) is None:
                self.books.insert("TaxGroups", here | {"TaxGroupCode": group, "Description": name})
                self.books.insert("TaxGroupDatas", here | {"TaxGroupId": group, "TaxCodeId": STANDARD_CODE})
            self.books.insert("TaxGroupDatas", here | {"TaxGroupId": group, "TaxCodeId": code})

    def set_parameters(self, company: str, set_name: str, changes: Mapping[str, Any]) -> None:
        """Change parameters of a company: of CustomerParameters or CreditManagementParameters."""
        self.update(set_name, (self.company(company).id,), changes)

    def share_credit(self, group: str, limit: Decimal, currency: str, members: Mapping[str, str]) -> None:
        """Let customers share a credit limit.

        Args:
            group: Customer credit group.
            limit: What all of them may owe together.
            currency: Of the limit.
            members: Customer account -> company.
        """
        with self.db.transaction():
            self.books.insert(
                "CustomerCreditGroups",
                {"CreditLimitId": group, "CreditMax": limit, "CurrencyCode": currency, "Description": group},
            )
            for account, company in members.items():
                row = {"Company": self.company(company).id, "CustAccount": account, "CreditLimitId": group}
                self.books.insert("CustomerCreditGroupLines", row)

    def limit_for_days(
        self, company: str, account: str, amount: Decimal, begins: date, ends: date, *, group: str = ""
    ) -> None:
        """A posted credit limit adjustment: another limit of a customer, or of a credit group, on some days.

        Args:
            company: Of the customer; empty for a group.
            account: The customer; empty for a group.
            amount: In the company's currency, or the group's.
            begins: First day.
            ends: Last day.
            group: Customer credit group; empty for a customer.
        """
        row = {
            "CustAccount": account,
            "CustAccountDataArea": self.company(company).id if company else "",
            "CreditLimitId": group,
            "FromDate": day_stamp(begins),
            "ToDate": day_stamp(ends),
            "CreditMax": amount,
        }
        with self.db.transaction():
            self.books.insert("TemporaryCreditLimits", row)

    def set_credit_limit(self, company: str, account: str, amount: Decimal) -> None:
        """Set a customer's credit limit, in the company's currency."""
        self.update("CustomersV3", (company, account), {"CreditLimit": amount})

    def set_credit_threshold(self, company: str, account_or_group: str, percentage: Decimal) -> None:
        """Set how much of its limit a customer (or a credit management group) may use."""
        self.company(company).credit.thresholds[account_or_group.lower()] = percentage

    # --- rows as an entity set has them ------------------------------------------------------------------------------

    def create(self, set_name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Insert a row through an entity set; the row as a client would see it.

        Raises:
            FinanceError: As over OData.
        """
        entity = self._entity(set_name)
        sent = read_body(entity, dict(body), self.behaviour)
        named = sent.get(entity.properties[entity.company].stored) if entity.company else None
        company = self._company_for(entity, named or self.odata.default_company)
        return entity.project(None)(create_row(self.books, entity, company, sent))

    def update(self, set_name: str, key: tuple[Any, ...], changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change the row with this key (all parts, in the published order); errors as for `create`."""
        entity = self._entity(set_name)
        row = self._row(entity, key)
        company = self._company_for(entity, row[entity.properties[entity.company].stored] if entity.company else "")
        sent = read_body(entity, dict(changes), self.behaviour)
        return entity.project(None)(update_row(self.books, entity, company, row, sent))

    def _entity(self, set_name: str) -> EntitySet:
        entity = entity_sets().get(set_name)
        if entity is None:
            raise MalformedRequest(f"There is no entity set {set_name}.")
        return entity

    def _row(self, entity: EntitySet, key: tuple[Any, ...]) -> Row:
        row = row_of(self.books, entity, list(key))
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

    # --- what was there before ---------------------------------------------------------------------------------------

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
                account=customer.get("InvoiceAccount") or customer["CustomerAccount"],
                amount=amount,
                currency=target.currency,
                kind="Sales",
                voucher=self.books.next_number(target, "voucher", "VCH{:08d}"),
                day=min(today, days - timedelta(days=30)),
                due=due,
                more={
                    "Invoice": number,
                    "PaymTermId": customer.get("PaymentTerms", ""),
                    "OrderAccount": customer["CustomerAccount"],
                },
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
        rate = self.tax_rate(company)
        net = round_money(amount / (1 + rate / 100), target.currency)
        if net + round_money(net * rate / 100, target.currency) != amount:
            raise PostingRefused(f"No net amount gives {amount} at {rate} percent tax.")
        header = {"dataAreaId": target.id, "OrderingCustomerAccountNumber": account, "SalesOrderNumber": number}
        line = {"dataAreaId": target.id, "ItemNumber": item, "SalesPrice": net}
        with self.db.transaction(), _numbers_given(target):
            created = self.create("SalesOrderHeadersV4", header)["SalesOrderNumber"]
            self.create("SalesOrderLinesV3", line | {"SalesOrderNumber": created})
            self.books.update(
                SALES_ORDERS, self.books.order(target, created), {"_confirmed": True, "_DocumentStatus": "Confirmation"}
            )
            refresh_status(self.books, target, created)
            calculate_totals(self.books, target, self.books.order(target, created))


@contextmanager
def _numbers_given(company: Company) -> Iterator[None]:
    """Take sales order numbers as they are given: what is loaded from before has its number."""
    before, company.number_sequence = company.number_sequence, "manual"
    try:
        yield
    finally:
        company.number_sequence = before
