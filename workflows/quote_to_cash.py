"""The deal: a quote from its submission to the money, in one durable process.

``run`` reads as the business does, stage by stage. What may happen and what follows from it is said in
``domain.deal``; how a step is tried, waited for and parked in ``workflows.deal``; what people say in
``workflows.people``. Events of the two systems come as signals, each with an id: told twice, late or out of order,
they change nothing more than told once and in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.signatures import (
        AssessQuote,
        BillingRef,
        CloseQuote,
        Confirmation,
        ConfirmOrder,
        CreateOrder,
        CreditActivities,
        FinanceActivities,
        MarkQuote,
        PrepareOrder,
        RecordInvoice,
        RecordOrder,
        RecordPayment,
        RecordShipment,
        ReserveCredit,
        SalesActivities,
    )
    from domain import explain, facts
    from domain.approvals import ApprovalRequest, ApprovalState, ApprovalStatus
    from domain.assessment import CreditStatus
    from domain.credit_ledger import CreditAnswer
    from domain.deal_state import OrderStatus, QuoteStatus
    from domain.discount import request_expires_at
    from domain.facts import Fact
    from domain.fulfilment import ShippedTotal
    from domain.messages import (
        CreditRecheck,
        DealStart,
        FinanceEvent,
        FinanceEventKind,
        SalesEvent,
        SalesEventKind,
        Supersede,
    )
    from domain.money import format_money
    from domain.people import SYSTEM, Person
    from domain.refusals import Refusal
    from domain.views import DealView, Ending
    from runs import names
    from workflows.approval import Approval
    from workflows.deal import Ended
    from workflows.people import Hearing
    from workflows.steps import URGENT


SAFETY_LOOK = timedelta(hours=24)
"""How often a deal on its way to cash looks at Finance itself: the sweeps should have told it long before."""
CREDIT_LOOK = timedelta(hours=4)
"""How long a hold rests before credit is looked at again though nothing was heard (lifecycle: timers)."""


@workflow.defn(name=names.QUOTE_TO_CASH)
class QuoteToCash(Hearing):
    """One quote family of one company, from opportunity to payment."""

    @workflow.init
    def __init__(self, start: DealStart) -> None:
        """Make the state before the first message is handled."""
        super().__init__(start)
        self._expiry: asyncio.Task[None] | None = None
        self._safety: asyncio.Task[None] | None = None
        self._request: workflow.ChildWorkflowHandle[Approval, ApprovalState] | None = None

    @workflow.run
    async def run(self, start: DealStart) -> DealView:
        """Carry the deal through its seven stages.

        Returns:
            The deal as it ended.
        """
        people = asyncio.create_task(self._serve_people())
        try:
            await self._opportunity()
            await self._quote()
            await self._credit_check()
            await self._order()
            await self._fulfilment()
            await self._invoice()
            await self._payment()
        except Ended:
            pass
        await self._finish()
        await workflow.wait_condition(lambda: not self._messages)
        people.cancel()
        return explain.view(self._state)

    # Stage 1

    async def _opportunity(self) -> None:
        """Read the submitted quote: customer, opportunity, lines and prices are there and fit."""
        if self._state.assessment is None:
            await self._assess()

    # Stage 2

    async def _quote(self) -> None:
        """Approval where the matrix asks for it, then activation and acceptance, before the quote expires."""
        while not (self._state.accepted and self._state.approved_hash):
            quote = self._state.quote
            if quote is QuoteStatus.SUBMITTED or self._state.resubmitted:
                await self._assess()
            elif self._request is not None and (self._request.done() or quote is not QuoteStatus.PENDING_APPROVAL):
                await self._take_answer()
            elif quote is QuoteStatus.APPROVAL_DUE:
                await self._ask_for_approval()
            else:
                await self._until(self._quote_moved(quote))
        self._stop_expiry()

    def _quote_moved(self, before: QuoteStatus) -> Callable[[], bool]:
        return lambda: (
            self._state.quote is not before
            or self._state.resubmitted
            or self._state.accepted
            or (self._request is not None and self._request.done())
        )

    async def _assess(self) -> None:
        found = await self._step(
            FinanceActivities.assess_quote,
            AssessQuote(quote=self._quote_ref(), deal_id=workflow.info().workflow_id),
            queue=names.FINANCE_QUEUE,
            summary=f"Read, validate and price {self._state.quote_number} rev {self._state.revision}",
        )
        again = self._state.resubmitted
        if self._apply(facts.Assessed(assessment=found)) or self._state.ending:
            return
        if again and self._state.assessment is not found:
            return
        if found.problems:
            await self._mark("rejected", "\n".join(f"{p.field}: {p.message}" for p in found.problems))
        elif self._state.approved_hash:
            credit = found.soft_credit
            await self._mark("approved", "No approval needed", credit_passed=credit.passed if credit else None)
        self._watch_expiry()

    async def _ask_for_approval(self) -> None:
        """Open a request for approval as a workflow of its own, with its own row in the inbox."""
        found = self._state.assessment
        if found is None or found.plan is None or found.expires_at is None:
            raise AssertionError("an approval is due only after an assessment with a plan and an expiry")
        n = len(self._state.approvals) + 1
        request = ApprovalRequest(
            company=self._state.company,
            quote_number=self._state.quote_number,
            quote_id=self._state.quote_id,
            n=n,
            revision=found.revision,
            name=found.name,
            customer_account=found.customer_account,
            customer_name=found.customer_name,
            requester=found.owner,
            co_owner=found.submitted_by,
            currency=found.currency,
            net=found.net,
            tax=found.tax,
            total=found.total,
            list_net=found.list_net,
            discount_pct=found.discount_pct,
            margin_pct=found.margin_pct,
            line_count=found.line_count,
            snapshot_hash=found.snapshot_hash,
            credit_text=found.soft_credit.text if found.soft_credit else "",
            expires_at=request_expires_at(workflow.now(), found.expires_at, found.plan),
            plan=found.plan,
        )
        self._request = await workflow.start_child_workflow(
            Approval.run,
            request,
            id=names.approval_id(self._state.company, self._state.quote_number, n),
            task_queue=names.DEAL_QUEUE,
            static_summary=f"Approval of {self._state.quote_number} rev {found.revision}: "
            f"{found.discount_pct.normalize():f} % discount on {format_money(found.net, found.currency)}",
        )
        if not self._apply(facts.ApprovalAsked(n=n, plan=found.plan)):
            await self._mark("pending", f"Approval {n} requested")

    async def _take_answer(self) -> None:
        """Take the request's answer; where the quote moved on without it, end the request first."""
        request = self._request
        if request is None:
            return
        if not request.done():
            try:
                await request.signal(Approval.supersede, self._supersede())
            except ApplicationError as error:  # it ended at this very moment: its answer is on the way
                workflow.logger.info("the request for approval has ended: %s", error)
        result = await request
        self._request = None
        n = result.request.n
        asked = self._state.quote is QuoteStatus.PENDING_APPROVAL
        self._apply(facts.ApprovalEnded(n=n, result=result), actor=self._decider(result))
        if asked and self._state.quote is QuoteStatus.REJECTED:
            await self._mark("rejected", self._state.approval_text)
        elif asked and self._state.approved_hash:
            credit = self._state.assessment.soft_credit if self._state.assessment else None
            await self._mark("approved", self._state.approval_text, credit_passed=credit.passed if credit else None)

    def _supersede(self) -> Supersede:
        status = {
            QuoteStatus.EXPIRED: ApprovalStatus.EXPIRED,
            QuoteStatus.SUPERSEDED: ApprovalStatus.SUPERSEDED,
            QuoteStatus.SUBMITTED: ApprovalStatus.SUPERSEDED,
            QuoteStatus.PENDING_APPROVAL: ApprovalStatus.SUPERSEDED,
        }.get(self._state.quote, ApprovalStatus.WITHDRAWN)
        by_revision = self._state.revision if status is ApprovalStatus.SUPERSEDED else None
        return Supersede(
            message_id=str(workflow.uuid4()),
            status=status,
            reason=f"the quote is {self._state.quote}",
            by_revision=by_revision,
        )

    def _decider(self, result: ApprovalState) -> Person:
        decided = [step for step in result.steps if step.decided_by and step.decided_at]
        latest = max(decided, key=lambda step: step.decided_at or self._state.started_at, default=None)
        return latest.decided_by if latest and latest.decided_by else SYSTEM

    async def _mark(self, status: str, reason: str, *, credit_passed: bool | None = None) -> None:
        credit = None if credit_passed is None else "passed" if credit_passed else "held"
        await self._step(
            SalesActivities.mark_quote,
            MarkQuote(
                quote=self._quote_ref(),
                approval_status=status,
                reason=reason[:4_000],
                deal_id=workflow.info().workflow_id,
                credit_status=credit,
            ),
            queue=names.DATAVERSE_QUEUE,
            summary=f"Tell Sales: {status}",
            skippable=True,
        )

    def _watch_expiry(self) -> None:
        self._stop_expiry()
        expires_at = self._state.assessment.expires_at if self._state.assessment else None
        if expires_at is not None:
            self._expiry = asyncio.create_task(self._expire(expires_at))

    def _stop_expiry(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    async def _expire(self, expires_at: datetime) -> None:
        await workflow.sleep(
            max(expires_at - workflow.now(), timedelta(0)),
            summary=f"Quote valid until {expires_at:%Y-%m-%d %H:%M} UTC",
        )
        self._apply(facts.ExpiryReached())

    # Stage 3

    async def _credit_check(self) -> None:
        """Decide credit on fresh Finance data, one deal of a customer at a time; wait while it is held."""
        self._recheck = True
        while not self._state.may_order and self._state.order is OrderStatus.NONE:
            if not self._recheck:
                await self._until(lambda: self._recheck, patience=CREDIT_LOOK, what="Look at credit again")
            self._recheck = False
            await self._decide_credit()

    async def _decide_credit(self) -> None:
        state = self._state
        found = self._found()
        number = self._order_number()
        ready = await self._step(
            FinanceActivities.prepare_order,
            PrepareOrder(
                quote=self._quote_ref(),
                approved_hash=state.approved_hash,
                price_hash=found.price_hash,
                order_number=number,
                customer_account=found.customer_account,
            ),
            queue=names.FINANCE_QUEUE,
            summary="Read the accepted quote, prices and credit",
            priority=URGENT,
        )
        if self._apply(facts.Prepared(readiness=ready)):
            await self._park(
                "The accepted quote is not what was approved",
                "prepare_order",
                "HashMismatch",
                "; ".join(ready.differences) or "The content differs from the approved content",
            )
            self._recheck = True
            return
        blocked = [drift for drift in ready.drift if drift.blocked]
        if blocked:
            items = ", ".join(drift.item for drift in blocked)
            await self._park("A product can no longer be sold", "prepare_order", "PriceDrift", f"Blocked: {items}")
            self._recheck = True
            return
        answer: CreditAnswer = await self._step(
            CreditActivities.reserve_credit,
            ReserveCredit(
                company=state.company,
                customer_account=found.customer_account,
                deal_id=workflow.info().workflow_id,
                order_number=number,
                amount=ready.total,
                facts=ready.credit,
                release=self._state.release,
            ),
            queue=names.DEAL_QUEUE,
            summary=f"Reserve {format_money(ready.total, found.currency)} of credit",
            priority=URGENT,
        )
        if answer.decision is None:
            self._recheck = True  # the facts were too old when their turn came: read Finance again
        else:
            self._apply(facts.CreditDecided(decision=answer.decision))

    # Stage 4

    async def _order(self) -> None:
        """Create the order in Finance once, confirm it, and show it in Sales."""
        found = self._found()
        if self._state.order is OrderStatus.NONE:
            self._apply(facts.OrderStarted(order_number=self._order_number()))
            self._publish()
        if self._state.order is OrderStatus.CREATING:
            created = await self._step(
                FinanceActivities.create_order,
                CreateOrder(
                    quote=self._quote_ref(),
                    approved_hash=self._state.approved_hash,
                    order_number=self._state.order_number,
                    customer_account=found.customer_account,
                ),
                queue=names.FINANCE_QUEUE,
                summary=f"Create order {self._state.order_number}",
            )
            self._apply(
                facts.OrderCreated(
                    order_number=created.order_number,
                    lines=created.lines,
                    net=created.net,
                    rounding_difference=created.rounding_difference,
                )
            )
        await self._confirm()
        if not self._state.sales_order_id:
            recorded = await self._step(
                SalesActivities.record_order,
                RecordOrder(
                    quote=self._quote_ref(),
                    sales_order_id=None,
                    order_number=self._state.order_number,
                    opportunity_id=found.opportunity_id,
                    revenue=found.net,
                    credit_status=self._state.credit,
                ),
                queue=names.DATAVERSE_QUEUE,
                summary=f"Show order {self._state.order_number} in Sales, win the opportunity",
            )
            self._apply(facts.OrderRecorded(sales_order_id=recorded.sales_order_id))

    async def _confirm(self) -> None:
        while self._state.order is OrderStatus.CREATED:
            confirmation: Confirmation = await self._step(
                FinanceActivities.confirm_order,
                ConfirmOrder(
                    company=self._state.company,
                    order_number=self._state.order_number,
                    release_reason=self._state.release.comment if self._state.release else "",
                ),
                queue=names.FINANCE_QUEUE,
                summary=f"Confirm order {self._state.order_number}",
            )
            self._apply(facts.OrderConfirmed(confirmation_number=confirmation.confirmation_number))
            await self._tell_ledger(names.ORDER_VISIBLE)

    # Stages 5 to 7

    async def _fulfilment(self) -> None:
        """Follow the packing slips until everything is shipped."""
        self._safety = asyncio.create_task(self._look_now_and_then())
        await self._follow(lambda: self._state.all_shipped)

    async def _invoice(self) -> None:
        """Follow the invoices until everything is invoiced."""
        await self._follow(lambda: self._state.all_invoiced)

    async def _payment(self) -> None:
        """Follow the payments until nothing is open and Sales shows it."""
        await self._follow(lambda: self._state.settled)

    async def _follow(self, done: Callable[[], bool]) -> None:
        """Read what Finance posted and show it in Sales, in whatever order it comes, until ``done``."""
        while not done():
            state = self._state
            if state.billing_unread:
                await self._read_billing()
            elif state.unrecorded_slips:
                await self._record_shipment()
            elif state.unrecorded_invoices:
                await self._record_invoices()
            elif state.unrecorded_payments:
                await self._record_payments()
            else:
                await self._until(lambda: self._work_due() or done())

    async def _look_now_and_then(self) -> None:
        """One long timer for the whole way from order to cash, should every event and every sweep have been missed."""
        while True:
            await workflow.sleep(SAFETY_LOOK, summary="Look at Finance, should no event come")
            self._apply(facts.BillingChanged(document="look", text="a day has passed: looking at Finance"))

    def _work_due(self) -> bool:
        state = self._state
        return bool(
            state.billing_unread or state.unrecorded_slips or state.unrecorded_invoices or state.unrecorded_payments
        )

    async def _read_billing(self) -> None:
        unread = self._state.billing_unread
        billing = await self._step(
            FinanceActivities.read_billing,
            BillingRef(
                company=self._state.company,
                order_number=self._state.order_number,
                customer_account=self._state.assessment.customer_account if self._state.assessment else "",
            ),
            queue=names.FINANCE_QUEUE,
            summary="Read invoices and settlements",
        )
        self._apply(facts.BillingRead(billing=billing, covers=unread))

    async def _record_shipment(self) -> None:
        state = self._state
        slips = state.unrecorded_slips
        await self._step(
            SalesActivities.record_shipment,
            RecordShipment(
                sales_order_id=state.sales_order_id,
                shipped=tuple(ShippedTotal(line_no=line.line_no, shipped=line.shipped) for line in state.ledger),
                complete=state.all_shipped,
                slips=slips,
            ),
            queue=names.DATAVERSE_QUEUE,
            summary=f"Show packing slip {', '.join(slips)} in Sales",
            skippable=True,
        )
        self._apply(facts.ShipmentRecorded(slips=slips))

    async def _record_invoices(self) -> None:
        state = self._state
        invoices = state.unrecorded_invoices
        found = state.assessment
        await self._step(
            SalesActivities.record_invoice,
            RecordInvoice(
                sales_order_id=state.sales_order_id,
                quote_id=state.quote_id,
                customer_account=found.customer_account if found else "",
                order_number=state.order_number,
                invoices=invoices,
                order_invoiced=state.all_invoiced,
            ),
            queue=names.DATAVERSE_QUEUE,
            summary=f"Show invoice {', '.join(i.invoice_number for i in invoices)} in Sales",
            skippable=True,
        )
        self._apply(
            facts.InvoicesRecorded(
                numbers=tuple(i.invoice_number for i in invoices),
                open_amounts={i.invoice_number: i.open_amount for i in invoices},
            )
        )

    async def _record_payments(self) -> None:
        state = self._state
        invoices = state.unrecorded_payments
        await self._step(
            SalesActivities.record_payment,
            RecordPayment(
                sales_order_id=state.sales_order_id,
                invoices=invoices,
                order_paid=state.all_invoiced and state.all_paid,
            ),
            queue=names.DATAVERSE_QUEUE,
            summary=f"Show what is open on {', '.join(i.invoice_number for i in invoices)} in Sales",
            skippable=True,
        )
        self._apply(facts.PaymentsRecorded(open_amounts={i.invoice_number: i.open_amount for i in invoices}))

    def _at_rest(self) -> bool:
        """A child does not outlive its parent's run, so its answer comes first; and so do people's messages."""
        return self._request is None and not self._messages

    # The end

    async def _finish(self) -> None:
        """Leave both systems as the ending says, and give back credit that was reserved."""
        self._stop_expiry()
        if self._safety is not None:
            self._safety.cancel()
        await self._take_answer()
        state = self._state
        if state.ending is Ending.EXPIRED:
            await self._step(
                SalesActivities.close_quote,
                CloseQuote(quote=self._quote_ref(), reason="expired", text="The quote expired"),
                queue=names.DATAVERSE_QUEUE,
                summary="Close the expired quote in Sales",
                skippable=True,
            )
        if state.credit_checks and state.ending is not Ending.CLOSED:
            await self._tell_ledger(names.RELEASE)
        self._publish()

    # What the two systems say

    @workflow.signal(name=names.SALES_EVENT, description="Something happened to the quote in Sales")
    def sales_event(self, event: SalesEvent) -> None:
        """Take an event of Dynamics 365 Sales."""
        actor = Person(oid=event.actor, name="Sales")
        fact = _SALES_FACTS[event.kind](event)
        self._apply(fact, event_id=event.event_id, actor=actor, at=event.occurred_at)

    @workflow.signal(name=names.FINANCE_EVENT, description="Something was posted in Finance")
    def finance_event(self, event: FinanceEvent) -> None:
        """Take an event of Dynamics 365 Finance; one that says nothing of this deal is counted and ignored."""
        fact = _finance_fact(event)
        if fact is None:
            self._tally["ignored"] = self._tally.get("ignored", 0) + 1
            return
        self._apply(fact, event_id=event.event_id, actor=Person(oid="finance", name="Finance"))

    @workflow.signal(name=names.CREDIT_RECHECK, description="The ledger: credit may have become free")
    def credit_recheck(self, message: CreditRecheck) -> None:
        """Look at credit again, where it is held."""
        if self._state.credit is CreditStatus.HELD:
            self._recheck = True


_SALES_FACTS: dict[SalesEventKind, Callable[[SalesEvent], Fact]] = {
    SalesEventKind.SUBMITTED: lambda e: facts.Submitted(revision=e.revision, quote_id=e.quote_id),
    SalesEventKind.ACTIVATED: lambda e: facts.Activated(revision=e.revision),
    SalesEventKind.ACCEPTED: lambda e: facts.Accepted(revision=e.revision, at=e.occurred_at),
    SalesEventKind.REVISED: lambda e: facts.Revised(revision=e.revision),
    SalesEventKind.LOST: lambda e: facts.QuoteLost(reason="the quote was closed as lost in Sales"),
    SalesEventKind.CANCELLED: lambda e: facts.QuoteCancelled(reason="the quote was closed as cancelled in Sales"),
    SalesEventKind.WITHDRAWN: lambda e: facts.Withdrawn(revision=e.revision, reason="withdrawn in Sales"),
    SalesEventKind.OPPORTUNITY_LOST: lambda e: facts.QuoteLost(reason="the opportunity was lost"),
    SalesEventKind.OPPORTUNITY_REOPENED: lambda e: _written_down(e, "the opportunity was reopened in Sales"),
    SalesEventKind.ORDER_CANCELLED: lambda e: _written_down(e, "the order was cancelled in Sales"),
    SalesEventKind.DELETED: lambda e: facts.QuoteCancelled(reason="the quote was deleted in Sales"),
}


def _written_down(event: SalesEvent, what: str) -> Fact:
    return facts.Refused(message_id=event.event_id, what=event.kind, code=Refusal.ILLEGAL_TRANSITION, detail=what)


def _finance_fact(event: FinanceEvent) -> Fact | None:
    match event.kind:
        case FinanceEventKind.SHIPMENT_POSTED:
            return facts.ShipmentPosted(slip=event.document, lines=event.lines)
        case FinanceEventKind.INVOICE_POSTED:
            return facts.BillingChanged(document=event.event_id, text=f"invoice {event.document} posted in Finance")
        case FinanceEventKind.PAYMENT_POSTED:
            return facts.BillingChanged(document=event.event_id, text=f"payment {event.document} posted in Finance")
        case FinanceEventKind.PAYMENT_REVERSED:
            return facts.BillingChanged(document=event.event_id, text=f"payment {event.document} reversed in Finance")
        case _:
            return None
