"""What a deal asks of Dynamics 365 Finance, and of Sales where Finance needs a quote's lines for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities import signatures as ask_for
from activities.approved_amounts import created
from activities.billing_view import approved_lines, billing, lines_page, order_lines
from activities.credit import CreditDesk
from activities.credit_groups import shared_credit
from activities.customers import CustomerDesk
from activities.failures import for_deal, refused
from activities.finance_view import (
    credit_facts,
    finance_facts,
    finance_prices,
    payment_days,
    raised_terms,
    wanted_order,
)
from activities.heartbeat import note_progress
from activities.postings import Postings
from activities.review_signatures import ReviewActivities
from activities.second_look import SecondLook
from activities.signatures import FailureType, FinanceActivities
from activities.snapshots import SalesQuotes, accepted_at, company_of, differences
from domain.assessing import FinanceFacts, PreviewAnswer, assess, credit_amount, from_quote, preview
from domain.assessment import Attachment, OrderReadiness, QuoteAssessment, ReviewLines, RivalQuote
from domain.authority import NoApprover
from domain.calendar import local_date
from domain.credit_facts import CreditDecision, CreditReason
from domain.credit_groups import GroupCredit
from domain.drift import LINES_TOLD, unsold_lines
from domain.exchange import NoRate
from domain.fulfilment import Billing, LineTotals, OrderLines, digest_of
from domain.growing import resized
from domain.messages import OrderLinesRequest, PreviewRequest, ReviewRequest
from domain.people import Person
from domain.policy import Policy
from domain.pricing import price_hash, price_problems, price_quote
from domain.quote import QuoteSnapshot
from domain.tax import TaxUnknown, finance_total
from dynamics.core.errors import DynamicsError, NotFound, Refused
from dynamics.finance.client import Finance
from dynamics.finance.records import CreditRead, ProcessingStatus
from dynamics.finance.settlements import Known
from dynamics.sales import records as sales
from dynamics.sales.options import ApprovalChoice, QuoteState
from policies import business_hours

Read = TypeVar("Read")

PROBE_AGAIN_SECONDS = 30.0
"""Pause between the two looks that prove an order absent where Finance numbers it (no key refuses a second one)."""


ABSENCE_HOLDS = timedelta(seconds=20)
"""How long a look for an order counts for the first try to make it; later, Finance is asked again."""

_BEYOND = {ProcessingStatus.CANCELED: "cancelled", ProcessingStatus.INVOICED: "invoiced"}
"""Statuses of orders that Finance does not confirm any more, in words."""


class DynamicsFinanceActivities(FinanceActivities, ReviewActivities):
    """The activities on Finance's queue."""

    def __init__(
        self,
        quotes: SalesQuotes,
        finance: Finance,
        policy: Policy,
        credit: CreditDesk,
        postings: Postings,
        customers: CustomerDesk,
        *,
        probe_again: float = PROBE_AGAIN_SECONDS,
        told: tuple[str, ...] = (),
    ) -> None:
        """Bring the clients and the rules together.

        Args:
            quotes: Reads quotes from Sales.
            finance: Client of Finance.
            policy: The rules in force.
            credit: Asks the customer's credit ledger.
            postings: Reads what Finance posted.
            customers: Looks a customer up whom Finance does not know.
            probe_again: Seconds between two looks for an order whose creation is in doubt.
            told: Kinds of notices that anybody is told, pinned into each assessment.
        """
        self._quotes = quotes
        self._finance = finance
        self._policy = policy
        self._credit = credit
        self._postings = postings
        self._customers = customers
        self._probe_again = probe_again
        self._told = told
        self._second_look = SecondLook(quotes, policy)

    @activity.defn(name="assess_quote")
    async def assess_quote(self, ask: ask_for.AssessQuote) -> QuoteAssessment:
        """Read the quote from Sales and its prices from Finance; validate, price, run the matrix, look at credit."""
        with for_deal():
            try:
                snapshot, quote = await self._quotes.read(ask.quote.quote_id)
            except NotFound:
                return _gone(ask.quote)
            if stale := _stale(quote, ask, company_of(quote, self._policy)):
                return from_quote(snapshot).model_copy(update={"company": ask.quote.company, "stale": stale})
            facts = await self._facts(snapshot)
            try:
                found = self._assessed(snapshot, facts, quote)
                if found.plan is not None and found.plan.steps:  # who decides depends on who made it
                    snapshot = await self._quotes.with_makers(snapshot, ask.submitted_by)
                    found = self._assessed(snapshot, facts, quote)
                problems, unknown = await self._customers.looked_up(found.problems, snapshot)
                found = found.model_copy(update={"problems": problems, "unknown_customer": unknown})
            except NoApprover as nobody:
                raise refused(FailureType.REFUSED, str(nobody)) from nobody
            if facts is not None:
                self._second_look.remember(found.price_hash, facts.prices)
            won_at = accepted_at(quote) if quote.state is QuoteState.WON else None
            pinned = found.deal_policy.model_copy(update={"told": self._told})
            return found.model_copy(update={"state": snapshot.state, "accepted_at": won_at, "deal_policy": pinned})

    def _assessed(self, snapshot: QuoteSnapshot, facts: FinanceFacts | None, quote: sales.Quote) -> QuoteAssessment:
        calendar = business_hours(self._policy, snapshot.company, self._today(snapshot.company))
        return assess(
            snapshot, facts, self._policy, calendar=calendar, now=datetime.now(UTC), namesakes=quote.namesakes
        )

    @activity.defn(name="prepare_order")
    async def prepare_order(self, ask: ask_for.PrepareOrder) -> OrderReadiness:
        """Read the accepted quote, current prices and fresh credit facts, and ask the customer's ledger for credit."""
        with for_deal():
            approved = self._quotes.kept(ask.approved_hash)
            snapshot, quote = await self._quotes.read(ask.quote.quote_id)
            read = await self._read(snapshot, ask.customer_account, order_key=ask.order_number)
            ready = await self._ready(ask, approved, snapshot, quote, read)
            held = ready.blocked or (ready.look is not None and ready.look.verdict.holds)
            if ready.state != "won" or ready.differences or held:
                return ready
            today = self._today(ask.quote.company)
            group = await shared_credit(self._finance, read, ready.credit, self._policy, today)
            raised = raised_terms(snapshot, read.pricing, self._policy)
            return ready.model_copy(update={"decision": await self._reserve(ask, ready, group, raised)})

    @activity.defn(name="create_order")
    async def create_order(self, ask: ask_for.CreateOrder) -> ask_for.CreatedOrder:
        """Create the order with all its lines, or find and complete the one an earlier attempt began; confirm it."""
        with for_deal():
            snapshot = await self._quotes.approved(ask.quote, ask.approved_hash)
            wanted = wanted_order(snapshot, ask.order_number, ask.customer_account)
            if ask.given:
                order = await self._finance.orders.claim(wanted, ask.given)
                return created(snapshot, wanted, order, self._policy.tolerances.money)
            in_doubt = ask.probe or activity.info().attempt > 1
            if in_doubt:
                await self._look_twice(ask.quote.company, ask.order_number)
            if (too_old := self._too_old(ask.facts_as_of)) and not await self._is_there(ask):
                return _nothing_made(ask.order_number, too_old)
            absent = not in_doubt and _is_fresh(ask.absent_at)
            order = await self._finance.orders.create(wanted, in_doubt=in_doubt, absent=absent, progress=note_progress)
            made = created(snapshot, wanted, order, self._policy.tolerances.money)
            return await self._confirmed_at_once(ask, made) if ask.confirm else made

    async def _confirmed_at_once(self, ask: ask_for.CreateOrder, made: ask_for.CreatedOrder) -> ask_for.CreatedOrder:
        """The order with its confirmation. Where Finance gives none now, the order is as good as made: to confirm it is
        a step of its own then, which has its own tries, and says what is wrong.
        """
        confirm = ask_for.ConfirmOrder(
            company=ask.quote.company,
            order_number=made.order_number,
            release_reason=ask.release_reason,
        )
        try:
            return made.model_copy(update={"confirmation": await self._confirmed(confirm, in_doubt=made.found)})
        except (DynamicsError, ApplicationError) as error:
            activity.logger.info("order %s is made and not confirmed yet: %s", made.order_number, error)
            return made

    @activity.defn(name="confirm_order")
    async def confirm_order(self, ask: ask_for.ConfirmOrder) -> ask_for.Confirmation:
        """Post the confirmation; one that is posted is answered. A release reaches the order in either case."""
        with for_deal():
            return await self._confirmed(ask, in_doubt=ask.probe or activity.info().attempt > 1)

    async def _confirmed(self, ask: ask_for.ConfirmOrder, *, in_doubt: bool) -> ask_for.Confirmation:
        if in_doubt and not ask.release_reason:
            order = await self._finance.orders.read(ask.company, ask.order_number)
            if order is not None and order.header.processing is not ProcessingStatus.ACTIVE:
                beyond = _BEYOND.get(order.header.processing, "")
                return ask_for.Confirmation(confirmation_number=order.header.number, beyond=beyond)
        try:
            number = await self._finance.confirm_order(ask.company, ask.order_number, release_reason=ask.release_reason)
        except Refused as refusal:
            if await self._finance.in_credit_hold(ask.company, ask.order_number):
                raise refused(FailureType.CREDIT_HOLD, str(refusal), refusal) from refusal
            if beyond := await self._beyond_confirmation(ask):
                return ask_for.Confirmation(confirmation_number=ask.order_number, beyond=beyond)
            raise
        return ask_for.Confirmation(confirmation_number=number)

    async def _beyond_confirmation(self, ask: ask_for.ConfirmOrder) -> str:
        """What somebody did in Finance with the order meanwhile, so that nothing is left to confirm; else empty."""
        order = await self._finance.orders.read(ask.company, ask.order_number)
        return _BEYOND.get(order.header.processing, "") if order is not None else ""

    @activity.defn(name="read_billing")
    async def read_billing(self, ask: ask_for.BillingRef) -> Billing:
        """Read packing slips, invoices and what is open on them."""
        with for_deal():
            deposits_of = ask.order_number if ask.deposit else ""
            known = Known(ask.invoices, ask.records, ask.payments, ask.payments_told, deposits_of)
            read = await self._postings.read(ask.company, ask.order_number, known)
            approved = None
            if digest_of(order_lines(read.lines)) != ask.ordered:
                approved = approved_lines(await self._quotes.approved(ask.quote, ask.approved_hash))
            return billing(read, over_delivery_pct=ask.over_delivery_pct, approved=approved)

    @activity.defn(name="read_order_lines")
    async def read_order_lines(self, ask: OrderLinesRequest) -> OrderLines:
        """Read a page of an order's lines with what has become of each, for a person."""
        with for_deal():
            read = await self._postings.read(ask.company, ask.order_number)
            return lines_page(read, offset=ask.offset, limit=ask.limit)

    @activity.defn(name="review_lines")
    async def review_lines(self, ask: ReviewRequest) -> ReviewLines:
        """Read a page of a quote's lines with Finance's prices, for a person who decides."""
        with for_deal():
            today = self._today(ask.company)
            snapshot = self._quotes.kept(ask.snapshot_hash)
            if snapshot is None:
                snapshot, _ = await self._quotes.read(ask.quote_id)
                if ask.order_lines:
                    snapshot = resized(snapshot, {line.line_no: line.quantity for line in ask.order_lines})
            pricing = await self._finance.read_pricing(
                ask.company, snapshot.customer_account or "", _items(snapshot), snapshot.currency, today=today
            )
            rivals, attachments = (None, None) if ask.offset else await self._beside(snapshot)
            try:
                prices = finance_prices(snapshot, pricing, today=today)
            except (NoRate, TaxUnknown) as missing:
                raise refused(FailureType.REFUSED, str(missing)) from missing
            if problems := price_problems(snapshot, prices):
                raise refused(FailureType.REFUSED, "; ".join(p.message for p in problems[:5]))
            priced = price_quote(snapshot, prices, payment_days=payment_days(snapshot, pricing), on=today)
            return ReviewLines(
                snapshot_hash=snapshot.content_hash(),
                total_lines=len(priced.lines),
                offset=ask.offset,
                lines=priced.lines[ask.offset : ask.offset + ask.limit],
                justification=snapshot.justification,
                rivals=rivals,
                attachments=attachments,
            )

    async def _beside(
        self, snapshot: QuoteSnapshot
    ) -> tuple[tuple[RivalQuote, ...] | None, tuple[Attachment, ...] | None]:
        """The other quotes of the opportunity, and the quote's files."""
        return await asyncio.gather(
            _or_nothing(self._quotes.rivals(snapshot), "the opportunity's quotes"),
            _or_nothing(self._quotes.attachments(snapshot), "the quote's files"),
        )

    @activity.defn(name="preview_quote")
    async def preview_quote(self, ask: PreviewRequest) -> PreviewAnswer:
        """Say what would be found if a quote were submitted now; nothing is written anywhere."""
        with for_deal():
            quote_id = await self._quotes.find(ask.quote_number)
            if quote_id is None:
                return PreviewAnswer(preview=None)
            snapshot, quote = await self._quotes.read(quote_id)
            if snapshot.company != ask.company:
                return PreviewAnswer(preview=None)
            snapshot = await self._quotes.with_makers(snapshot, "")
            facts = await self._facts(snapshot)
            found = preview(snapshot, facts, self._policy, now=datetime.now(UTC), namesakes=quote.namesakes)
            problems, _ = await self._customers.looked_up(found.problems, snapshot)
            return PreviewAnswer(preview=found.model_copy(update={"problems": problems}))

    async def _reserve(
        self,
        ask: ask_for.PrepareOrder,
        ready: OrderReadiness,
        group: GroupCredit | None,
        raised: tuple[CreditReason, ...],
    ) -> CreditDecision:
        """Credit for the order, decided on the facts just read. Asking again replaces what was asked before."""
        answer = await self._credit.reserve_credit(
            ask_for.ReserveCredit(
                company=ask.quote.company,
                customer_account=ask.credit_account,
                deal_id=ask.deal_id,
                order_number=ask.order_number,
                amount=ready.credit_amount,
                facts=ready.credit,
                release=ask.release,
                raised=raised,
                group=group,
            )
        )
        if answer.decision is None:
            raise ApplicationError(f"read Finance again: {answer.stale}", type=FailureType.TRANSIENT)
        return answer.decision

    # --- reading ---------------------------------------------------------------------------------------------------

    async def _facts(self, snapshot: QuoteSnapshot) -> FinanceFacts | None:
        """What Finance says of a quote; None where the quote names no account to ask for."""
        if not snapshot.customer_account:
            return None
        read = await self._read(snapshot, snapshot.customer_account)
        return finance_facts(snapshot, read, self._policy, today=self._today(snapshot.company))

    async def _read(self, snapshot: QuoteSnapshot, account: str, *, order_key: str | None = None) -> CreditRead:
        return await self._finance.read_credit(
            snapshot.company,
            account,
            today=self._today(snapshot.company),
            currency=snapshot.currency,
            order_key=order_key,
            items=_items(snapshot),
            shared=order_key is not None,
        )

    def _today(self, company: str) -> date:
        return local_date(datetime.now(UTC), self._policy.calendar(company).timezone)

    # --- ordering --------------------------------------------------------------------------------------------------

    async def _ready(
        self,
        ask: ask_for.PrepareOrder,
        approved: QuoteSnapshot | None,
        snapshot: QuoteSnapshot,
        quote: sales.Quote,
        read: CreditRead,
    ) -> OrderReadiness:
        """What was read just before the order, compared with what was approved."""
        today = self._today(ask.quote.company)
        try:
            facts = credit_facts(read, self._policy, today=today)
            rate = self._policy.credit.tax_rate_pct.get(snapshot.company, Decimal(0))
            asked = finance_total(snapshot, read.tax, estimate_pct=rate)
            amount = credit_amount(asked, snapshot.currency, read.exchange)
            prices = finance_prices(snapshot, read.pricing, today=today) if read.pricing else {}
        except (NoRate, TaxUnknown) as missing:
            raise refused(FailureType.REFUSED, str(missing)) from missing
        if facts is None:
            raise refused(
                FailureType.NOT_FOUND,
                f"Finance company {ask.quote.company} has no customer {ask.customer_account} any more",
            )
        content = snapshot.content_hash()
        changed: tuple[str, ...] = ()
        if content != ask.approved_hash:
            changed = differences(approved, snapshot) if approved else ("the content is not the approved one",)
        seen = None
        if snapshot.state == "won" and not changed and read.pricing:
            seen = await self._second_look.take(ask, snapshot, quote, read.pricing, prices, today=today)
        unsold = seen.lines if seen else unsold_lines(snapshot.lines, prices)
        return OrderReadiness(
            snapshot_hash=content,
            state=snapshot.state,
            accepted_at=accepted_at(quote),
            total=snapshot.total,
            credit=facts,
            credit_amount=amount.within(facts.currency),
            price_hash=price_hash(prices),
            drift=unsold[:LINES_TOLD],
            blocked_lines=seen.blocked_lines if seen else len(unsold),
            look=seen,
            existing_order=read.own_order is not None,
            sales_order_id=snapshot.sales_order_id,
            more_sales_orders=tuple(order.number for order in quote.more_orders[:5]),
            differences=changed,
        )

    def _too_old(self, as_of: datetime | None) -> str:
        """Why no order may be begun on the facts credit was given on; empty where it may."""
        allowed = timedelta(seconds=self._policy.credit.freshness_seconds)
        if as_of is None or datetime.now(UTC) - as_of <= allowed:
            return ""
        return f"credit was given on facts of {as_of:%Y-%m-%d %H:%M:%S} UTC"

    async def _is_there(self, ask: ask_for.CreateOrder) -> bool:
        """Whether Finance has the order, or the beginning of it, which then is completed whatever became of credit."""
        return await self._finance.orders.find(ask.quote.company, ask.order_number) is not None

    async def _look_twice(self, company: str, order_key: str) -> None:
        """Give an order whose creation is in doubt time to appear, where no key refuses a second one.

        Where our key is the order's number Finance itself refuses a second one, and no pause is needed. `create` takes
        the second look.
        """
        if not self._finance.orders.numbers_automatically(company):
            return
        if await self._finance.orders.find(company, order_key) is None:
            await asyncio.sleep(self._probe_again)


def _nothing_made(order_number: str, too_old: str) -> ask_for.CreatedOrder:
    return ask_for.CreatedOrder(
        too_old=too_old, order_number=order_number, found=False, lines=LineTotals(), net=Decimal(0)
    )


def _is_fresh(absent_at: datetime | None) -> bool:
    """Whether an order was seen to be absent so lately that nobody can have made it since: only its deal would.

    A run that is reset in Temporal repeats its first try with what it read then, which is old by now.
    """
    return absent_at is not None and datetime.now(UTC) - absent_at < ABSENCE_HOLDS


async def _or_nothing(reading: Awaitable[Read], what: str) -> Read | None:
    """What Sales shows beside a quote's lines; None where it does not: a person reads the lines without it."""
    try:
        return await reading
    except DynamicsError as error:
        activity.logger.info("%s could not be read: %s", what, error)
        return None


def _items(snapshot: QuoteSnapshot) -> list[str]:
    return [line.item for line in snapshot.lines if line.item]


def _stale(quote: sales.Quote, ask: ask_for.AssessQuote, company: str | None) -> str:
    """Why a quote is not to be assessed any more; empty when it asks for approval, or went on without it."""
    if quote.state is QuoteState.CLOSED:
        return "the quote is closed"
    # One that went on in Sales meanwhile is assessed all the same: won without approval, it is somebody's business.
    shown = (quote.approval or ApprovalChoice.NONE).name.lower()
    # What the deal wrote of the request before hides the new one, which was told.
    asks = shown in ("requested", "pending") or shown == ask.marked_over
    if quote.state is QuoteState.DRAFT and not asks:
        return "the request for approval was taken back"
    if company != ask.quote.company:
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
