"""Plays the people inside Finance: warehouse, accounts receivable, credit department.

Everything is done as those people would do it there: by posting, never by writing a document's columns; what Finance
refuses comes back in Finance's own words. Reading shows what Finance holds, in the currency of each document.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any, Final

from sandbox.data.model import Dataset
from sandbox.desk.finance_desk import FinanceDesk
from sandbox.desk.requests import (
    CompanyRequest,
    CustomerRequest,
    DeskError,
    ItemRequest,
    LineQuantity,
    PaymentRequest,
)
from sandbox.finance import Company, Finance, FinanceError, PostingRefused
from sandbox.finance.totals import charges_of, order_totals
from sandbox.store import Change, Row

_ORDER = (
    "SalesOrderNumber",
    "OrderingCustomerAccountNumber",
    "SalesOrderStatus",
    "SalesOrderProcessingStatus",
    "CurrencyCode",
    "PaymentTermsName",
    "CustomerRequisitionNumber",
    "CustomersOrderReference",
    "AreTotalsCalculated",
    "OrderTotalAmount",
    "OrderTotalTaxAmount",
)
_LINE = (
    "LineCreationSequenceNumber",
    "ItemNumber",
    "LineDescription",
    "OrderedSalesQuantity",
    "SalesUnitSymbol",
    "SalesPrice",
    "LineDiscountAmount",
    "LineDiscountPercentage",
    "FixedPriceCharges",
    "LineAmount",
    "SalesOrderLineStatus",
    "CustomersLineNumber",
    "OrderLineReference",
)
_LISTED_CUSTOMERS: Final = 500
_INVOICE = ("InvoiceNumber", "InvoiceDate", "CurrencyCode", "TotalInvoiceAmount", "TotalTaxAmount", "LedgerVoucher")
_PAYMENT = ("PaymId", "Voucher", "AmountCur", "SettleAmountCur", "CurrencyCode", "TransDate", "PaymReference")


@dataclass(frozen=True)
class Progress:
    """How far an order is: quantities still to ship and to invoice, slips posted, open amount by invoice.

    Of its returns: whether one is announced, and the numbers of those that were received and not yet credited.
    """

    customer: str
    currency: str
    confirmed: bool
    canceled: bool
    slips: int
    to_ship: Decimal
    to_invoice: Decimal
    cancelled: Decimal
    invoices: dict[str, Decimal]
    returned: bool
    to_credit: tuple[str, ...]


class BackOffice:
    """The desk's hands inside Finance."""

    def __init__(self, finance: Finance, desk: FinanceDesk, dataset: Dataset) -> None:
        self._finance = finance
        self._desk = desk
        self._dataset = dataset
        self._from_before: set[tuple[str, str]] = set()

    def remember_start(self) -> None:
        """What is there now belongs to the data set, not to the deals."""
        self._from_before = {(row["dataAreaId"], row["SalesOrderNumber"]) for row in self._table("SalesOrders")}

    def kept(self) -> Any:
        """What belongs to the data set: what lasts. The same object until the next start."""
        return self._from_before

    def take_back(self, kept: Any) -> None:
        """Go on from what `kept` gave."""
        self._from_before = kept

    # --- what Finance holds ----------------------------------------------------------------------------------------

    def orders(self, company: str | None = None) -> list[dict[str, Any]]:
        """All sales orders, of one company or of all, oldest first."""
        equal = {"dataAreaId": company.lower()} if company else {}
        rows = self._finance.query("SalesOrderHeadersV4", select=("dataAreaId", *_ORDER), **equal)
        return [{"company": row.pop("dataAreaId"), **row} for row in rows]

    def order(self, company: str, number: str) -> dict[str, Any]:
        """One order as Finance has it: header, lines with what has happened to each, slips, invoices, payments.

        Raises:
            DeskError: 404, there is none.
        """
        here = {"dataAreaId": company}
        header = next(iter(self._finance.query("SalesOrderHeadersV4", SalesOrderNumber=number, **here)), None)
        if header is None:
            raise DeskError(f"no order {number} in company {company}", field="salesid", status=404)
        lines = self._finance.query("SalesOrderLinesV3", SalesOrderNumber=number, **here)
        slips = self._finance.books.find("CustPackingSlipTransBiEntities", SalesId=number, **here)
        credit = self._finance.query("SalesTableBiEntities", SalesId=number, **here)[0]
        return {
            "header": {"company": company} | _some(header, _ORDER),
            "credit": {
                "on_hold": credit["CredManInCreditControl"] == "Yes",
                "released": credit["CredManReleasedFromCreditControl"] == "Yes",
            },
            "lines": [
                _some(row, _LINE) | {"cancelled": self._cancelled(row)}
                for row in sorted(lines, key=lambda row: row["LineCreationSequenceNumber"])
            ],
            "slips": [
                {
                    "slip": row["PackingSlipId"],
                    "line": row["_line"],
                    "item": row["ItemId"],
                    "quantity": row["Qty"],
                }
                for row in slips
            ],
            "charges": [
                {"code": row["MarkupCode"], "amount": row["Value"], "billed": bool(row["Posted"])}
                for row in charges_of(
                    self._finance.books, self._finance.books.get("SalesOrders", company, number) or {}
                )
            ],
            "returns": self._returns(company, number),
            "invoices": [
                _some(row, _INVOICE)
                | {
                    "due": self._transaction(company, row["InvoiceNumber"])["DueDate"],
                    "open": self.open_amount(company, row["InvoiceNumber"]),
                    "payments": self._payments(company, row["InvoiceNumber"]),
                    "orders": sorted(self._billed_orders(company, row["InvoiceNumber"])),
                }
                for row in self._invoices(company, number)
            ],
        }

    def _cancelled(self, line: Row) -> Decimal:
        stored = self._finance.books.get("SalesOrderLines", line["dataAreaId"], line["InventoryLotId"])
        return stored["_cancelled"] if stored else Decimal(0)

    def _invoices(self, company: str, number: str) -> list[Row]:
        """Invoices and credit notes on which something of an order is, also over several, or of its return orders."""
        books = self._finance.books
        returns = books.find("ReturnOrderHeadersV2", _SalesOrderNumber=number, dataAreaId=company)
        orders = [number, *(row["ReturnOrderNumber"] for row in returns)]
        lines = [
            row for order in orders for row in books.find("SalesInvoiceV4Lines", _SalesId=order, dataAreaId=company)
        ]
        return [
            row
            for invoice in dict.fromkeys(line["InvoiceNumber"] for line in lines)
            for row in books.find("SalesInvoiceHeadersV4", InvoiceNumber=invoice, dataAreaId=company)
        ]

    def _billed_orders(self, company: str, invoice: str) -> set[str]:
        rows = self._finance.books.find("SalesInvoiceV4Lines", InvoiceNumber=invoice, dataAreaId=company)
        return {row["_SalesId"] for row in rows}

    def _returns(self, company: str, number: str) -> list[dict[str, Any]]:
        """The return orders of an order."""
        rows = self._finance.books.find("ReturnOrderHeadersV2", _SalesOrderNumber=number, dataAreaId=company)
        return [
            {
                "number": row["ReturnOrderNumber"],
                "rma": row["RMANumber"],
                "reason": row["CustomerReturnReasonCode"],
                "status": row["ReturnStatus"],
                "received": row["ReturnOrderStatus"] == "Delivered",
                "quantity": sum(
                    (
                        -slip["Qty"]
                        for slip in self._finance.books.find(
                            "CustPackingSlipTransBiEntities", SalesId=row["ReturnOrderNumber"], dataAreaId=company
                        )
                    ),
                    Decimal(0),
                ),
            }
            for row in rows
        ]

    def progress(self, company: str, number: str) -> Progress:
        """How far an order is.

        Raises:
            DeskError: 404, there is none.
        """
        order = self._finance.books.get("SalesOrders", company, number)
        if order is None:
            raise DeskError(f"no order {number} in company {company}", field="salesid", status=404)
        lines = self._finance.books.find("SalesOrderLines", SalesOrderNumber=number, dataAreaId=company)
        slips = self._finance.books.find("CustPackingSlipJourBiEntities", SalesId=number, dataAreaId=company)
        invoices = self._finance.books.find("SalesInvoiceHeadersV4", SalesOrderNumber=number, dataAreaId=company)
        returns = self._finance.books.find("ReturnOrderHeadersV2", _SalesOrderNumber=number, dataAreaId=company)
        ordered = sum((line["OrderedSalesQuantity"] for line in lines), Decimal(0))
        cancelled = sum((line["_cancelled"] for line in lines), Decimal(0))
        shipped = sum((line["_delivered"] for line in lines), Decimal(0))
        invoiced = sum((line["_invoiced"] for line in lines), Decimal(0))
        return Progress(
            customer=order["InvoiceCustomerAccountNumber"],
            currency=order["CurrencyCode"],
            confirmed=bool(order["_confirmed"]),
            canceled=order["SalesOrderStatus"] == "Canceled",
            slips=sum(1 for slip in slips if slip["Qty"] > 0),
            to_ship=ordered - cancelled - shipped,
            to_invoice=shipped - invoiced,
            cancelled=cancelled,
            invoices={row["InvoiceNumber"]: self.open_amount(company, row["InvoiceNumber"]) for row in invoices},
            returned=bool(returns),
            to_credit=tuple(row["ReturnOrderNumber"] for row in returns if row["ReturnOrderStatus"] == "Delivered"),
        )

    def new_orders(self) -> list[dict[str, Any]]:
        """Orders made since the start, each with its net and tax, what was invoiced and what of that is paid."""
        shown = []
        for order in self._table("SalesOrders"):
            company, number = order["dataAreaId"], order["SalesOrderNumber"]
            if (company, number) in self._from_before:
                continue
            net, tax = self._order_totals(company, number)
            invoices = self._finance.books.find("SalesInvoiceHeadersV4", SalesOrderNumber=number, dataAreaId=company)
            invoiced = sum((row["TotalInvoiceAmount"] for row in invoices), Decimal(0))
            left = sum((self.open_amount(company, row["InvoiceNumber"]) for row in invoices), Decimal(0))
            shown.append(
                {
                    "company": company,
                    "number": number,
                    "quote": order.get("CustomersOrderReference", ""),
                    "currency": order["CurrencyCode"],
                    "processing_status": order["SalesOrderProcessingStatus"],
                    "net": net,
                    "tax": tax,
                    "invoiced": invoiced,
                    "paid": invoiced - left,
                }
            )
        return shown

    def open_amount(self, company: str, invoice: str) -> Decimal:
        """What is not settled of an invoice, in its currency."""
        row = self._transaction(company, invoice)
        left: Decimal = row["AmountCur"] - row["SettleAmountCur"]
        return left

    def customers(self, company: str | None) -> list[dict[str, Any]]:
        """Customers of one company or of all, with their credit figures: of a population the first ones only."""
        equal = {"dataAreaId": (company.lower(),)} if company else {}
        found = self._finance.books.table("CustomersV3").candidates(equal)
        rows = (row for row in found if company is None or row["dataAreaId"] == company.lower())
        return [self.customer(row["dataAreaId"], row["CustomerAccount"]) for row in islice(rows, _LISTED_CUSTOMERS)]

    def customer(self, company: str, account: str) -> dict[str, Any]:
        """A customer's credit figures: limit, hold, what is open, and that with what is ordered, in company currency.

        Raises:
            DeskError: 404, there is none.
        """
        row = self._finance.get("CustomersV3", (company, account))
        if row is None:
            raise DeskError(f"no customer {account} in company {company}", field="account", status=404)
        opens = self._finance.query("CustTransOpens", AccountNum=account, dataAreaId=company)
        return {
            "company": company,
            "account": account,
            "name": row["OrganizationName"],
            "credit_limit": row["CreditLimit"],
            "unlimited": row["CredManCustUnlimitedCredit"] == "Yes",
            "on_hold": row["OnHoldStatus"],
            "payment_terms": row["PaymentTerms"],
            "open_receivables": sum((entry["AmountMST"] for entry in opens), Decimal(0)),
            "exposure": self._finance.exposure(company, account).amount,
            "open": [
                {"invoice": posted["Invoice"], "amount": entry["AmountCur"], "due": entry["DueDate"]}
                for entry in opens
                for posted in self._finance.query("CustTransactions", SysRecId=entry["RefRecId"])
            ],
        }

    def order_of(self, change: Change) -> tuple[str, str] | None:
        """Company and number of the order that a commit in Finance concerns, None when it concerns none."""
        row = change.after or change.before or {}
        column = {
            "SalesOrders": "SalesOrderNumber",
            "CustPackingSlipJourBiEntities": "SalesId",
            "SalesInvoiceHeadersV4": "SalesOrderNumber",
            "ReturnOrderHeadersV2": "_SalesOrderNumber",
        }.get(change.table)
        if column:
            return row["dataAreaId"], row[column]
        if change.table == "CustTransactions" and row.get("Invoice"):
            invoices = self._finance.books.find(
                "SalesInvoiceHeadersV4", InvoiceNumber=row["Invoice"], dataAreaId=row["dataAreaId"]
            )
            return (row["dataAreaId"], invoices[0]["SalesOrderNumber"]) if invoices else None
        return None

    def reference_of(self, company: str, number: str) -> str:
        """The customer's reference on an order, where whoever made it may have put the quote's number."""
        order = self._finance.books.get("SalesOrders", company, number) or {}
        reference: str = order.get("CustomersOrderReference", "")
        return reference

    # --- what its people do ----------------------------------------------------------------------------------------

    def pick(self, company: str, number: str, lines: list[LineQuantity] | None = None) -> dict[str, Any]:
        """Register a picking list."""
        return self._desk.post(company, "pick", {"SalesOrderId": number} | _lines(lines))

    def unpick(self, company: str, number: str, lines: list[LineQuantity] | None = None) -> dict[str, Any]:
        """Reverse what is picked and not delivered, of all lines."""
        return self._desk.post(company, "unpick", {"SalesOrderId": number})

    def ship(self, company: str, number: str, lines: list[LineQuantity] | None = None) -> dict[str, Any]:
        """Post a packing slip; without lines, for all that remains."""
        return self._desk.post(company, "packingSlip", {"SalesOrderId": number} | _lines(lines))

    def invoice(self, company: str, number: str, lines: list[LineQuantity] | None = None) -> dict[str, Any]:
        """Post an invoice; without lines, for all that is delivered and not invoiced."""
        return self._desk.post(company, "invoice", {"SalesOrderId": number} | _lines(lines))

    def cancel_remainder(self, company: str, number: str, lines: list[LineQuantity] | None = None) -> dict[str, Any]:
        """Cancel what has not been shipped."""
        return self._desk.post(company, "cancelRemainder", {"SalesOrderId": number} | _lines(lines))

    def pay(self, payment: PaymentRequest) -> dict[str, Any]:
        """Post a customer payment and settle the named invoices; the rest stays unapplied on the account."""
        settlements = [{"InvoiceId": part.invoice, "Amount": part.amount} for part in payment.settlements]
        request = {
            "CustAccount": payment.customer,
            "Amount": payment.amount,
            "CurrencyCode": payment.currency or self._company(payment.company).currency,
            "PaymentReference": payment.reference or f"BANK-{uuid.uuid4().hex[:10].upper()}",
            "Settlements": settlements,
        }
        return self._desk.post(payment.company, "payment", request)

    def reverse_payment(self, company: str, payment: str, reason: str) -> dict[str, Any]:
        """Take a payment back, by its id: what it settled is open again."""
        return self._desk.post(company, "reversePayment", {"PaymentId": payment, "Reason": reason})

    def change_company(self, company: str, change: CompanyRequest) -> dict[str, Any]:
        """Change a company's parameters; says how they are now.

        Raises:
            DeskError: 404, no such company.
        """
        entry = self._company(company)
        if change.credit_management is not None:
            entry.credit.enabled = change.credit_management
        if change.tax_pct is not None:
            self._finance.set_tax_rate(company, change.tax_pct)
        if change.order_numbers is not None:
            entry.number_sequence = change.order_numbers
        if change.customer_numbers is not None:
            entry.customer_sequence = change.customer_numbers
        if change.net_price_rounding is not None:
            entry.net_price_rounding = change.net_price_rounding
        settle = None if change.settle_automatically is None else ("Yes" if change.settle_automatically else "No")
        wanted = {
            "SettlementMaximumPennyDifference": change.penny_difference,
            "SettlementMaximumOverUnderPayment": change.over_under,
            "SettlementAutoSettleEnabled": settle,
        }
        changes = {name: value for name, value in wanted.items() if value is not None}
        if changes:
            self._finance.set_parameters(company, "CustomerParameters", changes)
        return self._parameters(entry)

    def _parameters(self, entry: Company) -> dict[str, Any]:
        parameters = self._finance.books.parameters(entry)
        return {
            "company": entry.id,
            "currency": entry.currency,
            "credit_management": entry.credit.enabled,
            "tax_pct": self._finance.tax_rate(entry.id),
            "order_numbers": entry.number_sequence,
            "customer_numbers": entry.customer_sequence,
            "net_price_rounding": entry.net_price_rounding,
            "penny_difference": parameters["SettlementMaximumPennyDifference"],
            "over_under": parameters["SettlementMaximumOverUnderPayment"],
            "settle_automatically": parameters.get("SettlementAutoSettleEnabled") == "Yes",
        }

    def change_item(self, company: str, item: str, change: ItemRequest) -> dict[str, Any]:
        """Change list price, cost or the stop of an item in a company; says how it is now.

        Raises:
            DeskError: 404, no such item.
        """
        row = self._finance.get("ReleasedProductsV2", (company, item))
        if row is None:
            raise DeskError(f"no item {item} in company {company}", field="item", status=404)
        if change.list_price is not None:
            self._finance.set_list_price(company, item, change.list_price, unit=row["SalesUnitSymbol"])
        if change.unit_cost is not None:
            self._finance.set_cost(company, item, change.unit_cost)
        if change.stopped is not None:
            self._finance.stop_item(company, item, stopped=change.stopped)
        prices = self._finance.query("SalesPriceAgreements", ItemNumber=item, dataAreaId=company)
        cost = self._finance.query("ReleasedProductsV2", ItemNumber=item, dataAreaId=company)[0]["UnitCost"]
        return {"company": company, "item": item, "list_price": prices[0]["Price"], "unit_cost": cost}

    def change_customer(self, company: str, account: str, change: CustomerRequest) -> dict[str, Any]:
        """Change credit limit, hold, unlimited flag or terms of a customer; returns the customer as it is now.

        Raises:
            DeskError: 404, no such customer; 409, Finance refuses a value.
        """
        self.customer(company, account)
        yes_no = None if change.unlimited is None else ("Yes" if change.unlimited else "No")
        body = {
            "CreditLimit": change.credit_limit,
            "OnHoldStatus": change.on_hold,
            "CredManCustUnlimitedCredit": yes_no,
            "PaymentTerms": change.payment_terms,
        }
        wanted = {name: value for name, value in body.items() if value is not None}
        try:
            self._finance.update("CustomersV3", (company, account), wanted)
        except FinanceError as error:
            raise DeskError(str(error), status=409, system="finance") from error
        if change.threshold_pct is not None:
            self._finance.set_credit_threshold(company, account, change.threshold_pct)
        return self.customer(company, account)

    def run_totals_job(self) -> dict[str, Any]:
        """Run the batch job that calculates the totals of orders; says how many it calculated."""
        return {"orders": self._finance.run_totals_job()}

    # --- pieces ----------------------------------------------------------------------------------------------------

    def _table(self, name: str) -> list[Row]:
        return list(self._finance.books.table(name))

    def _transaction(self, company: str, invoice: str) -> Row:
        rows = self._finance.books.find("CustTransactions", Invoice=invoice, dataAreaId=company)
        return next(row for row in rows if row["TransType"] == "Sales")

    def _payments(self, company: str, invoice: str) -> list[dict[str, Any]]:
        """What was settled against an invoice, oldest first."""
        debit = self._transaction(company, invoice)
        paid = []
        for settlement in self._finance.books.find("Settlements", invoice=debit["_record"], company=company):
            credit = self._finance.books.find("CustTransactions", _record=settlement["payment"], dataAreaId=company)[0]
            paid.append({name: credit.get(name, "") for name in _PAYMENT} | {"settled": settlement["amount"]})
        return paid

    def _order_totals(self, company: str, number: str) -> tuple[Decimal, Decimal]:
        """Net and tax of an order as Finance computes them, whether or not the totals job has run."""
        entry = self._finance.company(company)
        totals = order_totals(self._finance.books, entry, self._finance.books.order(entry, number))
        return totals.amount - totals.tax, totals.tax

    def _company(self, company: str) -> Company:
        try:
            return self._finance.company(company)
        except PostingRefused as error:
            raise DeskError(str(error), field="company", status=404) from error


def _some(row: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: row[name] for name in names if name in row}


def _lines(lines: list[LineQuantity] | None) -> dict[str, Any]:
    if lines is None:
        return {}
    return {"Lines": [{"LineNumber": part.line, "Quantity": part.quantity} for part in lines]}
