"""What collections ask of Finance, of credit ledgers and of the policy, and how a deal's invoices reach them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.collection_signatures import (
    CollectedInSales,
    CollectionActivities,
    HoldOrders,
    OpenItemsOf,
    ShowCollected,
)
from activities.delivery import temporal_failures
from activities.failures import for_deal
from activities.signatures import FailureType, Nothing
from domain.calendar import local_date
from domain.collections import (
    LONGEST_NUMBER,
    CollectionsStart,
    CustomerAddress,
    InvoicesShown,
    OpenItem,
    OpenItems,
)
from domain.dunning import DunningPlan, DunningPolicy
from domain.policy import Policy
from dynamics.finance.client import Finance
from dynamics.finance.receivables import Addressee, OpenDocument, read_receivables
from dynamics.sales.client import Dataverse
from dynamics.sales.deal_rows import DealOf, Standing
from policies import business_hours
from runs import names
from runs.calls import Rejected
from runs.collections import CollectionsDesk
from runs.ledgers import Ledgers

MOST_OTHERS: Final = 300
"""Open invoices beside those that are known which a look hands on, those due first in front."""


def plan_of(policy: Policy, rules: DunningPolicy, company: str) -> DunningPlan:
    """The rules of a company, pinned as they are now.

    Raises:
        PolicyError: the company has no calendar.
    """
    today = local_date(datetime.now(UTC), policy.calendar(company).timezone)
    return rules.plan(company, business_hours(policy, company, today))


class Collecting:
    """Tells an account the invoices of a deal, as the deal's own activities do."""

    def __init__(self, desk: CollectionsDesk, policy: Policy, rules: DunningPolicy) -> None:
        """Tell through ``desk``; an account begins under ``rules`` and the calendar of ``policy``."""
        self._desk = desk
        self._policy = policy
        self._rules = rules

    async def show(self, news: InvoicesShown) -> None:
        """Tell an account its invoices; it begins to run where it does not yet. The same again changes nothing.

        Raises:
            ApplicationError: Temporal does not answer, or takes no such message.
        """
        plan = plan_of(self._policy, self._rules, news.company)
        start = CollectionsStart(company=news.company, account=news.account, plan=plan)
        try:
            with temporal_failures():
                await self._desk.show(start, news)
        except Rejected as error:
            raise ApplicationError(error.detail, type=FailureType.REFUSED, non_retryable=True) from error


class CollectionWork(CollectionActivities):
    """The activities of what is collected."""

    def __init__(self, finance: Finance, ledgers: Ledgers, policy: Policy, rules: DunningPolicy) -> None:
        """Read ``finance``, tell ``ledgers``; ``policy`` knows the calendars, ``rules`` the levels."""
        self._finance = finance
        self._ledgers = ledgers
        self._policy = policy
        self._rules = rules

    @activity.defn(name="read_open_items")
    async def read_open_items(self, ask: OpenItemsOf) -> OpenItems:
        """Read all that is open of an account in Finance, to whom letters go, and the rules in force."""
        as_of = datetime.now(UTC)
        with for_deal():
            found = await read_receivables(self._finance, ask.company, ask.account)
        items, left_out = handed_on(found.documents, ask.known)
        return OpenItems(
            as_of=as_of,
            customer=_addressed(found.customer),
            items=items,
            left_out=left_out,
            plan=plan_of(self._policy, self._rules, ask.company),
        )

    @activity.defn(name="hold_orders")
    async def hold_orders(self, ask: HoldOrders) -> Nothing:
        """Tell a customer's credit ledger that orders are held, or not any more."""
        try:
            with temporal_failures():
                await self._ledgers.hold(ask.company, ask.account, ask.held)
        except Rejected as error:
            raise ApplicationError(error.detail, type=FailureType.REFUSED, non_retryable=True) from error
        return Nothing()


class CollectedShown(CollectedInSales):
    """Shows in Sales what is collected for deals."""

    def __init__(self, dataverse: Dataverse, page_of: Callable[[str, str], str]) -> None:
        """Write through ``dataverse``; ``page_of`` is the address of a deal's page, by company and quote number."""
        self._dataverse = dataverse
        self._page_of = page_of

    @activity.defn(name="show_collected")
    async def show_collected(self, show: ShowCollected) -> Nothing:
        """Say on a deal's own row what is collected for it: one write, whether the deal still runs or not."""
        page = self._page_of(*names.parse_deal_id(show.deal_id))
        with for_deal():
            deal = DealOf(show.deal_id, activity.info().scheduled_time, page)
            await self._dataverse.mirror.show_deal(deal, Standing(collected=show.text))
        return Nothing()


def handed_on(found: Iterable[OpenDocument], known: Collection[str]) -> tuple[tuple[OpenItem, ...], int]:
    """What is open as the rules take it, and how many invoices nobody asked for found no room.

    Every invoice that is known is among them as long as anything is open on it: one that is missing is paid. Payments
    and credit notes that are not settled are added up by currency.
    """
    asked = {number.casefold() for number in known}
    unapplied: dict[str, Decimal] = {}
    wanted: list[OpenItem] = []
    others: list[OpenItem] = []
    for document in found:
        posted = document.transaction
        if posted is None or not posted.currency:
            continue
        if document.amount < 0:
            unapplied[posted.currency] = unapplied.get(posted.currency, Decimal(0)) + document.amount
        elif posted.invoice and len(posted.invoice) <= LONGEST_NUMBER:
            item = OpenItem(
                invoice=posted.invoice,
                currency=posted.currency,
                due_on=document.due_on or posted.due_on,
                total=posted.amount,
                open_amount=document.amount,
            )
            (wanted if item.invoice.casefold() in asked else others).append(item)
    others = sorted((item for item in others if item.due_on), key=lambda item: (item.due_on, item.invoice))
    credits = [
        OpenItem(currency=currency, due_on=None, total=amount, open_amount=amount)
        for currency, amount in sorted(unapplied.items())
    ]
    return (*wanted, *others[:MOST_OTHERS], *credits), max(len(others) - MOST_OTHERS, 0)


def _addressed(customer: Addressee | None) -> CustomerAddress:
    if customer is None:
        return CustomerAddress()
    return CustomerAddress(
        name=customer.name[:200],
        lines=tuple(line[:200] for line in customer.lines[:8]),
        language=customer.language[:20],
    )
