"""What feeds do with news of deals that have ended: most of it their deals had taken, the rest goes to the receiver.

A sweep finds a document again that a business event had brought: what the deal knew when it ended is no news. A payment
is news only where something stands open. All else is handed to the company's receiver (``workflows.after_end``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Final

from activities.delivery import Told
from domain import event_ids
from domain.after_end import FINANCE_KINDS, LateReport
from domain.after_end_book import Tally
from domain.digest import Digest
from domain.event_ids import payment_number
from domain.feeds import Became
from domain.messages import FinanceEvent, FinanceEventKind
from dynamics.finance.client import Finance
from dynamics.finance.records import Sweep, Transaction
from dynamics.finance.reopened import orders_open_again
from runs import names
from runs.after_end import AfterEndDesk
from runs.calls import NotFound, Rejected, Unreadable
from runs.deals import Deals

_DOCUMENTS: Final = (FinanceEventKind.INVOICE_POSTED, FinanceEventKind.SHIPMENT_POSTED)


class LateReports:
    """Passes on what was reported of deals that ended."""

    def __init__(self, deals: Deals, desk: AfterEndDesk) -> None:
        """Ask ``deals`` what they knew; tell ``desk`` the rest."""
        self._deals = deals
        self._desk = desk

    async def tell(self, deal_id: str, event: FinanceEvent) -> Told:
        """Pass on an event of a deal that ended.

        Returns:
            AFTER_END: the receiver has it; NOBODY: it is no news; UNROUTED: Temporal takes it for good nowhere.

        Raises:
            NoAnswer: Temporal does not answer.
        """
        company, quote_number = names.parse_deal_id(deal_id)
        if event.kind not in FINANCE_KINDS or not await self._is_news(company, quote_number, event):
            return Became.NOBODY, ""
        try:
            await self._desk.report(company, LateReport(quote_number=quote_number, event=event))
        except Rejected as error:
            return Became.UNROUTED, error.detail[:500]
        return Became.AFTER_END, ""

    async def _is_news(self, company: str, quote_number: str, event: FinanceEvent) -> bool:
        if event.kind is FinanceEventKind.PAYMENT_POSTED:
            return await self._something_open(company, quote_number)
        if event.kind not in _DOCUMENTS:
            return True
        try:
            ended = await self._deals.ended_with(company, quote_number)
        except (NotFound, Unreadable):
            return True
        known = {document.number.casefold() for document in ended.documents} if ended else set()
        return event.document.casefold() not in known

    async def _something_open(self, company: str, quote_number: str) -> bool:
        """Whether a payment may settle something: what waits to be looked at counts as well."""
        view = await self._desk.read(company)
        if view.tally.get(Tally.WAITING, 0):
            return True
        return any(entry.is_open and entry.deal.quote_number == quote_number for entry in view.entries)


async def reversals(company: str, found: Sweep, digest: Digest, finance: Finance) -> list[tuple[FinanceEvent, date]]:
    """What the reversed payments of a sweep mean to orders, as the events that would have told it, each with its day.

    Finance keeps no row that says which invoices a reversed payment had settled. So every order of its customer with
    an open invoice is reported: a hint to look. Two requests, and only where a payment was reversed that no sweep has
    passed on.

    Args:
        company: legal entity, lower case.
        found: what the sweep read.
        digest: what was passed on before; a payment all of whose orders were is in it (``reversal_key``).
        finance: is read.
    """
    fresh = [payment for payment in found.reversed_payments if reversal_key(payment) not in digest]
    if not fresh:
        return []
    orders = await orders_open_again(finance, company, {payment.account for payment in fresh})
    events: list[tuple[FinanceEvent, date]] = []
    for payment in fresh:
        day = payment.last_settled_on or datetime.now(UTC).date()
        found_orders = sorted(orders.get(payment.account.casefold(), ()))
        events += [(_reversed(company, payment, order), day) for order in found_orders]
    return events


def reversal_key(payment: Transaction) -> str:
    """What tells a reversed payment from every other, whatever orders it was of."""
    return f"{_event_id(payment)}|"


def passed_on(found: Sweep, left: Sequence[FinanceEvent]) -> tuple[str, ...]:
    """The keys of reversed payments of which nothing is left to pass on."""
    waiting = {event.event_id for event in left}
    return tuple(reversal_key(payment) for payment in found.reversed_payments if _event_id(payment) not in waiting)


def _event_id(payment: Transaction) -> str:
    number = payment_number(payment.payment_id, payment.voucher)
    return event_ids.finance_document(FinanceEventKind.PAYMENT_REVERSED, number)


def _reversed(company: str, payment: Transaction, order: str) -> FinanceEvent:
    return FinanceEvent(
        event_id=_event_id(payment),
        kind=FinanceEventKind.PAYMENT_REVERSED,
        company=company,
        customer_account=payment.account,
        order_number=order,
        document=payment_number(payment.payment_id, payment.voucher),
        occurred_at=datetime.now(UTC),
        source="sweep",
    )
