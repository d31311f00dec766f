"""Credit of a confirmed order, decided again, and the order kept from the warehouse where there is none."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.credit import CreditDesk
from activities.credit_groups import shared_credit
from activities.credit_recheck_signatures import (
    CreditRecheckActivities,
    RecheckCredit,
    RecheckedCredit,
    StopOrder,
    StoppedOrder,
)
from activities.failures import for_deal, refused
from activities.finance_view import credit_facts
from activities.signatures import FailureType, ReserveCredit
from domain.calendar import local_date
from domain.exchange import NoRate
from domain.order_stop import OrderStop
from domain.policy import Policy
from dynamics.finance.client import Finance


class CreditRechecks(CreditRecheckActivities):
    """Looks at credit again for deals whose order is confirmed."""

    def __init__(self, finance: Finance, policy: Policy, credit: CreditDesk) -> None:
        """Read ``finance``, and ask the ledgers through ``credit``."""
        self._finance = finance
        self._policy = policy
        self._credit = credit

    @activity.defn(name="recheck_credit")
    async def recheck_credit(self, ask: RecheckCredit) -> RecheckedCredit:
        """Read fresh credit facts, and ask the customer's ledger about what is left of the order."""
        with for_deal():
            question = await self._question(ask)
            if question is None:
                return RecheckedCredit()
            answer = await self._credit.reserve_credit(question)
            if answer.decision is None:
                raise ApplicationError(f"read Finance again: {answer.stale}", type=FailureType.TRANSIENT)
            return RecheckedCredit(decision=answer.decision)

    async def _question(self, ask: RecheckCredit) -> ReserveCredit | None:
        """What the ledger is asked; None where Finance has nothing of the order left to invoice."""
        today = local_date(datetime.now(UTC), self._policy.calendar(ask.company).timezone)
        read = await self._finance.read_credit(
            ask.company, ask.customer_account, today=today, currency=ask.currency, shared=True
        )
        try:
            facts = credit_facts(read, self._policy, today=today)
        except NoRate as missing:
            raise refused(FailureType.REFUSED, str(missing)) from missing
        if facts is None:
            text = f"Finance company {ask.company} has no customer {ask.customer_account} any more"
            raise refused(FailureType.NOT_FOUND, text)
        left = [order.amount for order in facts.open_orders if order.order_number == ask.order_key]
        if not left:
            return None
        return ReserveCredit(
            company=ask.company,
            customer_account=ask.credit_account,
            deal_id=ask.deal_id,
            order_number=ask.order_key,
            amount=sum(left, Decimal(0)),
            facts=facts,
            release=ask.release,
            group=await shared_credit(self._finance, read, facts, self._policy, today),
            follows=True,
        )

    @activity.defn(name="stop_order")
    async def stop_order(self, ask: StopOrder) -> StoppedOrder:
        """Mark the order in Finance as not to be processed, or take the mark back; one that is so already is left."""
        with for_deal():
            was = await self._finance.orders.stop(ask.company, ask.order_number, stop=ask.stop)
        if not ask.stop:
            return StoppedOrder(stop=OrderStop.NONE)
        in_doubt = ask.probe or activity.info().attempt > 1
        return StoppedOrder(stop=OrderStop.FOUND if was and not in_doubt else OrderStop.OURS)
