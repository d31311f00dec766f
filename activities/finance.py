"""What a deal asks of Dynamics 365 Finance, and of Sales where Finance needs a quote's lines for it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities import signatures as ask_for
from activities.credit import CreditDesk
from activities.failures import for_deal, refused
from activities.finance_view import billing, credit_facts, finance_prices, payment_days, wanted_order
from activities.signatures import FailureType, FinanceActivities
from activities.snapshots import SalesQuotes, accepted_at, company_of, differences
from domain.assessment import DealPolicy, OrderReadiness, PriceDrift, Problem, QuoteAssessment, ReviewLines
from domain.authority import NoApprover
from domain.calendar import end_of_day, local_date
from domain.credit import decide_credit
from domain.credit_facts import CreditDecision
from domain.discount import approval_plan
from domain.fulfilment import Billing, OrderedLine
from domain.messages import ReviewRequest
from domain.people import Person
from domain.policy import Policy
from domain.pricing import FinancePrice, drift, price_hash, price_problems, price_quote
from domain.quote import QuoteSnapshot
from domain.validation import validate_quote
from dynamics.core.errors import NotFound
from dynamics.finance.client import Finance
from dynamics.finance.records import CreditRead, FinanceOrder, ProcessingStatus
from dynamics.sales import records as sales

DEFAULT_VALIDITY = timedelta(days=30)
"""How long a quote without an expiry date is valid from its submission: a deal never waits for ever."""

PRICES_KEPT = 2000
"""Assessments whose prices this process remembers, to say what moved since."""

PROBE_AGAIN_SECONDS = 30.0
"""Pause between the two looks that prove an order absent where Finance numbers it (no key refuses a second one)."""


class FinanceWork(FinanceActivities):
    """The activities on Finance's queue."""

    def __init__(
        self,
        quotes: SalesQuotes,
        finance: Finance,
        policy: Policy,
        credit: CreditDesk,
        *,
        probe_again: float = PROBE_AGAIN_SECONDS,
    ) -> None:
        """Bring the clients and the rules together.

        Args:
            quotes: Reads quotes from Sales.
            finance: Client of Finance.
            policy: The rules in force.
            credit: Asks the customer's credit ledger.
            probe_again: Seconds between two looks for an order whose creation is in doubt.
        """
        self._quotes = quotes
        self._finance = finance
        self._policy = policy
        self._credit = credit
        self._probe_again = probe_again
        self._prices: OrderedDict[str, dict[str, FinancePrice]] = OrderedDict()

    @activity.defn(name="assess_quote")
    async def assess_quote(self, ask: ask_for.AssessQuote) -> QuoteAssessment:
        """Read the quote from Sales and its prices from Finance; validate, price, run the matrix, look at credit."""
        with for_deal():
            try:
                snapshot, quote = await self._quotes.read(ask.quote.quote_id)
            except NotFound:
                return _gone(ask.quote)
            if stale := _stale(quote, ask.quote, company_of(quote, self._policy)):
                return _assessment(snapshot, ask.quote).model_copy(update={"stale": stale})
            today = self._today(snapshot.company)
            read = None
            if snapshot.customer_account:
                items = [line.item for line in snapshot.lines if line.item]
                read = await self._finance.read_credit(
                    snapshot.company, snapshot.customer_account, items=items, currency=snapshot.currency
                )
            found = self._assess(ask.quote, snapshot, read, today)
            won_at = accepted_at(quote) if quote.state is sales.QuoteState.WON else None
            return found.model_copy(update={"state": snapshot.state, "accepted_at": won_at})

    @activity.defn(name="prepare_order")
    async def prepare_order(self, ask: ask_for.PrepareOrder) -> OrderReadiness:
        """Read the accepted quote, current prices and fresh credit facts, and ask the customer's ledger for credit."""
        with for_deal():
            approved = self._quotes.kept(ask.approved_hash)
            snapshot, quote = await self._quotes.read(ask.quote.quote_id)
            company = ask.quote.company
            items = [line.item for line in snapshot.lines if line.item]
            read = await self._finance.read_credit(
                company,
                ask.customer_account,
                order_number=ask.order_number,
                items=items,
                currency=snapshot.currency,
            )
            facts = credit_facts(read, self._policy, today=self._today(company))
            if facts is None or read.pricing is None:
                raise refused(
                    FailureType.NOT_FOUND, f"Finance company {company} has no customer {ask.customer_account} any more"
                )
            prices = finance_prices(snapshot, read.pricing, today=self._today(company))
            content = snapshot.content_hash()
            changed: tuple[str, ...] = ()
            if content != ask.approved_hash:
                changed = differences(approved, snapshot) if approved else ("the content is not the approved one",)
            ready = OrderReadiness(
                snapshot_hash=content,
                state=snapshot.state,
                accepted_at=accepted_at(quote),
                total=snapshot.total,
                credit=facts,
                price_hash=price_hash(prices),
                drift=self._drift(ask.price_hash, snapshot, prices),
                existing_order=read.own_order is not None,
                sales_order_id=snapshot.sales_order_id,
                differences=changed,
            )
            if ready.state != "won" or changed or ready.blocked:
                return ready
            return ready.model_copy(update={"decision": await self._reserve(ask, ready)})

    @activity.defn(name="create_order")
    async def create_order(self, ask: ask_for.CreateOrder) -> ask_for.CreatedOrder:
        """Create the order with all lines in one change set, or find the one an earlier attempt made."""
        with for_deal():
            snapshot = await self._approved(ask.quote, ask.approved_hash)
            wanted = wanted_order(snapshot, ask.order_number)
            in_doubt = ask.probe or activity.info().attempt > 1
            if in_doubt:
                await self._look_twice(ask.quote.company, ask.order_number)
            order = await self._finance.create_order(wanted, in_doubt=in_doubt)
            return self._created(snapshot, order)

    @activity.defn(name="confirm_order")
    async def confirm_order(self, ask: ask_for.ConfirmOrder) -> ask_for.Confirmation:
        """Post the confirmation; an order already confirmed answers its confirmation."""
        with for_deal():
            if ask.probe or activity.info().attempt > 1:
                order = await self._finance.find_order(ask.company, ask.order_number)
                if order is not None and order.header.processing is not ProcessingStatus.ACTIVE:
                    return ask_for.Confirmation(confirmation_number=order.header.number)
            number = await self._finance.confirm_order(ask.company, ask.order_number, release_reason=ask.release_reason)
            return ask_for.Confirmation(confirmation_number=number)

    @activity.defn(name="read_billing")
    async def read_billing(self, ask: ask_for.BillingRef) -> Billing:
        """Read packing slips, invoices and what is open on them."""
        with for_deal():
            return billing(await self._finance.read_billing(ask.company, ask.customer_account, ask.order_number))

    @activity.defn(name="review_lines")
    async def review_lines(self, ask: ReviewRequest) -> ReviewLines:
        """Read a page of a quote's lines with Finance's prices, for a person who decides."""
        with for_deal():
            snapshot = self._quotes.kept(ask.snapshot_hash)
            if snapshot is None:
                snapshot, _ = await self._quotes.read(ask.quote_id)
            items = [line.item for line in snapshot.lines if line.item]
            pricing = await self._finance.read_pricing(
                ask.company, snapshot.customer_account or "", items, snapshot.currency
            )
            prices = finance_prices(snapshot, pricing, today=self._today(ask.company))
            if problems := price_problems(snapshot, prices):
                raise refused(FailureType.REFUSED, "; ".join(p.message for p in problems[:5]))
            priced = price_quote(snapshot, prices, payment_days=payment_days(snapshot, pricing))
            return ReviewLines(
                snapshot_hash=snapshot.content_hash(),
                total_lines=len(priced.lines),
                offset=ask.offset,
                lines=priced.lines[ask.offset : ask.offset + ask.limit],
            )

    async def _reserve(self, ask: ask_for.PrepareOrder, ready: OrderReadiness) -> CreditDecision:
        """Credit for the order, decided on the facts just read. Asking again replaces what was asked before."""
        answer = await self._credit.reserve_credit(
            ask_for.ReserveCredit(
                company=ask.quote.company,
                customer_account=ask.customer_account,
                deal_id=ask.deal_id,
                order_number=ask.order_number,
                amount=ready.total,
                facts=ready.credit,
                release=ask.release,
                attempt=ask.attempt,
            )
        )
        if answer.decision is None:
            raise ApplicationError(f"read Finance again: {answer.stale}", type=FailureType.TRANSIENT)
        return answer.decision

    # --- assessing -------------------------------------------------------------------------------------------------

    def _assess(
        self, ref: ask_for.QuoteRef, snapshot: QuoteSnapshot, read: CreditRead | None, today: date
    ) -> QuoteAssessment:
        """Validate, price, and find who must approve; each only where what comes before it holds."""
        found = _assessment(snapshot, ref)
        pricing = read.pricing if read else None
        customer = read.customer if read else None
        problems = validate_quote(
            snapshot,
            today=today,
            customer_currency=customer.currency if customer else None,
            customer_blocked=customer is not None and customer.on_hold in self._policy.credit.blocking_statuses,
            released_items=dict.fromkeys(pricing.products, True) if pricing else {},
        )
        if problems or read is None or pricing is None:
            return found.model_copy(update={"problems": problems})
        prices = finance_prices(snapshot, pricing, today=today)
        if problems := price_problems(snapshot, prices):
            return found.model_copy(update={"problems": problems})
        terms = snapshot.payment_terms or (customer.payment_terms if customer else "")
        if terms and terms not in pricing.payment_terms:
            unknown = Problem(
                code="UNMAPPED_PAYMENT_TERM",
                field="payment_terms",
                message=f"Finance has no payment terms {terms!r} in {snapshot.company}: add them there, or map the "
                "quote's payment terms in entity_map.yaml",
            )
            return found.model_copy(update={"problems": (unknown,)})
        priced = price_quote(snapshot, prices, payment_days=payment_days(snapshot, pricing))
        try:
            plan = approval_plan(
                priced,
                requester=snapshot.owner,
                co_owner=snapshot.submitted_by,
                company=snapshot.company,
                policy=self._policy,
            )
        except NoApprover as nobody:
            raise refused(FailureType.REFUSED, str(nobody)) from nobody
        self._keep_prices(priced.price_hash, prices)
        return found.model_copy(
            update={
                "payment_terms": terms,
                "list_net": priced.list_net,
                "discount_pct": priced.disc_pct,
                "margin_pct": priced.margin_pct,
                "price_hash": priced.price_hash,
                "expires_at": self._expires_at(snapshot, today),
                "plan": plan,
                "deal_policy": DealPolicy(
                    version=self._policy.version,
                    over_delivery_pct=self._policy.tolerances.over_delivery_pct.get(snapshot.company, Decimal(0)),
                    release_valid_days=self._policy.credit.release.valid_days,
                    release_deviation_pct=self._policy.credit.release.deviation_pct,
                ),
                "soft_credit": self._soft_credit(snapshot, read, today),
            }
        )

    def _soft_credit(self, snapshot: QuoteSnapshot, read: CreditRead, today: date) -> CreditDecision | None:
        """How credit looks at submission; it informs, and holds nothing."""
        facts = credit_facts(read, self._policy, today=today)
        if facts is None:
            return None
        return decide_credit(
            facts,
            this_order=snapshot.total,
            this_order_number="",
            reservations=Decimal(0),
            policy=self._policy,
            now=datetime.now(UTC),
        )

    def _expires_at(self, snapshot: QuoteSnapshot, today: date) -> datetime:
        day = snapshot.expires_on or today + DEFAULT_VALIDITY
        return end_of_day(day, self._policy.calendar(snapshot.company).timezone)

    # --- ordering --------------------------------------------------------------------------------------------------

    async def _approved(self, ref: ask_for.QuoteRef, approved_hash: str) -> QuoteSnapshot:
        """The approved content: from memory by its hash, or read again and held against the hash."""
        snapshot = self._quotes.kept(approved_hash)
        if snapshot is None:
            snapshot, _ = await self._quotes.read(ref.quote_id)
            if snapshot.content_hash() != approved_hash:
                raise refused(
                    FailureType.CONTENT_CHANGED,
                    f"quote {ref.quote_number} revision {ref.revision} is not the content that was approved",
                )
        return snapshot

    async def _look_twice(self, company: str, order_key: str) -> None:
        """Give an order whose creation is in doubt time to appear, where no key refuses a second one.

        Where our key is the order's number Finance itself refuses a second one, and no pause is needed. `create_order`
        takes the second look.
        """
        if not self._finance.numbers_automatically(company):
            return
        if await self._finance.find_order(company, order_key) is None:
            activity.heartbeat("looked once")
            await asyncio.sleep(self._probe_again)

    def _created(self, snapshot: QuoteSnapshot, order: FinanceOrder) -> ask_for.CreatedOrder:
        """The order as Finance made it, held against the quote within the policy's tolerance."""
        tolerance = self._policy.tolerances.money
        wanted = {line.line_no: line.amount for line in wanted_order(snapshot, order.header.number).lines}
        off = [
            f"line {line.line_no}: {line.amount} in Finance, {wanted[line.line_no]} approved"
            for line in order.lines
            if not tolerance.same_line(line.amount, wanted[line.line_no], snapshot.currency)
        ]
        if not tolerance.same_document(order.net, snapshot.net, snapshot.currency, len(order.lines)):
            off.append(f"net {order.net} in Finance, {snapshot.net} approved")
        if off:
            raise refused(
                FailureType.CONFLICT, f"order {order.header.number} is priced differently: " + "; ".join(off[:10])
            )
        return ask_for.CreatedOrder(
            order_number=order.header.number,
            found=order.found,
            lines=tuple(
                OrderedLine(line_no=line.line_no, item=line.item, quantity=line.quantity, amount=line.amount)
                for line in order.lines
            ),
            net=order.net,
            rounding_difference=order.net - snapshot.net,
        )

    # --- prices ----------------------------------------------------------------------------------------------------

    def _drift(
        self, pinned_hash: str, snapshot: QuoteSnapshot, current: dict[str, FinancePrice]
    ) -> tuple[PriceDrift, ...]:
        """Lines whose price moved since the assessment.

        Where this process no longer knows the prices of then, only what can no longer be sold is told.
        """
        pinned = self._prices.get(pinned_hash)
        if pinned is not None and all(line.item in pinned for line in snapshot.lines):
            return drift(price_quote(snapshot, pinned, payment_days=0), current)
        return tuple(
            PriceDrift(line_no=line.line_no, item=line.item or "", pinned=Decimal(0), current=Decimal(0), blocked=True)
            for line in snapshot.lines
            if line.item not in current
        )

    def _keep_prices(self, content: str, prices: dict[str, FinancePrice]) -> None:
        self._prices[content] = prices
        self._prices.move_to_end(content)
        while len(self._prices) > PRICES_KEPT:
            self._prices.popitem(last=False)

    def _today(self, company: str) -> date:
        return local_date(datetime.now(UTC), self._policy.calendar(company).timezone)


def _stale(quote: sales.Quote, ref: ask_for.QuoteRef, company: str | None) -> str:
    """Why a quote is not to be assessed any more; empty when it asks for approval, or went on without it."""
    if quote.state is sales.QuoteState.CLOSED:
        return "the quote is closed"
    # One that went on in Sales meanwhile is assessed all the same: won without approval, it is somebody's business.
    asks = quote.approval in (sales.ApprovalChoice.REQUESTED, sales.ApprovalChoice.PENDING)
    if quote.state is sales.QuoteState.DRAFT and not asks:
        return "the request for approval was taken back"
    if company != ref.company:
        return f"the quote belongs to {company or 'a business unit without legal entity'} now"
    return ""


def _gone(ref: ask_for.QuoteRef) -> QuoteAssessment:
    return QuoteAssessment(
        company=ref.company,
        quote_number=ref.quote_number,
        quote_id=ref.quote_id,
        revision=ref.revision,
        owner=Person(oid=""),
        stale="the quote was deleted",
    )


def _assessment(snapshot: QuoteSnapshot, ref: ask_for.QuoteRef) -> QuoteAssessment:
    """What the quote itself says, before Finance was asked."""
    return QuoteAssessment(
        company=ref.company,
        quote_number=snapshot.quote_number,
        quote_id=snapshot.quote_id,
        revision=snapshot.revision,
        name=snapshot.name,
        customer_account=snapshot.customer_account or "",
        customer_name=snapshot.customer_name,
        currency=snapshot.currency,
        payment_terms=snapshot.payment_terms,
        owner=snapshot.owner,
        submitted_by=snapshot.submitted_by,
        opportunity_id=snapshot.opportunity_id,
        net=snapshot.net,
        tax=snapshot.tax,
        total=snapshot.total,
        line_count=len(snapshot.lines),
        snapshot_hash=snapshot.content_hash(),
    )
