"""Sales orders: what X++ does when a header or a line is inserted, changed or deleted.

A write runs as in the real system: the caller's values, then defaults from customer, item and company for everything
the caller did not send (sending an empty value defeats defaulting), then validation, whose refusals are infolog texts.
A header's totals are not kept up: they read 0 and `AreTotalsCalculated` No until the totals job has run.
Sources: Microsoft Learn, "Open Data Protocol (OData)" (create and update pipeline); recorded infolog texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from sandbox.finance.amounts import line_amount
from sandbox.finance.books import Books, Company
from sandbox.finance.errors import InfologError, PostingRefused, must_be_filled, not_found_in
from sandbox.finance.masterdata import blocks, sales_price
from sandbox.finance.model import SALES_LINES, SALES_ORDERS, EntitySet, day_stamp, stamp
from sandbox.finance.totals import NOT_CALCULATED
from sandbox.store import Row

HEADER_SOURCE: Final = "SalesTable (SalesTable)"
LINE_SOURCE: Final = "SalesLine (SalesLine)"
_HEADER_NOT_EDITABLE: Final = {
    "SalesOrderStatus": "Status",
    "SalesOrderProcessingStatus": "Processing status",
    "OrderTotalAmount": "Total amount",
    "OrderTotalTaxAmount": "Total sales tax",
    "OrderTotalChargesAmount": "Total charges",
    "OrderTotalDiscountAmount": "Total discount",
    "TotalDiscountAmount": "Total discount amount",
    "AreTotalsCalculated": "Are totals calculated",
}
_LINE_NOT_EDITABLE: Final = {"InventoryLotId": "Lot ID", "SalesOrderLineStatus": "Line status"}
_LENGTHS: Final = {
    "SalesOrderNumber": 20,
    "SalesOrderName": 60,
    "CustomersOrderReference": 60,
    "CustomerRequisitionNumber": 50,
    "ItemNumber": 20,
    "LineDescription": 1000,
    "ExternalItemNumber": 20,
    "OrderLineReference": 60,
}
_FROM_CUSTOMER: Final = {
    "CurrencyCode": "SalesCurrencyCode",
    "LanguageId": "LanguageId",
    "PaymentTermsName": "PaymentTerms",
    "CustomerPaymentMethodName": "PaymentMethod",
    "DeliveryModeCode": "DeliveryMode",
    "DeliveryTermsCode": "DeliveryTerms",
    "DefaultShippingSiteId": "SiteId",
    "DefaultShippingWarehouseId": "WarehouseId",
    "SalesTaxGroupCode": "SalesTaxGroup",
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

_FROM_HEADER: Final = {
    "CurrencyCode": "CurrencyCode",
    "SalesTaxGroupCode": "SalesTaxGroupCode",
    "ShippingSiteId": "DefaultShippingSiteId",
    "ShippingWarehouseId": "DefaultShippingWarehouseId",
    "RequestedShippingDate": "RequestedShippingDate",
    "RequestedReceiptDate": "RequestedReceiptDate",
    "DeliveryModeCode": "DeliveryModeCode",
    "DeliveryTermsId": "DeliveryTermsCode",
    "DeliveryAddressName": "DeliveryAddressName",
    "DeliveryAddressStreet": "DeliveryAddressStreet",
    "DeliveryAddressCity": "DeliveryAddressCity",
    "DeliveryAddressStateId": "DeliveryAddressStateId",
    "DeliveryAddressZipCode": "DeliveryAddressZipCode",
    "DeliveryAddressCountryRegionId": "DeliveryAddressCountryRegionId",
}
"""Line column -> the header's column it defaults from."""


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
    _check_lengths(entity, sent)
    _refuse_not_editable(entity, sent, _HEADER_NOT_EDITABLE, {"SalesOrderStatus": "Backorder"})
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
                    f"Warning: Customer account {candidate['CustomerAccount']} is on hold with code "
                    f"{candidate['OnHoldStatus']}.",
                    f"Warning: validateWrite failed on data source '{HEADER_SOURCE}'",
                ),
            )
    row = _header_defaults(books, company, customer, invoice_customer)
    row |= sent
    row |= {"SalesOrderNumber": _order_number(books, entity, company, sent), "dataAreaId": company.id}
    row |= {"OrderCreationDateTime": stamp(books.now()), "_CustomerGroup": customer.get("CustomerGroupId", "")}
    _check_header(books, entity, company, row)
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
    number = books.next_number(company, "order", "{:06d}")
    while books.get(SALES_ORDERS, company.id, number) is not None:
        number = books.next_number(company, "order", "{:06d}")
    return number


def _check_header(books: Books, entity: EntitySet, company: Company, row: Mapping[str, Any]) -> None:
    currency = row["CurrencyCode"]
    if books.get("Currencies", currency) is None:
        raise not_found_in(currency, "Currency", "Currency", entity.entity, "CurrencyCode")
    try:
        books.in_accounting_currency(Decimal(1), currency, company)
    except PostingRefused as problem:
        raise InfologError(entity.entity, (f"Error: {problem}", "Error: Update has been canceled.")) from problem
    term = row.get("PaymentTermsName")
    if term and books.get("PaymentTerms", company.id, term) is None:
        raise not_found_in(term, "Terms of payment", "Terms of payment", entity.entity, "PaymentTermsName")
    if not 0 <= row["TotalDiscountPercentage"] <= 100:
        raise InfologError(entity.entity, ("Warning: Total discount % must be between 0 and 100.",))


def update_header(books: Books, entity: EntitySet, company: Company, row: Row, sent: Mapping[str, Any]) -> Row:
    """Change a header.

    Raises:
        InfologError: The order is closed, a field cannot be edited, or validation refuses the values.
    """
    _check_lengths(entity, sent)
    changes = {column: value for column, value in sent.items() if row.get(column) != value}
    _refuse_not_editable(entity, changes, _HEADER_NOT_EDITABLE, {})
    _refuse_not_editable(entity, changes, {"OrderingCustomerAccountNumber": "Customer account"}, {})
    if row["SalesOrderStatus"] in ("Invoiced", "Canceled") and changes:
        raise InfologError(
            entity.entity,
            (
                f"Warning: Sales order {row['SalesOrderNumber']} has status {row['SalesOrderStatus']} and cannot be "
                "changed.",
                f"Warning: validateWrite failed on data source '{HEADER_SOURCE}'",
            ),
        )
    lines = books.lines(company, row["SalesOrderNumber"])
    if "CurrencyCode" in changes and lines:
        raise InfologError(entity.entity, ("Warning: Currency cannot be changed because sales order lines exist.",))
    after = row | changes
    _check_header(books, entity, company, after)
    if not changes:
        return row
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
    books.delete(SALES_ORDERS, row)


def create_line(books: Books, entity: EntitySet, company: Company, sent: Mapping[str, Any]) -> Row:
    """Insert a sales order line; arguments and errors as for `create_header`."""
    _check_lengths(entity, sent)
    if sent.get("InventoryLotId"):
        raise _not_editable(entity, "InventoryLotId", "Lot ID")
    _refuse_not_editable(entity, sent, _LINE_NOT_EDITABLE, {"SalesOrderLineStatus": "Backorder", "InventoryLotId": ""})
    number = sent.get("SalesOrderNumber", "")
    if not number:
        raise must_be_filled("Sales order", entity.entity, LINE_SOURCE)
    header = books.get(SALES_ORDERS, company.id, number)
    if header is None:
        raise not_found_in(number, "Sales order", "Sales orders", entity.entity, "SalesOrderNumber")
    _refuse_closed(entity, header)
    item = _item(books, entity, company, sent)
    row = _line_defaults(books, company, header, item, sent) | dict(sent)
    row |= {
        "dataAreaId": company.id,
        "SalesOrderNumber": header["SalesOrderNumber"],
        "ItemNumber": item["ItemNumber"],
        "InventoryLotId": books.next_number(company, "lot", "{:06d}"),
    }
    row = _numbered(books, entity, company, row)
    if "SalesPrice" not in sent:
        row["SalesPrice"] = sales_price(books, company, header, item, row)
    _check_line(books, entity, row, item)
    stored = books.insert(SALES_LINES, _with_amount(row))
    books.update(SALES_ORDERS, header, NOT_CALCULATED | {"SalesOrderStatus": "Backorder"})
    return stored


def _item(books: Books, entity: EntitySet, company: Company, sent: Mapping[str, Any]) -> Row:
    number = sent.get("ItemNumber", "")
    if not number:
        raise must_be_filled("Item number", entity.entity, LINE_SOURCE)
    item = books.get("ReleasedProductsV2", company.id, number)
    if item is None:
        raise not_found_in(number, "Item number", "Released products", entity.entity, "ItemNumber")
    if item.get("_stopped"):
        raise InfologError(
            entity.entity,
            (
                f"Warning: Item {item['ItemNumber']} is blocked for 'Sales order'.",
                f"Warning: validateWrite failed on data source '{LINE_SOURCE}'",
            ),
        )
    return item


def _line_defaults(books: Books, company: Company, header: Row, item: Row, sent: Mapping[str, Any]) -> Row:
    row: Row = {column: header[source] for column, source in _FROM_HEADER.items() if header.get(source)}
    if sent.get("ShippingSiteId") and "ShippingWarehouseId" not in sent and row.get("ShippingSiteId"):
        same_site = str(sent["ShippingSiteId"]).lower() == row["ShippingSiteId"].lower()
        if not same_site:
            row.pop("ShippingWarehouseId", None)
    return row | {
        "LineDescription": item.get("SearchName", ""),
        "OrderedSalesQuantity": Decimal(1),
        "SalesUnitSymbol": item.get("SalesUnitSymbol", ""),
        "SalesPriceQuantity": item.get("SalesPriceQuantity") or Decimal(1),
        "SalesTaxItemGroupCode": item.get("SalesSalesTaxItemGroupCode", ""),
        "LineDiscountAmount": Decimal(0),
        "LineDiscountPercentage": Decimal(0),
        "FixedPriceCharges": Decimal(0),
        "CalculateLineAmount": "Yes",
        "SalesOrderLineStatus": "Backorder",
        "SalesDeliverNow": Decimal(0),
        "_delivered": Decimal(0),
        "_invoiced": Decimal(0),
        "_cancelled": Decimal(0),
    }


def _numbered(books: Books, entity: EntitySet, company: Company, row: Row) -> Row:
    """The row with its place in the order: the caller's line number if it is free, otherwise the next."""
    taken = {line["LineCreationSequenceNumber"] for line in books.lines(company, row["SalesOrderNumber"])}
    wanted = row.get("LineCreationSequenceNumber", 0)
    if wanted in taken:
        raise InfologError(
            entity.entity, (f"Warning: Line creation sequence number {wanted} is in use on the sales order.",)
        )
    sequence = wanted if wanted > 0 else max(taken, default=0) + 1
    return row | {"LineCreationSequenceNumber": sequence, "LineNumber": Decimal(sequence)}


def _check_line(books: Books, entity: EntitySet, row: Mapping[str, Any], item: Row) -> None:
    unit = books.get("UnitsOfMeasure", row["SalesUnitSymbol"])
    if unit is None:
        raise not_found_in(row["SalesUnitSymbol"], "Unit", "Units", entity.entity, "SalesUnitSymbol")
    if unit["UnitSymbol"].lower() != item.get("SalesUnitSymbol", "").lower():
        raise InfologError(
            entity.entity,
            (
                f"Error: Unit conversion from {unit['UnitSymbol']} to {item.get('SalesUnitSymbol', '')} does not exist "
                f"for item {item['ItemNumber']}.",
                "Error: Update has been canceled.",
            ),
        )
    quantity = row["OrderedSalesQuantity"]
    if quantity <= 0:
        raise must_be_filled("Quantity", entity.entity, LINE_SOURCE)
    if quantity != quantity.quantize(Decimal(1).scaleb(-unit.get("DecimalPrecision", 0))):
        raise InfologError(
            entity.entity,
            (
                f"Warning: Quantity {quantity} is not valid for unit {unit['UnitSymbol']}, which has "
                f"{unit.get('DecimalPrecision', 0)} decimals.",
                f"Warning: validateField failed on field '{entity.entity}.OrderedSalesQuantity'",
            ),
        )
    _check_prices(entity, row)
    for column, name in (("ShippingSiteId", "Site"), ("ShippingWarehouseId", "Warehouse")):
        if not row.get(column):
            raise InfologError(
                entity.entity,
                (
                    f"Warning: Inventory dimension {name} is mandatory and must consequently be specified.",
                    "Error: Update has been canceled.",
                ),
            )


def _check_prices(entity: EntitySet, row: Mapping[str, Any]) -> None:
    if row["SalesPriceQuantity"] <= 0:
        raise must_be_filled("Price unit", entity.entity, LINE_SOURCE)
    if row["SalesPrice"] < 0:
        raise InfologError(entity.entity, ("Warning: Unit price must not be negative.",))
    if not 0 <= row["LineDiscountPercentage"] <= 100:
        raise InfologError(entity.entity, ("Warning: Discount percent must be between 0 and 100.",))


def _with_amount(row: Row) -> Row:
    if row["CalculateLineAmount"] == "Yes" or "LineAmount" not in row:
        return row | {"LineAmount": line_amount(row, row["CurrencyCode"])}
    return row


def update_line(books: Books, entity: EntitySet, company: Company, row: Row, sent: Mapping[str, Any]) -> Row:
    """Change a line: its net amount is computed again and the order's totals are stale from now on.

    Raises:
        InfologError: The line is closed, a field cannot be edited, or validation refuses the values.
    """
    _check_lengths(entity, sent)
    changes = {column: value for column, value in sent.items() if row.get(column) != value}
    fixed = {"SalesOrderNumber": "Sales order", "ItemNumber": "Item number", "LineCreationSequenceNumber": "Line"}
    _refuse_not_editable(entity, changes, _LINE_NOT_EDITABLE | fixed, {})
    if not changes:
        return row
    header = books.order(company, row["SalesOrderNumber"])
    _refuse_closed(entity, header)
    after = row | changes
    if after["OrderedSalesQuantity"] < row["_delivered"]:
        raise InfologError(
            entity.entity,
            (
                f"Warning: Quantity cannot be reduced to {after['OrderedSalesQuantity']} because "
                f"{row['_delivered']} has been delivered.",
                f"Warning: validateField failed on field '{entity.entity}.OrderedSalesQuantity'",
            ),
        )
    priced = {"SalesPrice", "SalesPriceQuantity", "LineDiscountAmount", "LineDiscountPercentage", "FixedPriceCharges"}
    if row["_invoiced"] and priced & changes.keys():
        raise InfologError(entity.entity, ("Warning: Prices cannot be changed because the line has been invoiced.",))
    item = books.get("ReleasedProductsV2", company.id, row["ItemNumber"])
    if item is None:
        raise not_found_in(row["ItemNumber"], "Item number", "Released products", entity.entity, "ItemNumber")
    _check_line(books, entity, after, item)
    stored = books.update(SALES_LINES, row, _with_amount(after))
    books.update(SALES_ORDERS, header, NOT_CALCULATED)
    return stored


def delete_line(books: Books, entity: EntitySet, company: Company, row: Row) -> None:
    """Delete a line of which nothing has been delivered.

    Raises:
        InfologError: Something of it has been posted.
    """
    if row["_delivered"] or row["_invoiced"]:
        raise InfologError(entity.entity, ("Error: The line cannot be deleted because it has been updated.",))
    header = books.order(company, row["SalesOrderNumber"])
    books.delete(SALES_LINES, row)
    books.update(SALES_ORDERS, header, NOT_CALCULATED)


def _refuse_closed(entity: EntitySet, header: Row) -> None:
    if header["SalesOrderStatus"] in ("Invoiced", "Canceled"):
        raise InfologError(
            entity.entity,
            (
                f"Warning: Sales order {header['SalesOrderNumber']} has status {header['SalesOrderStatus']}; lines "
                "cannot be changed.",
                f"Warning: validateWrite failed on data source '{LINE_SOURCE}'",
            ),
        )


def _check_lengths(entity: EntitySet, sent: Mapping[str, Any]) -> None:
    for column, length in _LENGTHS.items():
        if len(sent.get(column) or "") > length:
            raise InfologError(
                entity.entity,
                (
                    f"Warning: The value in field '{column}' is longer than {length} characters.",
                    f"Warning: validateField failed on field '{entity.entity}.{column}'",
                ),
            )


def _refuse_not_editable(
    entity: EntitySet, sent: Mapping[str, Any], labels: Mapping[str, str], harmless: Mapping[str, Any]
) -> None:
    for column, label in labels.items():
        if column in sent and sent[column] != harmless.get(column, object()):
            raise _not_editable(entity, column, label)


def _not_editable(entity: EntitySet, column: str, label: str) -> InfologError:
    return InfologError(
        entity.entity,
        (
            f"Warning: Field '{label}' does not allow editing.",
            f"Warning: validateField failed on field '{entity.entity}.{column}'",
        ),
    )
