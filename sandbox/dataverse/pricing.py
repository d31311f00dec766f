"""What Dataverse computes on opportunities, quotes, orders and invoices: prices from the list, line amounts, totals.

Line: baseamount = (price per unit − volume discount) × quantity; extendedamount = baseamount − manual discount + tax.
Header: detail amount = Σ (extended − tax); less the header's discount (amount and percentage of the detail amount);
plus freight and the lines' tax. Amounts are rounded to the currency's decimals, half away from zero.
(Microsoft Learn: quote and quotedetail column descriptions; "Calculate price in opportunity, quote, order, and invoice
records"; "Precision" and "PrecisionSource" of money columns; pricing error codes: global choice
`qooi_pricingerrorcode`.)

A header keeps the sums of its lines beside its columns (`@sums`), and every line what it added to them (`@counted`),
so that writing one line of ten thousand costs as much as writing one of ten. Sums of Decimal are exact: the outcome is
that of adding up all lines anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final, NamedTuple

from sandbox.dataverse import errors
from sandbox.dataverse.operation import Operation, Touched
from sandbox.dataverse.schema import Entity
from sandbox.dataverse.values import money
from sandbox.store import Row

NO_ERROR: Final = 0
DETAIL_ERROR: Final = 1
MISSING_PRICE_LEVEL: Final = 2
INACTIVE_PRICE_LEVEL: Final = 3
MISSING_QUANTITY: Final = 4
MISSING_UNIT_PRICE: Final = 5
MISSING_PRODUCT: Final = 6
MISSING_UOM: Final = 10
PRODUCT_NOT_IN_PRICE_LEVEL: Final = 11
MISSING_PRICE: Final = 14

_ZERO: Final = Decimal(0)
_BY_PRICING, _BY_CURRENCY = 1, 2
_HUNDRED: Final = Decimal(100)


@dataclass(frozen=True, slots=True)
class Document:
    """A priced table and the table of its lines.

    Attributes:
        name: Logical name of the header.
        line: Logical name of the line.
        lookup: The line's stored lookup to the header.
        number: The header's number column, None where it has none.
        prefix: What its numbers begin with.
        editable: States in which header and lines can be edited.
        line_state: The line's column that repeats the header's state.
    """

    name: str
    line: str
    lookup: str
    number: str | None
    prefix: str
    editable: frozenset[int]
    line_state: str


DOCUMENTS: Final[Mapping[str, Document]] = {
    document.name: document
    for document in (
        Document(
            "opportunity",
            "opportunityproduct",
            "_opportunityid_value",
            None,
            "",
            frozenset({0, 1, 2}),
            "opportunitystatecode",
        ),
        Document("quote", "quotedetail", "_quoteid_value", "quotenumber", "QUO", frozenset({0}), "quotestatecode"),
        Document(
            "salesorder",
            "salesorderdetail",
            "_salesorderid_value",
            "ordernumber",
            "ORD",
            frozenset({0}),
            "salesorderstatecode",
        ),
        Document(
            "invoice", "invoicedetail", "_invoiceid_value", "invoicenumber", "INV", frozenset({0}), "invoicestatecode"
        ),
    )
}
LINES: Final[Mapping[str, Document]] = {document.line: document for document in DOCUMENTS.values()}

_PRICES_EVERY_LINE: Final = frozenset({"_pricelevelid_value", "_transactioncurrencyid_value", "exchangerate"})
_STATE: Final = frozenset({"statecode", "statuscode"})


def touch_header(operation: Operation, name: str, row_id: str, changes: Row) -> None:
    """Note what an update of a document makes it necessary to compute again.

    Args:
        operation: The request.
        name: Logical name of the document.
        row_id: Its id.
        changes: The stored columns that were written.
    """
    touched = operation.touch(name, row_id)
    touched.everything |= not _PRICES_EVERY_LINE.isdisjoint(changes)
    touched.state |= not _STATE.isdisjoint(changes)


def precision_of(operation: Operation, row: Row) -> Decimal:
    """The smallest unit of a row's currency as a Decimal step, e.g. 0.01 for USD and 1 for JPY."""
    currency = operation.row("transactioncurrency", row.get("_transactioncurrencyid_value"))
    places = 2 if currency is None else currency.get("currencyprecision")
    return Decimal(1).scaleb(-int(2 if places is None else places))


def pricing_step(operation: Operation) -> Decimal:
    """The smallest difference of prices per unit: `organization.pricingdecimalprecision` as a Decimal step."""
    organization = next(iter(operation.rows("organization")), {})
    return Decimal(1).scaleb(-int(organization.get("pricingdecimalprecision", 2)))


def round_money(operation: Operation, entity: Entity, row: Row, values: Row) -> None:
    """Round the amounts among a row's new values as their columns say: to the currency, the pricing precision, or own.

    Amounts in the base currency are left as they are: they follow from the others.
    """
    for name, value in values.items():
        column = entity.by_stored.get(name)
        if value is None or column is None or column.type != "Money" or name.endswith("_base"):
            continue
        if column.precision_source == _BY_PRICING:
            step = pricing_step(operation)
        elif column.precision_source == _BY_CURRENCY:
            step = precision_of(operation, row)
        else:
            step = Decimal(1).scaleb(-(2 if column.precision is None else column.precision))
        values[name] = money(value.quantize(step, ROUND_HALF_UP))


def check_currency(operation: Operation, header: Row) -> None:
    """A document's currency must be its price list's.

    Raises:
        DataverseError: They differ.
    """
    price_list = operation.row("pricelevel", header.get("_pricelevelid_value"))
    if price_list is None:
        return
    if price_list.get("_transactioncurrencyid_value") != header.get("_transactioncurrencyid_value"):
        raise errors.currencies_differ()


def skips_pricing(operation: Operation, name: str) -> bool:
    """Whether a document is stored as sent: an order or invoice written by an integration user.

    (Microsoft Learn: "Enable sales order processing integration".)
    """
    return operation.integration and name in ("salesorder", "invoice")


def settle(operation: Operation) -> None:
    """Compute again every document the operation touched."""
    while operation.touched:
        name, row_id = next(iter(operation.touched))
        touched = operation.touched.pop((name, row_id))
        if skips_pricing(operation, name):
            _forget_sums(operation, name, row_id)
        else:
            _recalculate(operation, name, row_id, touched)


class Sums(NamedTuple):
    """What lines add up to; all amounts in the document's currency.

    Attributes:
        detail: Extended amounts without tax.
        tax: Tax.
        discount: Manual discounts.
        broken: Lines that cannot be priced.
    """

    detail: Decimal = Decimal(0)
    tax: Decimal = Decimal(0)
    discount: Decimal = Decimal(0)
    broken: int = 0

    def plus(self, other: Sums, sign: int = 1) -> Sums:
        """The sums with a line's part added (or, with -1, taken away)."""
        return Sums(
            self.detail + sign * other.detail,
            self.tax + sign * other.tax,
            self.discount + sign * other.discount,
            self.broken + sign * other.broken,
        )


_NOTHING: Final = Sums()


def _forget_sums(operation: Operation, name: str, row_id: str) -> None:
    """Lines were stored as sent: whoever computes the document next looks at all of them."""
    header = operation.row(name, row_id)
    if header is not None and header.get("@sums") is not None:
        operation.table(operation.schema.by_name[name]).update((row_id,), {"@sums": None})


def _recalculate(operation: Operation, name: str, row_id: str, touched: Touched) -> None:
    """Price what was touched of a document and sum it up; writes only what changed."""
    document = DOCUMENTS[name]
    header = operation.row(name, row_id)
    if header is None:
        return
    step = precision_of(operation, header)
    rate = header.get("exchangerate") or Decimal(1)
    everything = touched.everything or header.get("@sums") is None
    sums: Sums = _NOTHING if everything else header["@sums"]
    for gone in () if everything else touched.removed:
        sums = sums.plus(gone, -1)
    lines = operation.schema.by_name[document.line]
    for line in _lines_to_price(operation, document, row_id, touched, everything=everything):
        before = line.get("@counted")
        anew = everything or before is None or line[lines.key] in touched.lines
        priced = _price_line(operation, header, line, step) if anew else {}
        priced[document.line_state] = header["statecode"]
        operation.effort.lines += anew
        counted = _counted({**line, **priced})
        sums = sums.plus(counted) if everything or before is None else sums.plus(before, -1).plus(counted)
        changes = _changed(line, {**_with_base(lines.columns, priced, rate), "@counted": counted})
        if changes:
            operation.put(lines, line[lines.key], changes)
    entity = operation.schema.by_name[name]
    operation.effort.documents += 1
    totals = _totals(header, sums, step)
    computed = _with_base(entity.columns, {**_money_of(entity.columns, header), **totals}, rate)
    changes = _changed(header, {**computed, "@sums": sums})
    if changes:
        operation.put(entity, row_id, changes)


def _lines_to_price(
    operation: Operation, document: Document, row_id: str, touched: Touched, *, everything: bool
) -> list[Row]:
    lines = operation.rows(document.line)
    if everything or touched.state:
        return lines.find(**{document.lookup: row_id})
    found = (lines.get((line_id,)) for line_id in touched.lines)
    return [line for line in found if line is not None and line.get(document.lookup) == row_id]


def _counted(line: Row) -> Sums:
    tax = line.get("tax") or _ZERO
    broken = 1 if line.get("pricingerrorcode") else 0
    return Sums(line["extendedamount"] - tax, tax, line.get("manualdiscountamount") or _ZERO, broken)


def _changed(row: Row, computed: Row) -> Row:
    return {name: value for name, value in computed.items() if row.get(name) != value}


def _money_of(columns: Mapping[str, Any], row: Row) -> Row:
    return {name: row[name] for name, column in columns.items() if column.type == "Money" and row.get(name) is not None}


def _with_base(columns: Mapping[str, Any], values: Row, rate: Decimal) -> Row:
    """The values and, for each amount, its twin in the base currency."""
    twins = {
        f"{name}_base": None if value is None else money(value / rate)
        for name, value in values.items()
        if f"{name}_base" in columns and not name.endswith("_base")
    }
    return {**{name: value for name, value in values.items() if name in columns}, **twins}


def _price_line(operation: Operation, header: Row, line: Row, step: Decimal) -> Row:
    """The computed columns of one line."""
    price, problem = _unit_price(operation, header, line)
    quantity = line.get("quantity")
    if quantity is None and problem == NO_ERROR:
        problem = MISSING_QUANTITY
    volume = line.get("volumediscountamount") or _ZERO
    base = ((price or _ZERO) - volume) * (quantity or _ZERO)
    base = base.quantize(step, ROUND_HALF_UP)
    manual = line.get("manualdiscountamount") or _ZERO
    tax = line.get("tax") or _ZERO
    priced: Row = {
        "priceperunit": None if price is None else money(price),
        "baseamount": money(base),
        "extendedamount": money(base - manual + tax),
        "pricingerrorcode": problem,
    }
    for name in ("manualdiscountamount", "tax", "volumediscountamount"):
        if line.get(name) is not None:
            priced[name] = line[name]
    return priced


def _unit_price(operation: Operation, header: Row, line: Row) -> tuple[Decimal | None, int]:
    """The price per unit and the pricing error, if any: own price, write-in price, or the price list's."""
    given: Decimal | None = line.get("priceperunit")
    if line.get("ispriceoverridden") or line.get("isproductoverridden"):
        return given, NO_ERROR if given is not None else MISSING_UNIT_PRICE
    if line.get("_productid_value") is None:
        return given, MISSING_PRODUCT
    if line.get("_uomid_value") is None:
        return given, MISSING_UOM
    price_list = operation.row("pricelevel", header.get("_pricelevelid_value"))
    if price_list is None:
        return given, MISSING_PRICE_LEVEL
    if price_list.get("statecode") != 0:
        return given, INACTIVE_PRICE_LEVEL
    item = operation.rows("productpricelevel").first(
        _pricelevelid_value=header["_pricelevelid_value"],
        _productid_value=line["_productid_value"],
        _uomid_value=line["_uomid_value"],
    )
    if item is None:
        return None, PRODUCT_NOT_IN_PRICE_LEVEL
    price = list_price(operation, item)
    return price, NO_ERROR if price is not None else MISSING_PRICE


def list_price(operation: Operation, item: Row) -> Decimal | None:
    """The price per unit a price list item gives, by its pricing method (amount, percent of list, markup, margin)."""
    method = item.get("pricingmethodcode") or 1
    amount: Decimal | None = item.get("amount")
    if method == 1:
        return amount
    product = operation.row("product", item.get("_productid_value")) or {}
    source = {2: "price", 3: "currentcost", 4: "currentcost", 5: "standardcost", 6: "standardcost"}[method]
    base: Decimal | None = product.get(source)
    if base is None:
        return None
    share = (item.get("percentage") or _ZERO) / _HUNDRED
    if method == 2:
        price = base * share
    elif method in (3, 5):
        price = base * (1 + share)
    else:
        price = base / (1 - share)
    return price.quantize(pricing_step(operation), ROUND_HALF_UP)


def _totals(header: Row, sums: Sums, step: Decimal) -> Row:
    """The computed columns of a header."""
    percentage = header.get("discountpercentage") or _ZERO
    share = (sums.detail * percentage / _HUNDRED).quantize(step, ROUND_HALF_UP)
    discount = (header.get("discountamount") or _ZERO) + share
    net = sums.detail - discount
    freight = header.get("freightamount") or _ZERO
    return {
        "totallineitemamount": money(sums.detail),
        "totallineitemdiscountamount": money(sums.discount),
        "totaldiscountamount": money(discount),
        "totalamountlessfreight": money(net),
        "totaltax": money(sums.tax),
        "totalamount": money(net + freight + sums.tax),
        "pricingerrorcode": DETAIL_ERROR if sums.broken else NO_ERROR,
    }
