"""Customers and prices: the rules that hang on them.

What a customer's hold status blocks, which account is billed, and which price agreement applies to a line.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from sandbox.finance.amounts import round_money
from sandbox.finance.books import Books, Company
from sandbox.finance.errors import InfologError, PostingRefused, must_be_filled, not_found_in
from sandbox.finance.events import CUST_BLOCKED, CUST_CREDIT_LIMIT_CHANGED
from sandbox.finance.lengths import check_lengths
from sandbox.finance.model import EMPTY_DATE, SALES_ORDERS, EntitySet, day_of, stamp
from sandbox.finance.units import convert
from sandbox.store import Row

BLOCKED_BY: Final[Mapping[str, frozenset[str]]] = {
    "No": frozenset(),
    "Invoice": frozenset({"invoice"}),
    "All": frozenset({"order", "confirm", "pick", "packingSlip", "invoice"}),
    "Payment": frozenset({"payment"}),
    "Requisition": frozenset(),
    "Never": frozenset(),
    "PurchOrder": frozenset(),
}
"""OnHoldStatus of a customer -> what it stops. (Microsoft Learn: "Customer holds": Invoice stops invoicing, All stops
every sales transaction; Never is never put on hold by the system.)"""

CUSTOMER_SOURCE: Final = "CustTable (CustTable)"

_PARTY: Final = (
    "Organization",
    "Person",
    "NameAlias",
    "KnownAs",
    "LanguageId",
    "AddressBooks",
    "Address",
    "DeliveryAddress",
    "InvoiceAddress",
    "PrimaryContact",
    "FullPrimaryAddress",
)
"""How the columns of CustomersV3 begin that live with the party (DirPartyTable, its addresses and its contact details)
and not in CustTable. Microsoft documents the entity's data sources, not every column's: read from their names."""


def of_party(column: str) -> bool:
    """Whether a column of a customer is the party's: changing it leaves CustTable's modification time as it is."""
    return column.startswith(_PARTY) and column != "InvoiceAddress"


def blocks(customer: Row, action: str) -> bool:
    """Whether the customer's hold status stops an action (order, confirm, pick, packingSlip, invoice, payment)."""
    return action in BLOCKED_BY[customer.get("OnHoldStatus", "No")]


def stopped_text(customer: Row) -> str:
    """How Finance says that a customer's hold status stops what was asked for."""
    return f"Customer {customer['CustomerAccount']} is stopped for {customer['OnHoldStatus']}."


def create_customer(books: Books, entity: EntitySet, company: Company, sent: Mapping[str, Any]) -> Row:
    """Insert a customer. Finance takes two customers of one name, address or tax number.

    An account that is given is taken whether the number sequence is manual or not, as long as nobody has it: "a range
    for each application" (Microsoft Learn: "Configure number sequences and autonumber columns when using dual-write").

    Raises:
        InfologError: Group, currency, name or account is missing, or refers to nothing.
        sandbox.store.DuplicateKey: The account exists.
    """
    person = " ".join(part for part in (sent.get("PersonFirstName"), sent.get("PersonLastName")) if part)
    name = sent.get("OrganizationName") or person
    group = sent.get("CustomerGroupId", "")
    account = sent.get("CustomerAccount", "")
    required = (
        (account or company.customer_sequence == "automatic", "Customer account"),
        (name, "Name"),
        (group, "Customer group"),
        (sent.get("SalesCurrencyCode", ""), "Currency"),
    )
    for value, field in required:
        if not value:
            raise must_be_filled(field, entity.entity, CUSTOMER_SOURCE)
    group_row = books.get("CustomerGroups", company.id, group)
    if group_row is None:
        raise not_found_in(group, "Customer group", "Customer groups", entity.entity, "CustomerGroupId")
    row: Row = {
        "PartyType": "Organization" if sent.get("OrganizationName") else "Person",
        "OrganizationName": name,
        "NameAlias": name[:20],
        "LanguageId": "en-us",
        "PaymentTerms": group_row.get("PaymentTermId", ""),
        "SalesTaxGroup": group_row.get("TaxGroupId", ""),
        "InvoiceAccount": "",
        "CreditLimit": Decimal(0),
        "OnHoldStatus": "No",
        "CredManCustUnlimitedCredit": "No",
        "CredManGroupId": "",
        **sent,
        "CustomerAccount": account or _next_account(books, company),
        "dataAreaId": company.id,
    }
    check_lengths(entity, sent)
    row |= _check_customer(books, entity, company, row)
    row["PartyNumber"] = row.get("PartyNumber") or books.next_number(company, "party", "{:09d}")
    row |= {"_created": stamp(books.now()), "_own_version": 0}
    return books.insert("CustomersV3", row)


def _next_account(books: Books, company: Company) -> str:
    """The next free number of the company's sequence of customers."""
    while True:
        number = books.next_number(company, "customer", f"{company.id.upper()}-{{:06d}}")
        if books.get("CustomersV3", company.id, number) is None:
            return number


def update_customer(books: Books, entity: EntitySet, company: Company, row: Row, sent: Mapping[str, Any]) -> Row:
    """Change a customer; a new credit limit or hold status raises its business event.

    Raises:
        InfologError: A value refers to nothing.
    """
    changes = {column: value for column, value in sent.items() if row.get(column) != value}
    if not changes:
        return row
    check_lengths(entity, changes)
    spelled = _check_customer(books, entity, company, row | changes)
    changes = {column: spelled.get(column, value) for column, value in changes.items()}
    account = row["CustomerAccount"]
    if "CreditLimit" in changes:
        fields = {
            "CustAccount": account,
            "OldLimit": row["CreditLimit"],
            "NewLimit": changes["CreditLimit"],
            "LegalEntity": company.id,
        }
        books.events.emit(CUST_CREDIT_LIMIT_CHANGED, company.id, fields)
    if "OnHoldStatus" in changes:
        fields = {"CustAccount": account, "OnHoldStatus": changes["OnHoldStatus"], "LegalEntity": company.id}
        books.events.emit(CUST_BLOCKED, company.id, fields)
    return books.update("CustomersV3", row, changes, own=not all(map(of_party, changes)))


def delete_customer(books: Books, entity: EntitySet, company: Company, row: Row) -> None:
    """Delete a customer without orders or transactions.

    Raises:
        InfologError: Something depends on it.
    """
    account = row["CustomerAccount"]
    used = books.find("CustTransactions", AccountNum=account, dataAreaId=company.id) or books.find(
        SALES_ORDERS, OrderingCustomerAccountNumber=account, dataAreaId=company.id
    )
    if used:
        raise InfologError(
            entity.entity, (f"Error: Customer {account} cannot be deleted while dependent transactions exist.",)
        )
    books.delete("CustomersV3", row)


_REFERENCES: Final = (
    ("SalesCurrencyCode", "Currency", "Currency", "Currencies", "CurrencyCode", False),
    ("PaymentTerms", "Terms of payment", "Terms of payment", "PaymentTerms", "Name", True),
    ("PaymentSchedule", "Payment schedule", "Payment schedule", "PaymentSchedules", "Name", True),
    ("PaymentCashDiscount", "Cash discount", "Cash discounts", "CashDiscounts", "CashDiscountCode", True),
    ("PaymentMethod", "Method of payment", "Methods of payment", "CustomerPaymentMethods", "Name", True),
    ("CustomerGroupId", "Customer group", "Customer groups", "CustomerGroups", "CustomerGroupId", True),
    ("SalesTaxGroup", "Sales tax group", "Sales tax groups", "TaxGroups", "TaxGroupCode", True),
    ("DeliveryTerms", "Delivery terms", "Terms of delivery", "DeliveryTerms", "TermsCode", True),
)
"""Column, field, related table, entity set, its key column, and whether the key begins with the company."""


def _check_customer(books: Books, entity: EntitySet, company: Company, row: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse values that refer to nothing; the references in Finance's own spelling.

    Raises:
        InfologError: One refers to nothing, or an amount is not possible.
    """
    spelled: dict[str, Any] = {}
    for column, field, related, table, key, of_company in _REFERENCES:
        value = row.get(column)
        if not value:
            continue
        found = books.get(table, company.id, value) if of_company else books.get(table, value)
        if found is None:
            raise not_found_in(value, field, related, entity.entity, column)
        spelled[column] = found[key]
    if payer := row.get("InvoiceAccount"):
        found = books.get("CustomersV3", company.id, payer)
        if found is None:
            raise not_found_in(payer, "Invoice account", "Customers", entity.entity, "InvoiceAccount")
        spelled["InvoiceAccount"] = found["CustomerAccount"]
    if row["CreditLimit"] < 0:
        raise InfologError(entity.entity, ("Warning: Credit limit must not be negative.",))
    return spelled


def sales_price(books: Books, company: Company, header: Row, item: Row, line: Mapping[str, Any]) -> Decimal:
    """The unit price of a line whose caller sent none, in the order's currency.

    Price agreements are searched for the customer, then for the customer's price group, then for all customers; the
    lowest price that fits currency, unit, quantity and date wins. Without one the item's base sales price is taken, at
    the exchange rate where the order is in another currency than the company.
    """
    today = books.today(company)
    fitting = [
        row
        for row in books.find("SalesPriceAgreements", ItemNumber=item["ItemNumber"], dataAreaId=company.id)
        if row["PriceCurrencyCode"] == line["CurrencyCode"]
        and row.get("QuantityUnitySymbol", "") in ("", line["SalesUnitSymbol"])
        and row.get("FromQuantity", Decimal(0)) <= line["OrderedSalesQuantity"]
        and (not row.get("ToQuantity") or line["OrderedSalesQuantity"] <= row["ToQuantity"])
        and _in_force(row.get("PriceApplicableFromDate"), row.get("PriceApplicableToDate"), today.isoformat())
    ]
    account, group = header["OrderingCustomerAccountNumber"], header.get("PriceCustomerGroupCode", "")
    for customer, price_group in ((account, ""), ("", group), ("", "")):
        prices: list[Decimal] = [
            row["Price"] / (row.get("SalesPriceQuantity") or 1) * line["SalesPriceQuantity"]
            for row in fitting
            if row.get("CustomerAccountNumber", "") == customer and row.get("PriceCustomerGroupCode", "") == price_group
        ]
        if prices:
            return min(prices)
    base: Decimal = item.get("SalesPrice", Decimal(0))
    base = base / (item.get("SalesPriceQuantity") or 1) * line["SalesPriceQuantity"]
    base = convert(books, base, item.get("SalesUnitSymbol", ""), line["SalesUnitSymbol"], price=True)
    currency = line["CurrencyCode"]
    if currency == company.currency:
        return base
    try:
        rate = books.rate_or_refuse(company.currency, currency, company)
    except PostingRefused as problem:
        raise InfologError("SalesLine", (f"Error: {problem}", "Error: Update has been canceled.")) from problem
    return round_money(base * rate, currency)


def _in_force(start: str | None, end: str | None, today: str) -> bool:
    begun = not start or start == EMPTY_DATE or day_of(start).isoformat() <= today
    ended = bool(end) and end != EMPTY_DATE and day_of(end or EMPTY_DATE).isoformat() < today
    return begun and not ended
