"""The one way to reach a customer's credit ledger."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from domain.credit_ledger import CreditAnswer, LedgerRequest, LedgerStart
from domain.messages import CustomerChanged
from runs import names
from runs.calls import answer

PATIENCE = timedelta(seconds=20)


class Ledgers:
    """The credit ledgers, as deals' activities and the intake reach them."""

    def __init__(self, client: Client) -> None:
        """Reach ledgers through ``client``."""
        self._client = client

    async def reserve(self, company: str, account: str, request: LedgerRequest, *, request_id: str) -> CreditAnswer:
        """Ask a customer's ledger for credit; it is started where it does not run yet.

        Args:
            company: legal entity, lower case.
            account: customer account in Finance.
            request: the deal's question.
            request_id: the same id asked again gets the same answer.
        """
        start: WithStartWorkflowOperation[Any, None] = WithStartWorkflowOperation(
            names.CREDIT_LEDGER,
            LedgerStart(company=company, customer_account=account),
            id=names.ledger_id(company, account),
            task_queue=names.DEAL_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"Credit of **{account}** in {company.upper()}",
        )
        reserved: CreditAnswer = await self._client.execute_update_with_start_workflow(
            names.RESERVE,
            request,
            start_workflow_operation=start,
            id=request_id,
            result_type=CreditAnswer,
            rpc_timeout=PATIENCE,
        )
        return reserved

    async def changed(self, company: str, account: str, change: CustomerChanged) -> bool:
        """Tell a customer's ledger that credit may have come free.

        Returns:
            False where no ledger runs: then no deal of the customer waits for credit either.

        Raises:
            NoAnswer: Temporal does not answer.
        """
        handle = self._client.get_workflow_handle(names.ledger_id(company, account))
        try:
            await answer(handle.signal(names.CUSTOMER_CHANGED, change))
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return True
