"""Asks the customer's credit ledger on behalf of a deal."""

from __future__ import annotations

from activities.signatures import ReserveCredit
from domain.credit_ledger import CreditAnswer, LedgerRequest
from domain.policy import Policy
from runs.ledgers import Ledgers


class CreditDesk:
    """Puts a deal's question to the ledger, with the policy's terms for the customer."""

    def __init__(self, ledgers: Ledgers, policy: Policy) -> None:
        """Use ``ledgers``, and ``policy`` for the rule's numbers."""
        self._ledgers = ledgers
        self._policy = policy

    async def reserve_credit(self, ask: ReserveCredit) -> CreditAnswer:
        """Ask the ledger. Asking again with the same facts gets the same answer; the deal's entry is replaced."""
        request = LedgerRequest(
            deal_id=ask.deal_id,
            order_number=ask.order_number,
            amount=ask.amount,
            facts=ask.facts,
            terms=self._policy.credit_terms(ask.company, ask.customer_account, ask.facts.customer_group),
            release=ask.release,
        )
        return await self._ledgers.reserve(
            ask.company,
            ask.customer_account,
            request,
            request_id=f"{ask.deal_id}:{ask.attempt}:{ask.facts.as_of.isoformat()}",
        )
