"""What feeds do with news of deals that have ended: most of it their deals had taken, the rest goes to the receiver.

A sweep finds a document again that a business event had brought: what the deal knew when it ended is no news. A payment
is news only where something stands open. All else is handed to the company's receiver (``workflows.after_end``).
"""

from __future__ import annotations

from typing import Final

from activities.delivery import Told
from domain.after_end import FINANCE_KINDS, LateReport, Matter
from domain.after_end_book import Tally
from domain.feeds import Became
from domain.messages import SWEEP, FinanceEvent, FinanceEventKind
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
        if event.kind is FinanceEventKind.PAYMENT_REVERSED and event.source == SWEEP:
            return not await self._looked_since(company, quote_number, event)
        if event.kind not in _DOCUMENTS:
            return True
        try:
            ended = await self._deals.ended_with(company, quote_number)
        except (NotFound, Unreadable):
            return True
        known = {document.number.casefold() for document in ended.documents} if ended else set()
        return event.document.casefold() not in known

    async def _looked_since(self, company: str, quote_number: str, event: FinanceEvent) -> bool:
        """Whether the deal was compared with Finance after what the sweep found had happened: its event was quicker."""
        view = await self._desk.read(company)
        own = (entry for entry in view.entries if entry.deal.quote_number == quote_number)
        return any(entry.matter is Matter.MONEY and entry.looked_at > event.occurred_at for entry in own)

    async def _something_open(self, company: str, quote_number: str) -> bool:
        """Whether a payment may settle something: what waits to be looked at counts as well."""
        view = await self._desk.read(company)
        if view.tally.get(Tally.WAITING, 0):
            return True
        return any(entry.is_open and entry.deal.quote_number == quote_number for entry in view.entries)
