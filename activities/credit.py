"""Asks the customer's credit ledger on behalf of a deal: one call that starts the ledger where it does not run yet."""

from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy

from activities.signatures import CreditActivities, CreditAnswer, LedgerRequest, LedgerStart, ReserveCredit
from domain.policy import Policy
from runs import names

PATIENCE = timedelta(seconds=20)


class CreditDesk(CreditActivities):
    """Puts a deal's question to the ledger, with the policy's terms for the customer."""

    def __init__(self, client: Client, policy: Policy) -> None:
        """Use ``client`` for the ledgers and ``policy`` for the rule's numbers."""
        self._client = client
        self._policy = policy

    @activity.defn(name="reserve_credit")
    async def reserve_credit(self, ask: ReserveCredit) -> CreditAnswer:
        """Ask the ledger. Asking again with the same facts gets the same answer; the deal's entry is replaced."""
        ledger = names.ledger_id(ask.company, ask.customer_account)
        request = LedgerRequest(
            deal_id=ask.deal_id,
            order_number=ask.order_number,
            amount=ask.amount,
            facts=ask.facts,
            terms=self._policy.credit_terms(ask.company, ask.customer_account, ask.facts.customer_group),
            release=ask.release,
        )
        start: WithStartWorkflowOperation[Any, None] = WithStartWorkflowOperation(
            names.CREDIT_LEDGER,
            LedgerStart(company=ask.company, customer_account=ask.customer_account),
            id=ledger,
            task_queue=names.DEAL_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"Credit of **{ask.customer_account}** in {ask.company.upper()}",
        )
        answer: CreditAnswer = await self._client.execute_update_with_start_workflow(
            names.RESERVE,
            request,
            start_workflow_operation=start,
            id=f"{ask.deal_id}:{ask.attempt}:{ask.facts.as_of.isoformat()}",
            result_type=CreditAnswer,
            rpc_timeout=PATIENCE,
        )
        return answer
