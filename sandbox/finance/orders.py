"""Sales order headers: what X++ does when one is inserted, changed or deleted (lines: `sandbox.finance.lines`).

A write runs as in the real system: the caller's values, then defaults from customer, item and company for everything
the caller did not send (sending an empty value defeats defaulting), then validation, whose refusals are infolog texts.
A header's totals are not kept up: they read 0 and `AreTotalsCalculated` No until the totals job has run.
Sources: Microsoft Learn, "Open Data Protocol (OData)" (create and update pipeline); recorded infolog texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from sandbox.finance.books import Books, Company
from sandbox.finance.errors import InfologError, PostingRefused, must_be_filled, not_editable, not_found_in
from sandbox.finance.lengths import check_lengths
from sandbox.finance.masterdata import blocks, stopped_text
from sandbox.finance.model import SALES_LINES, SALES_ORDERS, EntitySet, day_stamp, stamp
from sandbox.finance.totals import CHARGES, NOT_CALCULATED, charges_of
from sandbox.store import Row

HEADER_SOURCE: Final = "SalesTable (SalesTable)"
HEADER_NOT_EDITABLE: Final = {
    "SalesOrderStatus": "Status",
    "SalesOrderProcessingStatus": "Processing status",
    "OrderTotalAmount": "Total amount",
    "OrderTotalTaxAmount": "Total sales tax",
    "OrderTotalChargesAmount": "Total charges",
    "OrderTotalDiscountAmount": "Total discount",
    "TotalDiscountAmount": "Total discount amount",
    "AreTotalsCalculated": "Are totals calculated",
}
"""Columns of a header that only Finance writes, with their labels."""

_FROM_CUSTOMER: Final = {
    "CurrencyCode": "SalesCurrencyCode",
    "LanguageId": "LanguageId",
    "PaymentTermsName": "PaymentTerms",
    "PaymentScheduleName": "PaymentSchedule",
    "CashDiscountCode": "PaymentCashDiscount",
    "CustomerPaymentMethodName": "PaymentMethod",
    "DeliveryModeCode": "DeliveryMode",
    "DeliveryTermsCode": "DeliveryTerms",
    "DefaultShippingSiteId": "SiteId",
    "DefaultShippingWarehouseId": "WarehouseId",
    "SalesTaxGroupCode": "SalesTaxGroup",
    "ArePricesIncludingSalesTax": "IsSalesTaxIncludedInPrices",
    "SalesOrderName": "OrganizationName",
    "Email": "PrimaryContactEmail",
    "PriceCustomerGroupCode": "DiscountPriceGroupId",
    "LineDiscountCustomerGroupCode": "LineDiscountCode",
    "DeliveryAddressName": "OrganizationName",
    "DeliveryAddressStreet": "AddressStreet",
    "DeliveryAddressCity": "AddressCity",
    "DeliveryAddressStateId": "AddressState",
    "DeliveryAddressZipCode": "AddressZipCode",
    "DeliveryAddressCountryRegionId": "AddressCountryRegionId",
    "InvoiceAddressStreet": "AddressStreet",
    "InvoiceAddressCity": "AddressCity",
    "InvoiceAddressStateId": "AddressState",
    "InvoiceAddressZipCode": "AddressZipCode",
    "InvoiceAddressCountryRegionId": "AddressCountryRegionId",
}
"""Order column -> the customer's column it defaults from."""


def create_header(books: Books, entity: EntitySet, company: Company, sent: Mapping[str, Any]) -> Row:
    """Insert a sales order header.

    Args:
        books: Where to book.
        entity: The entity set used, for error texts.
        company: The order's company.
        sent: Stored column -> value, of the columns the caller sent.

    Returns:
        The stored row.

    Raises:
        InfologError: Validation refuses it.
        sandbox.store.DuplicateKey: The number is taken.
    """
    check_lengths(entity, sent)
    refuse_not_editable(entity, sent, HEADER_NOT_EDITABLE, {"SalesOrderStatus": "Backorder"})
    account = sent.get("OrderingCustomerAccountNumber", "")
    if not account:
        raise must_be_filled("Customer account", entity.entity, HEADER_SOURCE)
    customer = books.get("CustomersV3", company.id, account)
    if customer is None:
        raise not_found_in(account, "Customer account", "Customers", entity.entity, "OrderingCustomerAccountNumber")
    invoice_customer = _invoice_customer(books, entity, company, sent, customer)
    for candidate in (customer, invoice_customer):
        if blocks(candidate, "order"):
            raise InfologError(
                entity.entity,
                (
                    f"Warning: {stopped_text(candidate)}",
                    f"Warning: validateWrite failed on data source '{HEADER_SOURCE}'",
                ),
            )
    row = _header_defaults(books, company, customer, invoice_customer)
    row |= sent
    row |= {"SalesOrderNumber": _order_number(books, entity, company, sent), "dataAreaId": company.id}
    row |= {"OrderCreationDateTime": stamp(books.now()), "_CustomerGroup": customer.get("CustomerGroupId", "")}
    row |= {
        "OrderingCustomerAccountNumber": customer["CustomerAccount"],
        "InvoiceCustomerAccountNumber": invoice_customer["CustomerAccount"],
    }
    row |= _check_header(books, entity, company, row)
    return books.insert(SALES_ORDERS, row)


def _invoice_customer(books: Books, entity: EntitySet, company: Company, sent: Mapping[str, Any], customer: Row) -> Row:
    account = sent.get("InvoiceCustomerAccountNumber") or customer.get("InvoiceAccount") or customer["CustomerAccount"]
    found = books.get("CustomersV3", company.id, account)
    if found is None:
        raise not_found_in(account, "Invoice account", "Customers", entity.entity, "InvoiceCustomerAccountNumber")
    return found


def _header_defaults(books: Books, company: Company, customer: Row, invoice_customer: Row) -> Row:
    today = day_stamp(books.today(company))
    row: Row = {column: customer[source] for column, source in _FROM_CUSTOMER.items() if customer.get(source)}
    row.setdefault("CurrencyCode", company.currency)
    row.setdefault("LanguageId", "en-us")
    if company.default_site:
        row.setdefault("DefaultShippingSiteId", company.default_site)
    if company.default_warehouse:
        row.setdefault("DefaultShippingWarehouseId", company.default_warehouse)
    return row | {
        "InvoiceCustomerAccountNumber": invoice_customer["CustomerAccount"],
        "CustomersOrderReference": "",
        "CustomerRequisitionNumber": "",
        "TotalDiscountPercentage": Decimal(0),
        "RequestedShippingDate": today,
        "RequestedReceiptDate": today,
        "SalesOrderStatus": "Backorder",
        "SalesOrderProcessingStatus": "Active",
        "_confirmed": False,
        "_confirmed_as": (),
        "_picked": False,
        "_confirmations": 0,
        "_last_line": 0,
        "_open": False,
        **NOT_CALCULATED,
    }


def _order_number(books: Books, entity: EntitySet, company: Company, sent: Mapping[str, Any]) -> str:
    given: str = sent.get("SalesOrderNumber", "")
    if company.number_sequence == "manual":
        if not given:
            raise must_be_filled("Sales order", entity.entity, HEADER_SOURCE)
        return given
    if given:
        raise InfologError(
            entity.entity,
            (
                "Warning: Number sequence Sale_1 does not allow manual numbers: field 'Sales order' cannot be set.",
                f"Warning: validateField failed on field '{entity.entity}.SalesOrderNumber'",
            ),
        )
    number = books.next_number(company, "order", company.order_prefix + "{:06d}")
    while books.get(SALES_ORDERS, company.id, number) is not None:
        number = books.next_number(company, "order", company.order_prefix + "{:06d}")
    return number


_REFERENCES: Final = (
    ("PaymentTermsName", "Terms of payment", "Terms of payment", "PaymentTerms", "Name"),
    ("PaymentScheduleName", "Payment schedule", "Payment schedule", "PaymentSchedules", "Name"),
    ("CashDiscountCode", "Cash discount", "Cash discounts", "CashDiscounts", "CashDiscountCode"),
    ("SalesTaxGroupCode", "Sales tax group", "Sales tax groups", "TaxGroups", "TaxGroupCode"),
    ("DeliveryTermsCode", "Delivery terms", "Terms of delivery", "DeliveryTerms", "TermsCode"),
    ("SalesOrderOriginCode", "Sales origin", "Sales origin", "SalesOrderOriginCodes", "OriginCode"),
    ("DefaultShippingSiteId", "Site", "Sites", "OperationalSites", "SiteId"),
    ("DefaultShippingWarehouseId", "Warehouse", "Warehouses", "Warehouses", "WarehouseId"),
)
"""Column, field, related table, entity set and its key column beside the company."""


def _check_header(books: Books, entity: EntitySet, company: Company, row: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse values that refer to nothing; the references in Finance's own spelling."""
    currency = books.get("Currencies", row["CurrencyCode"])
    if currency is None:
        raise not_found_in(row["CurrencyCode"], "Currency", "Currency", entity.entity, "CurrencyCode")
    spelled = {"CurrencyCode": currency["CurrencyCode"]}
    try:
        books.in_accounting_currency(Decimal(1), currency["CurrencyCode"], company)
    except PostingRefused as problem:
        raise InfologError(entity.entity, (f"Error: {problem}", "Error: Update has been canceled.")) from problem
    for column, field, related, table, key in _REFERENCES:
        value = row.get(column)
        if not value:
            continue
        found = books.get(table, company.id, value)
        if found is None:
            raise not_found_in(value, field, related, entity.entity, column)
        spelled[column] = found[key]
    if not 0 <= row["TotalDiscountPercentage"] <= 100:
        raise InfologError(entity.entity, ("Warning: Total discount % must be between 0 and 100.",))
    return spelled


def update_header(books: Books, entity: EntitySet, company: Company, row: Row, sent: Mapping[str, Any]) -> Row:
    """Change a header.

    Raises:
        InfologError: The order is closed, a field cannot be edited, or validation refuses the values.
    """
    check_lengths(entity, sent)
    changes = {column: value for column, value in sent.items() if row.get(column) != value}
    refuse_not_editable(entity, changes, HEADER_NOT_EDITABLE, {})
    refuse_not_editable(entity, changes, {"OrderingCustomerAccountNumber": "Customer account"}, {})
    if row["SalesOrderStatus"] in ("Invoiced", "Canceled") and changes:
        raise InfologError(
            entity.entity,
            (
                f"Warning: Sales order {row['SalesOrderNumber']} has status {row['SalesOrderStatus']} and cannot be "
                "changed.",
                f"Warning: validateWrite failed on data source '{HEADER_SOURCE}'",
            ),
        )
    if "CurrencyCode" in changes and books.find(SALES_LINES, SalesOrderNumber=row["SalesOrderNumber"]):
        raise InfologError(entity.entity, ("Warning: Currency cannot be changed because sales order lines exist.",))
    if not changes:
        return row
    if "InvoiceCustomerAccountNumber" in changes:
        payer = _invoice_customer(books, entity, company, changes, row)
        changes["InvoiceCustomerAccountNumber"] = payer["CustomerAccount"]
    spelled = _check_header(books, entity, company, row | changes)
    changes = {column: spelled.get(column, value) for column, value in changes.items()}
    return books.update(SALES_ORDERS, row, changes | NOT_CALCULATED)


def delete_header(books: Books, entity: EntitySet, company: Company, row: Row) -> None:
    """Delete an order and its lines, as long as nothing of it has been delivered.

    Raises:
        InfologError: Something has been posted.
    """
    lines = books.lines(company, row["SalesOrderNumber"])
    if row["_picked"] or any(line["_delivered"] or line["_invoiced"] for line in lines):
        raise InfologError(
            entity.entity,
            (f"Error: Sales order {row['SalesOrderNumber']} cannot be deleted because it has been updated.",),
        )
    for line in lines:
        books.delete(SALES_LINES, line)
    for charge in charges_of(books, row):
        books.delete(CHARGES, charge)
    books.delete(SALES_ORDERS, row)


def refuse_not_editable(
    entity: EntitySet, sent: Mapping[str, Any], labels: Mapping[str, str], harmless: Mapping[str, Any]
) -> None:
    """Refuse values of columns that only Finance writes, but those named as harmless.

    Raises:
        InfologError: One is sent.
    """
    for column, label in labels.items():
        if column in sent and sent[column] != harmless.get(column, object()):
            raise not_editable(entity.entity, column, label)
