"""A guided tour: one deal in six steps, from the rep's request to the money, with Finance down in between.

Which step is done is read from the systems, so it does not matter where or by whom it was done.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import quote as quoted

from sandbox.desk.desk import Desk
from sandbox.desk.presets import FINANCE_DOWN
from sandbox.desk.requests import (
    DeskError,
    NewCustomerRequest,
    PaymentRequest,
    QuoteRequest,
    SettlementRequest,
    convert,
)

_LINES = [{"item": "P250", "quantity": 100, "discount_pct": 22}]
"""A discount that a manager and a director have to approve."""


@dataclass(frozen=True)
class TourStep:
    """One step: what to do, where, and what is seen then.

    Attributes:
        title: what happens.
        text: what to do and what to look at.
        done: whether it has happened.
        button: action of this page and its label, where the step is done here.
        link: address and label, where it is done elsewhere.
    """

    title: str
    text: str
    done: bool
    button: tuple[str, str] | None = None
    link: tuple[str, str] | None = None


def begin(desk: Desk) -> str:
    """Enter and submit the tour's quote, for a customer of its own; the quote's number."""
    customer = f"TOUR-{secrets.token_hex(3).upper()}"
    desk.add_customer(NewCustomerRequest("usmf", customer, "Guided Tour Ltd", credit_limit=Decimal(100_000)))
    body = {"company": "usmf", "customer": customer, "rep": "rita", "name": "Guided tour", "lines": _LINES}
    number = str(desk.rep.create_quote(convert(body, QuoteRequest))["quotenumber"])
    desk.rep.submit(number)
    return number


def act(desk: Desk, number: str, action: str) -> str:
    """Do what the button of a step does; what was done, in words.

    Raises:
        DeskError: there is no such button, or a system refuses.
    """
    if action == "accept":
        desk.faults.replace([FINANCE_DOWN])
        desk.rep.activate(number)
        desk.rep.accept(number)
        return "Finance is down, and the quote is won. Look at the deal, then repair Finance."
    if action == "repair":
        desk.faults.clear()
        return "Finance is back."
    quote = desk.rep.quote(number)
    company = quote["company"]
    order = next((order["finance_order"] for order in quote["orders"] if order["finance_order"]), "")
    if action == "deliver":
        desk.office.ship(company, order, None)
        desk.office.invoice(company, order)
        return "A packing slip and an invoice are posted in Finance."
    if action == "pay":
        progress = desk.office.progress(company, order)
        for invoice, amount in progress.invoices.items():
            paid = [SettlementRequest(invoice, amount)]
            desk.office.pay(PaymentRequest(company, progress.customer, amount, progress.currency, paid))
        return "The payment is posted in Finance."
    raise DeskError(f"there is no {action}", status=404)


def steps(desk: Desk, number: str) -> tuple[TourStep, ...]:
    """The six steps of a quote's tour as it stands; an empty number: it has not begun.

    Raises:
        DeskError: 404, there is no such quote.
    """
    quote: Mapping[str, Any] = desk.rep.quote(number) if number else {}
    site, runs = desk.site, desk.runs_link
    company = quote.get("company", "")
    found = [order["finance_order"] for order in quote.get("orders", ()) if order["finance_order"]]
    progress = desk.office.progress(company, found[0]) if found else None
    ordered = progress is not None and progress.confirmed
    invoiced = progress is not None and bool(progress.invoices)
    paid = progress is not None and invoiced and not sum(progress.invoices.values(), Decimal(0))
    won, approved = quote.get("state") == "won", quote.get("approval") == "approved"
    broken = bool(desk.faults.faults)
    deal = f"{site}/cases/{company}/{quoted(number, safe='')}" if site and number else ""
    order = f"/ui/orders/{company}/{found[0]}" if found else ""
    return (
        TourStep(
            "A rep asks for approval",
            "Rita sells 100 pieces at 22 % off. A rep may give 10 % alone, so she submits the quote.",
            bool(number),
            button=None if number else ("begin", "Enter and submit the quote"),
        ),
        TourStep(
            "Two people approve",
            "Sign in as Mona, then as Dirk: the quote is in their inbox, with the reasons, line by line.",
            approved or won,
            link=(site, "Open the inbox") if site else None,
        ),
        TourStep(
            "Finance goes down, and the customer accepts",
            "Take Finance down first. The quote is won in Sales, and the deal's page says what it waits for.",
            won,
            button=("accept", "Take Finance down and accept the quote") if approved and not won else None,
            link=(deal, "Look at the deal") if won and deal else None,
        ),
        TourStep(
            "Finance is back",
            "Nothing was lost: without anyone's help the order is there within half a minute, once, and confirmed.",
            ordered,
            button=("repair", "Repair Finance") if broken else None,
            link=(order, "Look at the order") if ordered else None,
        ),
        TourStep(
            "The warehouse ships, accounts receivable invoice",
            "Both are posted in Finance, and Sales reads them.",
            invoiced,
            button=("deliver", "Ship and invoice") if ordered and not invoiced else None,
            link=(order, "Look at the order") if invoiced else None,
        ),
        TourStep(
            "The customer pays",
            "The deal closes. Its page shows who did what and when; Temporal Web shows the run behind it.",
            paid,
            button=("pay", "Pay the invoice") if invoiced and not paid else None,
            link=(runs, "Open the runs in Temporal Web") if paid and runs else None,
        ),
    )
