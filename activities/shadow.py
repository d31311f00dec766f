"""Shadow mode: the rules asked about a quote, with clients of both systems that let nothing leave that could write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.credit import CreditDesk
from activities.customers import CustomerDesk
from activities.failures import for_deal
from activities.finance import DynamicsFinanceActivities
from activities.finance_view import wanted_order
from activities.postings import Postings
from activities.shadow_signatures import LookedInShadow, LookInShadow, ShadowActivities
from activities.signatures import AssessQuote, FailureType, QuoteRef
from activities.snapshots import SalesQuotes
from domain import shadow
from domain.messages import SalesEvent
from domain.policy import Policy
from domain.shadow import Moment, PeoplesOrder, ShadowLook, SoldLine
from dynamics.finance.client import Finance
from dynamics.sales.client import Dataverse
from ledger.opening import Ledger, LedgerAway
from runs import names
from runs.ledgers import Ledgers


class ShadowWork(ShadowActivities):
    """Decides as deals do, and writes nothing but what it decided, in the ledger."""

    def __init__(
        self, dataverse: Dataverse, finance: Finance, policy: Policy, ledgers: Ledgers, ledger: Ledger
    ) -> None:
        """Read through ``dataverse`` and ``finance``, which can only read from now on; keep it in ``ledger``."""
        dataverse.odata.only_read()
        finance.odata.only_read()
        self._finance, self._ledger, self._policy = finance, ledger, policy
        self._quotes = SalesQuotes(dataverse, policy)
        self._deals = DynamicsFinanceActivities(
            self._quotes,
            finance,
            policy,
            CreditDesk(ledgers, policy),
            Postings(finance),
            CustomerDesk(dataverse, finance, policy),
        )

    @activity.defn(name="look_in_shadow")
    async def look_in_shadow(self, ask: LookInShadow) -> LookedInShadow:
        """Decide about a quote as its deal would, and keep it; what cannot be decided is kept with its reason."""
        look = await self._decided(ask.event)
        with _ledger_failures():
            await self._ledger.keep_shadow(look)
        return LookedInShadow(decision=look.decision)

    async def _decided(self, event: SalesEvent) -> ShadowLook:
        now = datetime.now(UTC)
        if shadow.OF_EVENT[event.kind] in shadow.ENDED:
            return shadow.ended(event, now)
        ask = AssessQuote(
            quote=_ref(event),
            deal_id=names.deal_id(event.company, event.quote_number),
            submitted_by=event.actor if shadow.OF_EVENT[event.kind] is Moment.SUBMITTED else "",
        )
        try:
            found = await self._deals.assess_quote(ask)
        except ApplicationError as error:
            cause = FailureType.of(error.type)
            if cause.passes or cause is FailureType.UNAUTHORIZED:
                raise ApplicationError(str(error), type=error.type) from error
            return shadow.undecided(event, now, str(error))
        return shadow.decided(event, now, found)

    @activity.defn(name="find_order_in_shadow")
    async def find_order_in_shadow(self, ask: LookInShadow) -> LookedInShadow:
        """Look for the order that people entered in Finance for a quote, compare it, and keep it."""
        event = ask.event
        with for_deal():
            snapshot, _ = await self._quotes.read(event.quote_id)
            references = [event.quote_number, snapshot.customer_reference]
            found = await self._finance.orders.referring(event.company, [each for each in references if each])
        if not found:
            return LookedInShadow(decision="")
        order, wanted = found[0], wanted_order(snapshot, "", snapshot.customer_account or "")
        ours = [SoldLine(item=line.item, quantity=line.quantity, net=line.amount) for line in wanted.lines]
        theirs = [SoldLine(item=line.item, quantity=line.quantity, net=line.amount) for line in order.lines]
        differences = shadow.compared(ours, theirs)
        if len(found) > 1:
            differences = (f"{len(found)} orders name the quote", *differences)
        entered = PeoplesOrder(
            number=order.header.number, net=order.net, currency=order.header.currency, differences=differences
        )
        with _ledger_failures():
            await self._ledger.note_shadow_order(event.company, event.quote_number, snapshot.revision, entered)
        return LookedInShadow(decision="", order=entered.number)


def _ref(event: SalesEvent) -> QuoteRef:
    return QuoteRef(
        company=event.company,
        quote_number=event.quote_number,
        quote_id=event.quote_id,
        revision=event.revision,
    )


@contextmanager
def _ledger_failures() -> Iterator[None]:
    """A ledger that is away is tried again, and pages nobody."""
    try:
        yield
    except LedgerAway as error:
        raise ApplicationError(
            f"the ledger does not answer: {error}",
            type=FailureType.TRANSIENT,
            category=ApplicationErrorCategory.BENIGN,
        ) from error
