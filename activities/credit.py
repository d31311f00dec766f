"""What deals and ledgers ask of each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from temporalio import activity

from activities.delivery import temporal_failures
from activities.failures import refused
from activities.signatures import AskEnded, CreditActivities, EndedDeals, FailureType, ReserveCredit, WakeDeals
from domain.credit_groups import GROUPS, GroupCredit, both, group_terms
from domain.credit_ledger import CreditAnswer, LedgerRequest
from domain.credit_parts import run_of
from domain.policy import CreditTerms, Policy
from runs.ledgers import LedgerRefused, Ledgers


class CreditDesk(CreditActivities):
    """Puts a deal's question to the ledger, with the policy's terms for the customer, and a ledger's to its deals."""

    def __init__(self, ledgers: Ledgers, policy: Policy) -> None:
        """Use ``ledgers``, and ``policy`` for the rule's numbers."""
        self._ledgers = ledgers
        self._policy = policy

    async def reserve_credit(self, ask: ReserveCredit) -> CreditAnswer:
        """Ask the ledger. Asking again with the same facts gets the same answer; the deal's entry is replaced.

        Where the customer shares a limit, the group's ledger is asked before: what it gives is given back where the
        customer's own ledger refuses, and what that would give is not kept where the group's refuses.
        """
        if ask.group is None:
            return await self._own(ask)
        shared = await self._shared(ask, ask.group)
        if shared.decision is None:
            return shared
        own = await self._own(ask, keeps=shared.decision.passed)
        if own.decision is None:
            return own
        with temporal_failures():
            if not shared.decision.passed:
                await self._ledgers.introduce(ask.group.members, ask.group.facts.group)
            elif not own.decision.passed:
                await self._ledgers.give_back(GROUPS, ask.group.facts.group, ask.deal_id)
        return CreditAnswer(decision=both(shared.decision, own.decision))

    async def _own(self, ask: ReserveCredit, *, keeps: bool = True) -> CreditAnswer:
        group = ask.group.facts.group if ask.group else ""
        asked = {
            "amount": ask.amount,
            "facts": ask.facts,
            "release": ask.release,
            "keeps": keeps,
            "follows": ask.follows,
            "group": group,
        }
        return await self._ask(ask, ask.company, ask.customer_account, self._terms(ask), asked)

    async def _shared(self, ask: ReserveCredit, group: GroupCredit) -> CreditAnswer:
        asked = {
            "amount": group.amount(ask.amount),
            "facts": group.facts,
            "release": group.release(ask.release),
            "follows": ask.follows,
        }
        return await self._ask(ask, GROUPS, group.facts.group, group_terms(self._terms(ask)), asked)

    def _terms(self, ask: ReserveCredit) -> CreditTerms:
        terms = self._policy.credit_terms(ask.company, ask.customer_account, ask.facts.customer_group)
        return terms.model_copy(update={"raised": ask.raised})

    async def _ask(
        self, ask: ReserveCredit, company: str, account: str, terms: CreditTerms, asked: Mapping[str, Any]
    ) -> CreditAnswer:
        try:
            request = LedgerRequest(
                deal_id=ask.deal_id, order_number=ask.order_number, terms=terms, queues=ask.queues, **asked
            )
            with temporal_failures():
                return await self._ledgers.reserve(company, account, request)
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
