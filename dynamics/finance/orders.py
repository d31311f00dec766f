"""The writes that make an order in Finance, and what an order found there lacks of the one wanted.

Header and first lines go in one change set; an order that was begun (the number sequence automatic, more lines than one
change set holds) is completed by its difference. A line is known by `CustomersLineNumber`, which holds the number the
deal gave the quote's line (`domain.quote.numbered`): the column is neutral, while Finance's own numbers follow the
order in which lines are made, and `OrderLineReference` belongs to one country's localisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from domain.quote import DeliveryAddress
from dynamics.core.batch import Write
from dynamics.core.literals import key, query
from dynamics.finance.queries import same_text
from dynamics.finance.records import FinanceOrder, NewOrder, NewOrderLine, OrderLine, SalesStatus

REFERENCE_LENGTH = 60
"""Of CustomersOrderReference. A longer quote number is shown by its beginning; the deal is found by the order key."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What an order found in Finance is, compared with the one wanted."""

    missing: tuple[NewOrderLine, ...]
    """Lines to be added."""
    conflicts: tuple[str, ...]
    """What is there and should not be so, in words for a person. Never fixed by us."""


@dataclass(frozen=True, slots=True)
class RaisedBy:
    """By how much a line becomes larger, and at which price."""

    more: Decimal
    discount_per_unit: Decimal
    charges: Decimal
    is_priced: bool
    """Nothing of the line is invoiced: its discount and charges may still be said."""


def header_write(order: NewOrder, *, number: str | None) -> Write:
    """POST of the header.

    The prices of a quote are without sales tax, whatever the customer's are in Finance: the order says so. What nobody
    entered (invoice account, tax group, site, an address) is left out: Finance defaults it from the
    customer, and an empty value sent would defeat that.

    Args:
        order: The order wanted.
        number: SalesOrderNumber where the company's number sequence is manual; None where Finance numbers.
    """
    body: dict[str, Any] = {
        "dataAreaId": order.company,
        **({"SalesOrderNumber": number} if number else {}),
        "OrderingCustomerAccountNumber": order.account,
        "CurrencyCode": order.currency,
        "ArePricesIncludingSalesTax": "No",
        "CustomerRequisitionNumber": order.key,
        "CustomersOrderReference": reference_of(order),
        **({"SalesOrderName": order.name} if order.name else {}),
        **({"PaymentTermsName": order.payment_terms} if order.payment_terms else {}),
        **({"CashDiscountCode": order.cash_discount} if order.cash_discount else {}),
        **(_address(order.delivery) if order.delivery else {}),
        **(
            {"RequestedReceiptDate": f"{order.requested_receipt.isoformat()}T12:00:00Z"}
            if order.requested_receipt
            else {}
        ),
    }
    return Write("POST", "SalesOrderHeadersV4?cross-company=true", body, {"Prefer": "return=representation"})


def reference_of(order: NewOrder) -> str:
    """What a person finds the order by: the customer's own number, or the quote's."""
    return (order.customer_reference or order.quote_number)[:REFERENCE_LENGTH]


def _address(address: DeliveryAddress) -> dict[str, Any]:
    """The columns of an address of this order's own.

    All of them are sent, so that nothing of the customer's address is mixed into it; a country left empty is the
    customer's.
    """
    return {
        "IsDeliveryAddressOrderSpecific": "Yes",
        "DeliveryAddressName": address.name,
        "DeliveryAddressStreet": address.street,
        "DeliveryAddressCity": address.city,
        "DeliveryAddressZipCode": address.postal_code,
        "DeliveryAddressStateId": address.state,
        **({"DeliveryAddressCountryRegionId": address.country} if address.country else {}),
    }


def line_writes(order: NewOrder, number: str, lines: Sequence[NewOrderLine]) -> list[Write]:
    """POSTs of lines, in the order of the quote. `InventoryLotId` is Finance's to give."""
    return [
        Write(
            "POST",
            "SalesOrderLinesV3?cross-company=true",
            {
                "dataAreaId": order.company,
                "SalesOrderNumber": number,
                "ItemNumber": line.item,
                **({"LineDescription": line.description} if line.description else {}),
                "OrderedSalesQuantity": line.quantity,
                "SalesUnitSymbol": line.unit,
                "SalesPrice": line.price,
                "SalesPriceQuantity": Decimal(1),
                "LineDiscountAmount": line.discount_per_unit,
                "LineDiscountPercentage": Decimal(0),
                "FixedPriceCharges": line.charges,
                "CustomersLineNumber": line.line_no,
            },
            {"Prefer": "return=representation"},
        )
        for line in lines
    ]


def line_raise(company: str, line: OrderLine, by: RaisedBy) -> Write:
    """PATCH of a line that becomes larger.

    Its price is sent again, so that Finance does not look for another one at the new quantity; of a line of which
    something is invoiced Finance takes no price, and keeps the one it has.
    """
    path = key("SalesOrderLinesV3", dataAreaId=company, InventoryLotId=line.lot)
    body: dict[str, Any] = {"OrderedSalesQuantity": line.quantity + by.more}
    if by.is_priced:
        body |= {
            "SalesPrice": line.price,
            "LineDiscountAmount": by.discount_per_unit,
            "LineDiscountPercentage": Decimal(0),
            "FixedPriceCharges": by.charges,
        }
    return Write("PATCH", query(path, cross_company="true"), body, {"If-Match": line.etag or "*"})


def compare(wanted: NewOrder, found: FinanceOrder) -> Difference:
    """Compare an order in Finance with the one wanted.

    The line amount is Finance's and is compared by the caller, within the tolerance of the policy; here are compared
    customer, currency, whether prices include sales tax, items, quantities, units and prices.
    """
    conflicts: list[str] = []
    header = found.header
    if header.requisition not in ("", wanted.key):
        conflicts.append(f"the order belongs to {header.requisition}, not to {wanted.key}")
    if not same_text(header.account, wanted.account):
        conflicts.append(f"customer {header.account}, wanted {wanted.account}")
    if header.currency != wanted.currency:
        conflicts.append(f"currency {header.currency}, wanted {wanted.currency}")
    if header.prices_include_tax:
        conflicts.append("its prices include sales tax, those of the quote do not")
    by_number: dict[int, list[OrderLine]] = {}
    for line in found.lines:
        if line.status is not SalesStatus.CANCELED:
            by_number.setdefault(line.line_number, []).append(line)
    missing = []
    for wanted_line in wanted.lines:
        candidates = by_number.pop(wanted_line.line_no, [])
        if not candidates:
            missing.append(wanted_line)
            continue
        if len(candidates) > 1:
            conflicts.append(f"line {wanted_line.line_no} is there {len(candidates)} times")
        conflicts += _line_conflicts(wanted_line, candidates[0])
    conflicts += [
        f"line {number or line.sequence} ({line.item}) is not in the quote"
        for number, lines in by_number.items()
        for line in lines
    ]
    return Difference(tuple(missing), tuple(conflicts))


def _line_conflicts(wanted: NewOrderLine, found: OrderLine) -> list[str]:
    texts = (("item", found.item, wanted.item), ("unit", found.unit, wanted.unit))
    numbers = (
        ("quantity", found.quantity, wanted.quantity),
        ("price", found.price, wanted.price),
        ("discount per unit", found.discount_per_unit, wanted.discount_per_unit),
        ("charges", found.charges, wanted.charges),
    )
    return [
        *(_off(wanted, name, is_, should) for name, is_, should in texts if not same_text(is_, should)),
        *(_off(wanted, name, is_, should) for name, is_, should in numbers if is_ != should),
    ]


def _off(line: NewOrderLine, name: str, is_: object, should: object) -> str:
    return f"line {line.line_no}: {name} {is_}, wanted {should}"
