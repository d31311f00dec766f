"""Tells deals what happened: starts one where a quote was submitted, signals the one that runs otherwise."""

from __future__ import annotations

from temporalio.client import Client
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.service import RPCError, RPCStatusCode

from domain.messages import DealStart, FinanceEvent, SalesEvent, SalesEventKind
from runs import names


class Deals:
    """The running deals, as the sweeps reach them."""

    def __init__(self, client: Client) -> None:
        """Reach deals through ``client``."""
        self._client = client

    async def tell(self, event: SalesEvent) -> bool:
        """Give an event to its deal; whether one took it. A submission starts the deal where none runs."""
        if event.kind is SalesEventKind.SUBMITTED:
            await self._start(event)
            return True
        return await self._signal(names.deal_id(event.company, event.quote_number), names.SALES_EVENT, event)

    async def tell_finance(self, deal_id: str, event: FinanceEvent) -> bool:
        """Give an event of Finance to a deal; False where it has ended."""
        return await self._signal(deal_id, names.FINANCE_EVENT, event)

    async def _start(self, event: SalesEvent) -> None:
        attributes = {
            "Q2CStage": "opportunity",
            "Q2CWaitingFor": "none",
            "Q2CCompany": event.company,
            "Q2CQuote": event.quote_number,
            "Q2CQuoteId": event.quote_id,
        }
        await self._client.start_workflow(
            names.QUOTE_TO_CASH,
            DealStart(
                company=event.company,
                quote_number=event.quote_number,
                quote_id=event.quote_id,
                revision=event.revision,
                event=event,
            ),
            id=names.deal_id(event.company, event.quote_number),
            task_queue=names.DEAL_QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            start_signal=names.SALES_EVENT,
            start_signal_args=[event],
            static_summary=f"Quote {event.quote_number} of {event.company.upper()}: quote to cash",
            search_attributes=TypedSearchAttributes(
                [SearchAttributePair(SearchAttributeKey.for_keyword(name), value) for name, value in attributes.items()]
            ),
        )

    async def _signal(self, workflow_id: str, signal: str, event: SalesEvent | FinanceEvent) -> bool:
        try:
            await self._client.get_workflow_handle(workflow_id).signal(signal, event)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return True
