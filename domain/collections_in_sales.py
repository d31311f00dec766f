"""What the rep reads in Sales of what is collected for a deal: levels reached, disputes, promises, rests. Pure.

One text for each deal, of its open invoices; it stands on the deal's own row, which can be written when
the deal has ended.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date
from hashlib import sha256
from typing import Final

from domain.collections import Account, WatchedInvoice
from domain.dunning import DunningPlan
from domain.money import format_money

LONGEST: Final = 2_000
"""Characters that Sales takes."""
_LONGEST_REASON: Final = 200


def texts_in_sales(account: Account, plan: DunningPlan, today: date) -> dict[str, str]:
    """What Sales is to show, by quote number; a deal of which nothing is to be said is left out.

    Args:
        account: what is collected from the customer.
        plan: the rules it stands under.
        today: in the calendar of the company.
    """
    lines: dict[str, list[str]] = {}
    for invoice in account.invoices:
        words = "; ".join(_said_of(invoice, account, plan, today))
        if words and invoice.quote_number:
            lines.setdefault(invoice.quote_number, []).append(f"{invoice.number}: {words}")
    return {quote: _bounded("\n".join(of_deal)) for quote, of_deal in lines.items()}


def to_show(
    account: Account, plan: DunningPlan, today: date, shown: Mapping[str, str], put_off: Collection[str] = ()
) -> tuple[str, str] | None:
    """The next deal whose text in Sales is not what it should be, and that text; None where all are.

    Args:
        account: what is collected from the customer.
        plan: the rules it stands under.
        today: in the calendar of the company.
        shown: the mark (``mark_of``) of what Sales shows, by quote number.
        put_off: deals that are left out.
    """
    texts = texts_in_sales(account, plan, today)
    wanted = texts | dict.fromkeys(shown.keys() - texts.keys(), "")
    stale = (quote for quote, text in wanted.items() if shown.get(quote, "") != mark_of(text) and quote not in put_off)
    return next(((quote, wanted[quote]) for quote in stale), None)


def mark_of(text: str) -> str:
    """What tells a text from others; empty for an empty one."""
    return sha256(text.encode()).hexdigest()[:16] if text else ""


def _said_of(invoice: WatchedInvoice, account: Account, plan: DunningPlan, today: date) -> Iterator[str]:
    if not invoice.is_open:
        return
    reached = plan.levels[: invoice.level]
    if reached:
        since = f" since {invoice.reached_on}" if invoice.reached_on else ""
        yield f"{reached[-1].id.replace('_', ' ')}{since}"
    if (dispute := invoice.dispute) is not None:
        contested = format_money(dispute.amount, invoice.currency)
        yield f"{contested} disputed since {dispute.on}: {dispute.reason[:_LONGEST_REASON]}"
    elif (promise := invoice.promise) is not None and today <= promise.until:
        yield f"{format_money(promise.amount, invoice.currency)} promised by {promise.until}"
    elif (rest := invoice.rest or account.rest) is not None and today <= rest.until:
        yield f"rests until {rest.until}: {rest.reason[:_LONGEST_REASON]}"


def _bounded(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
