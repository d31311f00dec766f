"""Which orders of a customer have an invoice that is open, whatever settled it before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dynamics.core.literals import any_of
from dynamics.finance.client import Finance
from dynamics.finance.queries import VALUES_PER_FILTER, listing, of_company, valued
from dynamics.finance.records import PostedInvoice, Transaction

_STILL_OPEN: Final = "Closed le 1900-01-02T00:00:00Z"
"""Finance has no empty date: what is not closed was closed on 1 January 1900."""
MOST_INVOICES: Final = 3_000
"""Open invoices whose orders are read, the newest: more belong to no customer whose payments can be told apart."""


async def orders_open_again(finance: Finance, company: str, accounts: Iterable[str]) -> dict[str, set[str]]:
    """Order numbers by customer account (in one case), of all open invoices and credit notes of customers.

    Args:
        finance: is read, twice at most.
        company: legal entity, lower case.
        accounts: who is billed.
    """
    asked = sorted(set(accounts))
    reading = await finance.read(
        collections={
            "open": [
                listing(
                    "CustTransactions",
                    f"{of_company(company)} and {any_of('AccountNum', asked[start : start + VALUES_PER_FILTER])}"
                    f" and {_STILL_OPEN}",
                )
                for start in range(0, len(asked), VALUES_PER_FILTER)
            ]
        }
    )
    unreadable: list[str] = []
    rows = [t for t in reading.readable(Transaction, "open", unreadable) if t.invoice and t.closed_on is None]
    invoices = {row.invoice.casefold(): row.account.casefold() for row in rows[-MOST_INVOICES:]}
    if not invoices:
        return {}
    numbers = {row.invoice for row in rows[-MOST_INVOICES:]}
    found = await finance.read(
        collections={"invoices": valued("SalesInvoiceHeadersV4", company, "InvoiceNumber", numbers)}
    )
    orders: dict[str, set[str]] = {}
    for posted in found.readable(PostedInvoice, "invoices", unreadable):
        account = invoices.get(posted.number.casefold())
        if account is not None and posted.order_number:
            orders.setdefault(account, set()).add(posted.order_number)
    return orders
