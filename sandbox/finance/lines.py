"""Sales order lines: what X++ does when one is inserted, changed or deleted.

A line takes its defaults from header and item, is priced when the caller sends no price, and its net amount is always
computed. Quantities that follow from it (what remains to deliver and to invoice, in sales and inventory units) are kept
beside it, where the BI entity over the line shows them.
Source: as for `sandbox.finance.orders`; Microsoft Learn, "Manage units of measure".
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from sandbox.finance.amounts import RoundingRule, line_amount
from sandbox.finance.books import Books, Company
from sandbox.finance.errors import InfologError, must_be_filled, not_editable, not_found_in
from sandbox.finance.events import SALES_ORDER_CHANGED
from sandbox.finance.lengths import check_lengths
from sandbox.finance.masterdata import sales_price
from sandbox.finance.model import SALES_LINES, SALES_ORDERS, EntitySet
from sandbox.finance.orders import refuse_not_editable
from sandbox.finance.statuses import refresh_status
from sandbox.finance.totals import NOT_CALCULATED
from sandbox.finance.units import factor
from sandbox.store import Row

LINE_SOURCE: Final = "SalesLine (SalesLine)"
LINE_NOT_EDITABLE: Final = {"InventoryLotId": "Lot ID", "SalesOrderLineStatus": "Line status"}
"""Columns of a line that only Finance writes, with their labels."""

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


def create_line(books: Books, entity: EntitySet, company: Company, sent: Mapping[str, Any]) -> Row:
    """Insert a sales order line; arguments and errors as for `create_header`."""
    check_lengths(entity, sent)
    if sent.get("InventoryLotId"):
        raise not_editable(entity.entity, "InventoryLotId", "Lot ID")
    refuse_not_editable(entity, sent, LINE_NOT_EDITABLE, {"SalesOrderLineStatus": "Backorder", "InventoryLotId": ""})
    number = sent.get("SalesOrderNumber", "")
    if not number:
        raise must_be_filled("Sales order", entity.entity, LINE_SOURCE)
    header = books.get(SALES_ORDERS, company.id, number)
    if header is None:
        raise not_found_in(number, "Sales order", "Sales orders", entity.entity, "SalesOrderNumber")
    _refuse_canceled(entity, header)
    item = _item(books, entity, company, sent)
    row = _line_defaults(books, company, header, item, sent) | dict(sent)
    row |= {
        "dataAreaId": company.id,
        "SalesOrderNumber": header["SalesOrderNumber"],
        "ItemNumber": item["ItemNumber"],
        "InventoryLotId": books.next_number(company, "lot", "{:06d}"),
    }
    row = _numbered(books, entity, company, header, row)
    row |= _check_line(books, entity, company, row, item)
    if "SalesPrice" not in sent:
        row["SalesPrice"] = sales_price(books, company, header, item, row)
    _check_prices(entity, row)
    stored = books.insert(SALES_LINES, with_quantities(_with_amount(books, company, row)))
    last = max(header["_last_line"], stored["LineCreationSequenceNumber"])
    books.update(SALES_ORDERS, header, NOT_CALCULATED | {"_last_line": last})
    if header["SalesOrderStatus"] != "Backorder":
        refresh_status(books, company, header["SalesOrderNumber"])
    return stored


def with_quantities(row: Row) -> Row:
    """The row with what remains of it to deliver and to invoice, in sales and inventory units."""
    each = row["_factor"]
    physical = row["OrderedSalesQuantity"] - row["_cancelled"] - row["_delivered"]
    financial = row["_delivered"] - row["_invoiced"]
    return row | {
        "_RemainPhysical": physical,
        "_RemainFinancial": financial,
        "_InventoryOrdered": row["OrderedSalesQuantity"] * each,
        "_RemainInventoryPhysical": physical * each,
        "_RemainInventoryFinancial": financial * each,
    }


def save_line(books: Books, row: Row, changes: Mapping[str, Any]) -> Row:
    """Store new quantities of a line and what follows from them."""
    return books.update(SALES_LINES, row, with_quantities({**row, **changes}))


def _item(books: Books, entity: EntitySet, company: Company, sent: Mapping[str, Any]) -> Row:
    number = sent.get("ItemNumber", "")
    if not number:
        raise must_be_filled("Item number", entity.entity, LINE_SOURCE)
    item = books.get("ReleasedProductsV2", company.id, number)
    if item is None:
        raise not_found_in(number, "Item number", "Released products", entity.entity, "ItemNumber")
    settings = books.get("ProductDefaultOrderSettings", company.id, item["ItemNumber"])
    if settings is not None and settings.get("IsSalesProcessingStopped") == "Yes":
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
        "AllowedOverdeliveryPercentage": item.get("SalesOverdeliveryPercentage", Decimal(0)),
        "AllowedUnderdeliveryPercentage": item.get("SalesUnderdeliveryPercentage", Decimal(0)),
        "CustAccount": header["OrderingCustomerAccountNumber"],
        "_factor": Decimal(1),
        "_delivered": Decimal(0),
        "_invoiced": Decimal(0),
        "_cancelled": Decimal(0),
    }


def _numbered(books: Books, entity: EntitySet, company: Company, header: Row, row: Row) -> Row:
    """The row with its place in the order: the caller's line number if it is free, otherwise the next."""
    wanted = row.get("LineCreationSequenceNumber", 0)
    taken = wanted > 0 and books.find(
        SALES_LINES,
        dataAreaId=company.id,
        SalesOrderNumber=header["SalesOrderNumber"],
        LineCreationSequenceNumber=wanted,
    )
    if taken:
        raise InfologError(
            entity.entity, (f"Warning: Line creation sequence number {wanted} is in use on the sales order.",)
        )
    sequence = wanted if wanted > 0 else header["_last_line"] + 1
    return row | {"LineCreationSequenceNumber": sequence, "LineNumber": Decimal(sequence)}


def _check_line(books: Books, entity: EntitySet, company: Company, row: Mapping[str, Any], item: Row) -> dict[str, Any]:
    """Refuse what X++ refuses; references in Finance's own spelling, and the factor to the inventory unit."""
    unit = books.get("UnitsOfMeasure", row["SalesUnitSymbol"])
    if unit is None:
        raise not_found_in(row["SalesUnitSymbol"], "Unit", "Units", entity.entity, "SalesUnitSymbol")
    inventory_unit = item.get("InventoryUnitSymbol") or item.get("SalesUnitSymbol", "")
    each = factor(books, unit["UnitSymbol"], inventory_unit)
    if each is None:
        raise InfologError(
            entity.entity,
            (
                f"Error: Unit conversion from {unit['UnitSymbol']} to {inventory_unit} does not exist "
                f"for item {item['ItemNumber']}.",
                "Error: Update has been canceled.",
            ),
        )
    _check_quantity(entity, row["OrderedSalesQuantity"], unit)
    spelled = {"SalesUnitSymbol": unit["UnitSymbol"], "_factor": each}
    places = (("ShippingSiteId", "Site", "OperationalSites"), ("ShippingWarehouseId", "Warehouse", "Warehouses"))
    for column, name, table in places:
        if not row.get(column):
            raise InfologError(
                entity.entity,
                (
                    f"Warning: Inventory dimension {name} is mandatory and must consequently be specified.",
                    "Error: Update has been canceled.",
                ),
            )
        found = books.get(table, company.id, row[column])
        if found is None:
            raise not_found_in(row[column], name, f"{name}s", entity.entity, column)
        spelled[column] = found["SiteId" if table == "OperationalSites" else "WarehouseId"]
    return spelled


def _check_quantity(entity: EntitySet, quantity: Decimal, unit: Row) -> None:
    decimals = unit.get("DecimalPrecision", 0)
    if quantity <= 0:
        raise must_be_filled("Quantity", entity.entity, LINE_SOURCE)
    if quantity != quantity.quantize(Decimal(1).scaleb(-decimals)):
        raise InfologError(
            entity.entity,
            (
                f"Warning: Quantity {quantity} is not valid for unit {unit['UnitSymbol']}, which has "
                f"{decimals} decimals.",
                f"Warning: validateField failed on field '{entity.entity}.OrderedSalesQuantity'",
            ),
        )


def _check_prices(entity: EntitySet, row: Mapping[str, Any]) -> None:
    if row["SalesPriceQuantity"] <= 0:
        raise must_be_filled("Price unit", entity.entity, LINE_SOURCE)
    if row["SalesPrice"] < 0:
        raise InfologError(entity.entity, ("Warning: Unit price must not be negative.",))
    if not 0 <= row["LineDiscountPercentage"] <= 100:
        raise InfologError(entity.entity, ("Warning: Discount percent must be between 0 and 100.",))


def _with_amount(books: Books, company: Company, row: Row) -> Row:
    if row["CalculateLineAmount"] == "Yes" or "LineAmount" not in row:
        rule = RoundingRule.of(books.get("Currencies", row["CurrencyCode"]))
        amount = line_amount(row, row["CurrencyCode"], net_price_rounding=company.net_price_rounding, rule=rule)
        return row | {"LineAmount": amount}
    return row


def update_line(books: Books, entity: EntitySet, company: Company, row: Row, sent: Mapping[str, Any]) -> Row:
    """Change a line: its net amount is computed again and the order's totals are stale from now on.

    Raises:
        InfologError: The line is closed, a field cannot be edited, or validation refuses the values.
    """
    check_lengths(entity, sent)
    changes = {column: value for column, value in sent.items() if row.get(column) != value}
    fixed = {"SalesOrderNumber": "Sales order", "ItemNumber": "Item number", "LineCreationSequenceNumber": "Line"}
    refuse_not_editable(entity, changes, LINE_NOT_EDITABLE | fixed, {})
    if not changes:
        return row
    header = books.order(company, row["SalesOrderNumber"])
    _refuse_canceled(entity, header)
    after = row | changes
    raised = after["OrderedSalesQuantity"] > row["OrderedSalesQuantity"]
    if row["SalesOrderLineStatus"] in ("Invoiced", "Canceled") and not raised:
        raise _closed(entity, header, row["SalesOrderLineStatus"])
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
    after |= _check_line(books, entity, company, after, item)
    _check_prices(entity, after)
    after = with_quantities(_with_amount(books, company, after))
    if after["_RemainPhysical"] < 0:
        after = with_quantities(after | {"_cancelled": after["OrderedSalesQuantity"] - after["_delivered"]})
    stored = books.update(SALES_LINES, row, after)
    books.update(SALES_ORDERS, header, NOT_CALCULATED)
    if row["_delivered"] or header["SalesOrderStatus"] != "Backorder":
        refresh_status(books, company, header["SalesOrderNumber"])
    _tell_changed(books, company, header)
    return stored


def _tell_changed(books: Books, company: Company, header: Row) -> None:
    """Somebody changed the lines of an order that was confirmed."""
    if header["_confirmed"]:
        fields = {
            "SalesOrderId": header["SalesOrderNumber"],
            "CustAccount": header["OrderingCustomerAccountNumber"],
            "LegalEntity": company.id,
        }
        books.events.emit(SALES_ORDER_CHANGED, company.id, fields)


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
    refresh_status(books, company, header["SalesOrderNumber"])
    _tell_changed(books, company, header)


def _refuse_canceled(entity: EntitySet, header: Row) -> None:
    if header["SalesOrderStatus"] == "Canceled":
        raise _closed(entity, header, "Canceled")


def _closed(entity: EntitySet, header: Row, status: str) -> InfologError:
    return InfologError(
        entity.entity,
        (
            f"Warning: Sales order {header['SalesOrderNumber']} has status {status}; lines cannot be changed.",
            f"Warning: validateWrite failed on data source '{LINE_SOURCE}'",
        ),
    )
