"""Credit management: the check at a posting, the hold list, and release.

When a company runs credit management, posting a confirmation, a packing slip or, where that checkpoint is chosen, an
invoice checks the customer first. A customer
who fails puts the order into credit control (it appears in the hold list, `CredManTableBiEntities`) and nothing is
posted. The order leaves credit control when a person releases it, or when a later attempt passes the rules; a hold
placed by a person needs a person. Once released, an order passes every later checkpoint.
Source: Microsoft Learn, "Sales order credit holds" and "Credit management overview" (blocking rules, checkpoints, a
limit of 0.00 means no credit, unlimited is a flag of the customer).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final, Literal

from sandbox.finance.amounts import round_money
from sandbox.finance.books import Books, Company, total
from sandbox.finance.errors import PostingRefused
from sandbox.finance.model import EMPTY_DATE, SALES_ORDERS, day_of, stamp
from sandbox.finance.totals import charges_of, document_totals
from sandbox.store import Row

Checkpoint = Literal["confirm", "packingSlip", "invoice"]
HOLDS: Final = "CredManTableBiEntities"
_DOCUMENT: Final = {"confirm": "Confirmation", "packingSlip": "PackingSlip", "invoice": "Invoice"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a customer's order is blocked: the hold list's reason and the text for people."""

    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Exposure:
    """What a customer owes and is about to owe, in accounting currency, tax included.

    Attributes:
        open_ar: Unsettled transactions; unapplied payments lower it.
        open_orders: Uninvoiced value of other confirmed orders.
        this_order: Uninvoiced value of the order that is checked.
    """

    open_ar: Decimal
    open_orders: Decimal
    this_order: Decimal

    @property
    def amount(self) -> Decimal:
        """The sum."""
        return self.open_ar + self.open_orders + self.this_order


def exposure(books: Books, company: Company, account: str, order: Row | None) -> Exposure:
    """The exposure of an invoice customer, each order counted once."""
    open_ar = total(row["AmountMST"] for row in books.find("CustTransOpens", AccountNum=account, dataAreaId=company.id))
    open_orders = books.find(SALES_ORDERS, InvoiceCustomerAccountNumber=account, dataAreaId=company.id, _open=True)
    others = [
        open_order_value(books, company, row)
        for row in open_orders
        if order is None or row["SalesOrderNumber"] != order["SalesOrderNumber"]
    ]
    mine = Decimal(0) if order is None else open_order_value(books, company, order)
    return Exposure(open_ar, total(others), mine)


def open_order_value(books: Books, company: Company, order: Row) -> Decimal:
    """What is still to be invoiced of an order, including tax and charges, in accounting currency.

    Converted at the exchange rate type of the credit management parameters.
    """
    if order["SalesOrderStatus"] in ("Invoiced", "Canceled"):
        return Decimal(0)
    known = books.open_values.get(order["_record"])
    if known is not None and known[0] is order and known[1] == books.tax_version:
        whole = known[2]
    else:
        whole = _to_be_invoiced(books, company, order)
        books.open_values[order["_record"]] = (order, books.tax_version, whole)
    rate_type = books.credit_rate_type(company)
    value = books.in_accounting_currency(whole, order["CurrencyCode"], company, rate_type=rate_type)
    return round_money(value, company.currency)


def _to_be_invoiced(books: Books, company: Company, order: Row) -> Decimal:
    currency = order["CurrencyCode"]
    lines = [
        (
            line,
            round_money(
                line["LineAmount"]
                * (line["OrderedSalesQuantity"] - line["_cancelled"] - line["_invoiced"])
                / line["OrderedSalesQuantity"],
                currency,
            ),
        )
        for line in books.lines(company, order["SalesOrderNumber"])
    ]
    return document_totals(books, company, order, lines, charges_of(books, order, posted=False)).amount


def judge(books: Books, company: Company, order: Row) -> Verdict | None:
    """Apply the blocking rules to an order's customer; None means it may pass."""
    customer = books.customer(company, order["InvoiceCustomerAccountNumber"])
    if not company.credit.enabled:
        return _mandatory_limit(books, company, order, customer)
    if customer.get("CredManExclude") == "Yes" or order.get("CredManExcludeSalesOrder") == "Yes":
        return None
    return (
        _overdue(books, company, customer)
        or _expired(books, company, customer)
        or _group_used(books, company, order, customer)
        or _used(books, company, order, customer)
    )


def _mandatory_limit(books: Books, company: Company, order: Row, customer: Row) -> Verdict | None:
    """The older credit limit check, for companies without credit management: it refuses but keeps no hold list."""
    limit: Decimal = customer.get("CreditLimit", Decimal(0))
    if customer.get("CreditLimitIsMandatory") != "Yes" or limit == 0:
        return None
    used = exposure(books, company, customer["CustomerAccount"], order).amount
    if used <= limit:
        return None
    account = customer["CustomerAccount"]
    return Verdict("", f"Customer {account} has exceeded the credit limit of {limit} by {used - limit}.")


def _overdue(books: Books, company: Company, customer: Row) -> Verdict | None:
    today = books.today(company)
    account = customer["CustomerAccount"]
    late = [
        (today - day_of(row["DueDate"])).days
        for row in books.find("CustTransOpens", AccountNum=account, dataAreaId=company.id)
        if row["AmountCur"] > 0
    ]
    worst = max(late, default=0)
    if worst <= company.credit.overdue_days:
        return None
    return Verdict(
        "OpenTransOverdue",
        f"Customer {account} has transactions {worst} days overdue; {company.credit.overdue_days} days are allowed.",
    )


def _expired(books: Books, company: Company, customer: Row) -> Verdict | None:
    if not _passed(books, company, customer.get("CredManCreditLimitExpiryDate", EMPTY_DATE)):
        return None
    return Verdict("CreditLimitExpired", f"The credit limit of customer {customer['CustomerAccount']} has expired.")


def _passed(books: Books, company: Company, expiry: str) -> bool:
    return expiry != EMPTY_DATE and day_of(expiry) < books.today(company)


def _used(books: Books, company: Company, order: Row, customer: Row) -> Verdict | None:
    if customer.get("CredManCustUnlimitedCredit") == "Yes":
        return None
    account = customer["CustomerAccount"]
    mine = books.find("TemporaryCreditLimits", CustAccount=account, CustAccountDataArea=company.id, CreditLimitId="")
    limit = _limit_today(books, company, mine, customer.get("CreditLimit", Decimal(0)))
    settings = company.credit
    threshold = settings.thresholds.get(
        account.lower(), settings.thresholds.get(customer.get("CredManGroupId", "").lower(), settings.threshold_pct)
    )
    allowed = limit * threshold / 100
    used = exposure(books, company, account, order).amount
    if limit and used <= allowed:
        return None
    if not limit:
        return Verdict("CreditExceeded", f"Customer {account} has no credit: the credit limit is 0.00.")
    return Verdict(
        "CreditExceeded",
        f"Credit limit used by customer {account} is {used}, which exceeds {allowed} "
        f"({limit} at {threshold} percent) by {used - allowed}.",
    )


def _group_used(books: Books, company: Company, order: Row, customer: Row) -> Verdict | None:
    """The limit a customer shares with others: what all members owe and have on order, in the group's currency."""
    account = customer["CustomerAccount"]
    member = books.get("CustomerCreditGroupLines", company.id, account)
    group = None if member is None else books.get("CustomerCreditGroups", member["CreditLimitId"])
    if group is None:
        return None
    name, currency = group["CreditLimitId"], group["CurrencyCode"]
    limit = _limit_today(books, company, books.find("TemporaryCreditLimits", CreditLimitId=name), group["CreditMax"])
    if _passed(books, company, group.get("ExpiryDate", EMPTY_DATE)):
        return Verdict("CreditLimitExpired", f"The credit limit of customer credit group {name} has expired.")
    used = Decimal(0)
    for line in books.find("CustomerCreditGroupLines", CreditLimitId=name):
        home = books.company(line["Company"])
        own = order if (home.id, line["CustAccount"]) == (company.id, account) else None
        amount = exposure(books, home, line["CustAccount"], own).amount
        rate = books.rate_or_refuse(home.currency, currency, home, rate_type=books.credit_rate_type(home))
        used += round_money(amount * rate, currency)
    if used <= limit:
        return None
    return Verdict(
        "CreditExceeded",
        f"Credit limit used by customer credit group {name} is {used} {currency}, which exceeds {limit} "
        f"by {used - limit}.",
    )


def _limit_today(books: Books, company: Company, temporary: Iterable[Row], usual: Decimal) -> Decimal:
    """The limit in force: a temporary credit limit takes the place of the usual one from its first day to its last."""
    today = books.today(company)
    in_force = [row["CreditMax"] for row in temporary if day_of(row["FromDate"]) <= today <= _last(row)]
    return min(in_force, default=usual)


def _last(row: Row) -> date:
    return date.max if row["ToDate"] == EMPTY_DATE else day_of(row["ToDate"])


def check(books: Books, company: Company, order: Row, checkpoint: Checkpoint) -> Verdict | None:
    """The credit check of a posting.

    Blocks the order (hold list, credit control) when a rule is broken, and takes a hold away when it no longer is.

    Returns:
        None when posting may go on, otherwise why not.
    """
    if order.get("CredManReleasedFromCreditControl") == "Yes" or checkpoint not in company.credit.checkpoints:
        return None
    hold = active_hold(books, company, order)
    if hold is not None and hold["CredManReason"] == "ForcedHold":
        return Verdict("ForcedHold", f"Sales order {order['SalesOrderNumber']} was placed on credit hold by a person.")
    verdict = judge(books, company, order)
    if verdict is None:
        if hold is not None:
            books.update(HOLDS, hold, {"Active": "No", "Status": "Completed"})
            books.update(SALES_ORDERS, order, {"CredManInCreditControl": "No"})
        return None
    if verdict.reason:
        place_hold(books, company, order, verdict.reason, _DOCUMENT[checkpoint], verdict.text)
    return verdict


def active_hold(books: Books, company: Company, order: Row) -> Row | None:
    """The order's entry in the hold list, None when it is not held."""
    rows = books.find(HOLDS, SalesId=order["SalesOrderNumber"], Company=company.id, Active="Yes")
    return rows[-1] if rows else None


def place_hold(books: Books, company: Company, order: Row, reason: str, document: str, notes: str) -> None:
    """Put an order into credit control: a new entry of the hold list, or a new reason in the one it has."""
    number = order["SalesOrderNumber"]
    changes: Row = {
        "CredManReason": reason,
        "DocumentStatus": document,
        "SalesTotal": open_order_value(books, company, order),
        "Notes": notes,
    }
    hold = active_hold(books, company, order)
    if hold is not None:
        books.update(HOLDS, hold, changes)
        return
    hold_id = books.next_number(company, "hold", "CM-{:06d}")
    customer = books.customer(company, order["InvoiceCustomerAccountNumber"])
    books.insert(
        HOLDS,
        {
            "CredManId": hold_id,
            "Company": company.id,
            "SalesId": number,
            "CustAccount": customer["CustomerAccount"],
            "CredManGroupId": customer.get("CredManGroupId", ""),
            "HoldType": "Credit",
            "Active": "Yes",
            "Status": "Draft",
            "PaymentTerm": order.get("PaymentTermsName", ""),
            "SalesCreatedDateTime": order["OrderCreationDateTime"],
            **changes,
        },
    )
    books.update(
        SALES_ORDERS,
        order,
        {
            "CredManId": hold_id,
            "CredManInCreditControl": "Yes",
            "CredManReleasedFromCreditControl": "No",
        },
    )


def release(books: Books, company: Company, order: Row, reason: str, user: str) -> None:
    """Release an order from credit control for good.

    Raises:
        PostingRefused: No reason is given.
    """
    if not reason:
        raise PostingRefused("A release reason must be specified to release the order from credit hold.")
    hold = active_hold(books, company, order)
    if hold is not None:
        books.update(
            HOLDS,
            hold,
            {
                "Active": "No",
                "Status": "Completed",
                "ReleasedBy": user,
                "ReleasedDateTime": stamp(books.now()),
                "ReleaseReasonId": "Q2C",
                "Notes": reason,
            },
        )
    changes = {"CredManInCreditControl": "No", "CredManReleasedFromCreditControl": "Yes"}
    books.update(SALES_ORDERS, order, changes)
