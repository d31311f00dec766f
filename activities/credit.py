"""What deals and ledgers ask of each other."""

from __future__ import annotations

from pydantic import ValidationError
from temporalio import activity

from activities.delivery import temporal_failures
from activities.failures import refused
from activities.signatures import AskEnded, CreditActivities, EndedDeals, FailureType, ReserveCredit, WakeDeals
from domain.credit_ledger import CreditAnswer, LedgerRequest
from domain.credit_parts import run_of
from domain.policy import Policy
from runs.ledgers import LedgerRefused, Ledgers


class CreditDesk(CreditActivities):
    """Puts a deal's question to the ledger, with the policy's terms for the customer, and a ledger's to its deals."""

    def __init__(self, ledgers: Ledgers, policy: Policy) -> None:
        """Use ``ledgers``, and ``policy`` for the rule's numbers."""
        self._ledgers = ledgers
        self._policy = policy

    async def reserve_credit(self, ask: ReserveCredit) -> CreditAnswer:
        """Ask the ledger. Asking again with the same facts gets the same answer; the deal's entry is replaced."""
        try:
            request = LedgerRequest(
                deal_id=ask.deal_id,
                order_number=ask.order_number,
                amount=ask.amount,
                facts=ask.facts,
                terms=self._policy.credit_terms(ask.company, ask.customer_account, ask.facts.customer_group),
                release=ask.release,
                queues=ask.queues,
            )
            with temporal_failures():
                return await self._ledgers.reserve(ask.company, ask.customer_account, request)
        except ValidationError as error:
            what = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}".lstrip(": ") for e in error.errors())
            raise refused(FailureType.REFUSED, f"Credit cannot be checked: {what}") from error
        except LedgerRefused as error:
            raise refused(FailureType.REFUSED, f"Credit cannot be checked: {error}") from error

    @activity.defn(name="wake_deals")
    async def wake_deals(self, wake: WakeDeals) -> EndedDeals:
        """Ask held deals to look at credit again; those that have ended are answered."""
        with temporal_failures():
            return EndedDeals(deal_ids=tuple(await self._ledgers.wake(wake.deals, wake.nonce)))

    @activity.defn(name="find_ended")
    async def find_ended(self, ask: AskEnded) -> EndedDeals:
        """Look which of the deals do not run any more."""
        with temporal_failures():
            ended = set(await self._ledgers.ended(sorted({run_of(entry) for entry in ask.deal_ids})))
            return EndedDeals(deal_ids=tuple(entry for entry in ask.deal_ids if run_of(entry) in ended))
