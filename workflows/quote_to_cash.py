"""The deal: a quote from its submission to the money, in one durable process.

``run`` reads as the business does, stage by stage. What may happen and what follows from it is said in
``domain.case``; how a step is tried, waited for and parked in ``workflows.steps``. Events of the two systems and
commands of people come as signals, each with an id; a message never harms a run: it is applied, or refused with a
code and written down.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from decimal import Decimal

    from temporalio.common import Priority

    from activities.signatures import (
        AssessQuote,
        BillingRef,
        CloseQuote,
        Confirmation,
        ConfirmOrder,
        CreateOrder,
        CreditActivities,
        CreditAnswer,
        FinanceActivities,
        MarkQuote,
        PrepareOrder,
        QuoteRef,
        RecordInvoice,
        RecordOrder,
        RecordPayment,
        RecordShipment,
        ReserveCredit,
        SalesActivities,
    )
    from domain import explain, facts, names
    from domain.approvals import ApprovalRequest, ApprovalState, ApprovalStatus
    from domain.assessment import CreditStatus, QuoteAssessment
    from domain.case import CaseState, OrderStatus, QuoteStatus, apply
    from domain.credit import ReleaseToken
    from domain.facts import Event, Fact
    from domain.fulfilment import ShippedTotal
    from domain.messages import (
        COMMAND_ROLES,
        CaseStart,
        CommandName,
        CreditRecheck,
        FinanceEvent,
        FinanceEventKind,
        LedgerNote,
        Outcome,
        SalesEvent,
        SalesEventKind,
        SignedMessage,
        Supersede,
        VerifiedMessage,
    )
    from domain.order_key import order_key
    from domain.quote import Person
    from domain.views import CaseView, Ending, Explanation, ParkedStep, TimelineEntry
    from workflows import attributes
    from workflows.approval import Approval
    from workflows.proof import verify
    from workflows.steps import LOOK_AGAIN, NORMAL, SUGGESTIONS, URGENT, WAIT_FOR, Argument, attempt, cause_of

SAFETY_LOOK = timedelta(hours=24)
"""How long a deal waits for an event before it looks itself: the sweeps should have told it long before."""
CREDIT_LOOK = timedelta(hours=4)
"""How long a hold rests before credit is looked at again though nothing was heard (lifecycle: timers)."""
KEPT = 500
"""Audit records and outcomes kept in the running state; older ones are in the history."""
SYSTEM = Person(oid="system", name="Quote to Cash")


class _Ended(Exception):
    """The deal has come to an end while a stage was waiting."""


@workflow.defn(name=names.QUOTE_TO_CASH)
class QuoteToCash:
    """One quote family of one company, from opportunity to payment."""

    @workflow.init
    def __init__(self, start: CaseStart) -> None:
        """Make the state before the first message is handled."""
        now = workflow.now()
        checkpoint = start.checkpoint or {}
        self._state = (
            CaseState.model_validate(checkpoint["state"])
            if checkpoint
            else CaseState(
                company=start.company,
                quote_number=start.quote_number,
                quote_id=start.quote_id,
                revision=start.revision,
                started_at=now,
                updated_at=now,
                waiting_since=now,
                seen=(start.event.event_id,) if start.event else (),
            )
        )
        self._timeline = [TimelineEntry.model_validate(entry) for entry in checkpoint.get("timeline", [])]
        self._outcomes = {o["message_id"]: Outcome.model_validate(o) for o in checkpoint.get("outcomes", [])}
        self._tally: dict[str, int] = dict(checkpoint.get("tally", {}))
        self._published = attributes.Published()
        self._messages: list[SignedMessage] = []
        self._resolution: VerifiedMessage | None = None
        self._recheck = False
        self._expiry: asyncio.Task[None] | None = None
        self._request: workflow.ChildWorkflowHandle[Approval, ApprovalState] | None = None
        workflow.set_current_details(explain.details(self._state))

    @workflow.run
    async def run(self, start: CaseStart) -> CaseView:
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
        except _Ended:
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
            AssessQuote(quote=self._quote_ref(), case_id=workflow.info().workflow_id),
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
            expires_at=found.expires_at,
            plan=found.plan,
        )
        self._apply(facts.ApprovalAsked(n=n, plan=found.plan))
        self._request = await workflow.start_child_workflow(
            Approval.run,
            request,
            id=names.approval_id(self._state.company, self._state.quote_number, n),
            task_queue=names.CASE_QUEUE,
            static_summary=f"Approval of **{self._state.quote_number}** rev {found.revision}: "
            f"{found.discount_pct.normalize():f} % discount on {found.net:,} {found.currency}",
        )
        await self._mark("pending", f"Approval {n} requested")

    async def _take_answer(self) -> None:
        """Take the request's answer; where the quote moved on without it, end the request first."""
        request = self._request
        if request is None:
            return
        if not request.done():
            await request.signal(Approval.supersede, self._supersede())
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
                case_id=workflow.info().workflow_id,
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
                case_id=workflow.info().workflow_id,
                order_number=number,
                amount=ready.total,
                facts=ready.credit,
                release=self._state.release,
                attempt=self._state.credit_checks,
            ),
            queue=names.CASE_QUEUE,
            summary=f"Reserve {ready.total:,} {found.currency} of credit",
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
                await self._until(
                    lambda: self._work_due() or done(), patience=SAFETY_LOOK, what="Look at Finance", look=True
                )

    def _work_due(self) -> bool:
        state = self._state
        return bool(
            state.billing_unread or state.unrecorded_slips or state.unrecorded_invoices or state.unrecorded_payments
        )

    async def _read_billing(self) -> None:
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
        self._apply(facts.BillingRead(billing=billing))

    async def _record_shipment(self) -> None:
        state = self._state
        slips = state.unrecorded_slips
        await self._step(
            SalesActivities.record_shipment,
            RecordShipment(
                sales_order_id=state.sales_order_id,
                shipped=tuple(ShippedTotal(line_no=n, shipped=q) for n, q in sorted(state.shipped.items())),
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

    # The end

    async def _finish(self) -> None:
        """Leave both systems as the ending says, and give back credit that was reserved."""
        self._stop_expiry()
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

    # What every stage uses

    def _apply(self, fact: Fact, *, event_id: str = "", actor: Person = SYSTEM, at: datetime | None = None) -> str:
        """Put a fact to the state; the refusal code, empty where it was taken."""
        event = Event(event_id=event_id, at=at or workflow.now(), actor=actor, fact=fact)
        transition = apply(self._state, event, self._state.policy)
        self._state = transition.state
        if event_id:
            kind = {"": "applied", "DUPLICATE": "duplicate", "STALE": "stale"}.get(transition.code, "refused")
            self._tally[kind] = self._tally.get(kind, 0) + 1
        if transition.audit is not None:
            self._timeline = [*self._timeline, transition.audit][-KEPT:]
            workflow.logger.info(
                transition.audit.text,
                extra={
                    "company": self._state.company,
                    "quote": self._state.quote_number,
                    "event": transition.audit.event,
                    "code": transition.code,
                    "stage": str(self._state.stage),
                },
            )
            meter = workflow.metric_meter()
            meter.create_counter("q2c_transitions", "Transitions of deals, and refusals by code").add(
                1, {"stage": str(self._state.stage), "event": transition.audit.event, "code": transition.code}
            )
        workflow.set_current_details(explain.details(self._state))
        return transition.code

    async def _until(
        self,
        condition: Callable[[], bool],
        *,
        patience: timedelta | None = None,
        what: str = "",
        look: bool = False,
    ) -> None:
        """Wait for ``condition``, at most for ``patience``; then go on, with a look at Finance if ``look``.

        Raises:
            _Ended: the deal came to its end meanwhile.
        """
        self._publish()
        if workflow.info().is_continue_as_new_suggested():
            await self._continue_as_new()
        try:
            await workflow.wait_condition(
                lambda: condition() or bool(self._state.ending), timeout=patience, timeout_summary=what or None
            )
        except TimeoutError:
            if look:
                self._apply(facts.BillingChanged(document="look", text="nothing heard for a while: looking at Finance"))
            else:
                self._recheck = True
        if self._state.ending:
            raise _Ended

    async def _continue_as_new(self) -> None:
        if self._request is not None:
            return  # a child does not outlive its parent's run: its answer comes first
        await workflow.wait_condition(lambda: not self._messages)
        workflow.continue_as_new(
            CaseStart(
                company=self._state.company,
                quote_number=self._state.quote_number,
                quote_id=self._state.quote_id,
                revision=self._state.revision,
                checkpoint={
                    "state": self._state.model_dump(mode="json"),
                    "timeline": [entry.model_dump(mode="json") for entry in self._timeline],
                    "outcomes": [outcome.model_dump(mode="json") for outcome in self._outcomes.values()],
                    "tally": self._tally,
                },
            )
        )

    async def _step(
        self,
        activity: Callable[[Any, Argument], Any],
        argument: Argument,
        *,
        queue: str,
        summary: str,
        priority: Priority = NORMAL,
        skippable: bool = False,
    ) -> Any:
        """Run an activity until it succeeds: waiting for a system that is away, parking what only a person can mend.

        Raises:
            _Ended: a person aborted the deal.
        """
        name = activity.__name__
        while True:
            try:
                result = await attempt(activity, argument, queue=queue, summary=summary, priority=priority)
            except ActivityError as error:
                if is_cancelled_exception(error):
                    raise
                cause, message = cause_of(error)
                if isinstance(argument, CreateOrder):
                    argument = argument.model_copy(update={"probe": True})
                if cause in WAIT_FOR:
                    await self._wait_for(queue, message)
                elif await self._park(summary, name, cause, message, skippable=skippable) == CommandName.SKIP:
                    return None
            else:
                if self._state.outage:
                    self._apply(facts.Reachable(system=self._state.outage.system))
                return result

    async def _wait_for(self, queue: str, message: str) -> None:
        system = {names.FINANCE_QUEUE: "Finance", names.DATAVERSE_QUEUE: "Sales"}.get(queue, "Temporal")
        if self._state.outage is None:
            self._apply(facts.Unreachable(system=system, since=workflow.now(), message=message))
        self._publish()
        await workflow.sleep(LOOK_AGAIN, summary=f"Waiting for {system}")

    async def _park(self, step: str, activity: str, cause: str, message: str, *, skippable: bool = False) -> str:
        """Wait until a person says how to go on: the command, retry or skip.

        Raises:
            _Ended: the person aborted the deal.
        """
        now = workflow.now()
        parked = ParkedStep(
            step=step,
            activity=activity,
            cause=cause,
            message=message,
            suggestion=SUGGESTIONS.get(cause, "Mend what the message names, then retry"),
            since=now,
            failures=0,
            can_skip=skippable,
        )
        self._apply(facts.StepParked(parked=parked))
        workflow.metric_meter().create_counter("q2c_parked", "Steps that wait for a person").add(1, {"cause": cause})
        self._publish()
        self._resolution = None
        await workflow.wait_condition(lambda: self._resolution is not None or bool(self._state.ending))
        resolution, self._resolution = self._resolution, None
        if resolution is None or self._state.ending:
            raise _Ended
        self._publish()
        return resolution.name

    async def _tell_ledger(self, signal: str) -> None:
        if self._state.assessment is None:
            return
        handle = workflow.get_external_workflow_handle(
            names.ledger_id(self._state.company, self._state.assessment.customer_account)
        )
        try:
            await handle.signal(signal, LedgerNote(case_id=workflow.info().workflow_id, at=workflow.now()))
        except ApplicationError as error:  # no ledger runs: then nothing is reserved there either
            workflow.logger.info("the customer's ledger does not run: %s", error)

    def _publish(self) -> None:
        state = self._state
        now = explain.explain(state)
        found = state.assessment
        error = state.parked.cause if state.parked else None
        self._published.publish(
            {
                attributes.STAGE: str(state.stage),
                attributes.WAITING_FOR: str(now.waiting_for),
                attributes.CUSTOMER: found.customer_account if found and found.customer_account else None,
                attributes.AMOUNT: attributes.amount(found.total) if found else None,
                attributes.ORDER: state.order_number or None,
                attributes.ERROR: error,
            }
        )

    def _found(self) -> QuoteAssessment:
        if self._state.assessment is None:
            raise AssertionError("credit and order come after the assessment")
        return self._state.assessment

    def _quote_ref(self) -> QuoteRef:
        state = self._state
        return QuoteRef(
            company=state.company, quote_number=state.quote_number, quote_id=state.quote_id, revision=state.revision
        )

    def _order_number(self) -> str:
        state = self._state
        return order_key(workflow.info().namespace, state.company, state.quote_number, state.revision)

    # What is said to the deal

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

    @workflow.signal(name=names.COMMAND, description="A signed command of a person: retry, skip, abort, cancel, …")
    def command(self, message: SignedMessage) -> None:
        """Take a signed command; its outcome is read back by the query ``outcome``."""
        self._messages.append(message)

    @workflow.signal(name=names.DECIDE, description="A decision that came after its request had ended")
    def decide(self, message: SignedMessage) -> None:
        """Write down a decision that came too late; it changes nothing."""
        self._messages.append(message)

    @workflow.signal(name=names.CREDIT_RECHECK, description="The ledger: credit may have become free")
    def credit_recheck(self, message: CreditRecheck) -> None:
        """Look at credit again, where it is held."""
        if self._state.credit is CreditStatus.HELD:
            self._recheck = True

    async def _serve_people(self) -> None:
        while True:
            await workflow.wait_condition(lambda: bool(self._messages))
            message = self._messages[0]
            if message.message_id not in self._outcomes:
                self._settle(await self._hear(message))
            self._messages.pop(0)

    def _settle(self, outcome: Outcome) -> None:
        self._outcomes[outcome.message_id] = outcome
        while len(self._outcomes) > KEPT:
            self._outcomes.pop(next(iter(self._outcomes)))

    async def _hear(self, message: SignedMessage) -> Outcome:
        said = await verify(message, audiences=self._audiences())
        person = Person(oid=said.actor.id, name=said.actor.name)
        if said.refused:
            return self._refuse(said, person, "UNAUTHENTICATED", said.refused)
        if said.name == names.DECIDE:
            ended = self._state.approvals[-1] if self._state.approvals else None
            code = _LATE.get(ended.status, "ALREADY_DECIDED") if ended else "NOT_ASSIGNED"
            return self._refuse(said, person, code, ended.text if ended else "no approval was asked")
        try:
            name = CommandName(said.name)
        except ValueError:
            return self._refuse(said, person, "UNKNOWN_COMMAND", said.name)
        if not any(said.actor.has_role(role, self._state.company) for role in COMMAND_ROLES[name]):
            return self._refuse(said, person, "NO_AUTHORITY", f"needs one of {', '.join(COMMAND_ROLES[name])}")
        code = self._command(name, said, person)
        if code:
            return Outcome(message_id=said.message_id, accepted=False, code=code, detail=self._timeline[-1].text)
        return Outcome(message_id=said.message_id, accepted=True)

    def _audiences(self) -> tuple[str, ...]:
        state = self._state
        requests = (names.approval_id(state.company, state.quote_number, a.n) for a in state.approvals)
        return (workflow.info().workflow_id, *requests)

    def _refuse(self, said: VerifiedMessage, person: Person, code: str, detail: str) -> Outcome:
        what = said.name or "message"
        self._apply(
            facts.Refused(message_id=said.message_id, what=what, code=code, detail=detail),
            event_id=said.message_id,
            actor=person,
        )
        return Outcome(message_id=said.message_id, accepted=False, code=code, detail=detail)

    def _command(self, name: CommandName, said: VerifiedMessage, person: Person) -> str:
        reason = str(said.args.get("reason", ""))
        put = _Command(self, said.message_id, person)
        match name:
            case CommandName.RETRY | CommandName.SKIP | CommandName.ABORT:
                if name is CommandName.SKIP and self._state.parked and not self._state.parked.can_skip:
                    refusal = facts.Refused(
                        message_id=said.message_id, what="skip", code="CANNOT_SKIP", detail="this step must be done"
                    )
                    return put(refusal)
                code = put(facts.StepResumed(action=name, reason=reason))
                self._resolution = said if not code else None
                return code
            case CommandName.WITHDRAW:
                return put(facts.Withdrawn(revision=self._state.revision, reason=reason))
            case CommandName.CANCEL:
                return put(facts.QuoteCancelled(reason=reason))
            case CommandName.CREDIT_REJECT:
                return put(facts.CreditRejected(reason=reason))
            case CommandName.CREDIT_RELEASE:
                code = self._release(said, person, put)
                self._recheck = self._recheck or not code
                return code
            case CommandName.CREDIT_RECHECK:
                self._recheck = self._state.credit is CreditStatus.HELD
                return (
                    ""
                    if self._recheck
                    else put(
                        facts.Refused(
                            message_id=said.message_id, what=name, code="NOT_HELD", detail="credit is not held"
                        )
                    )
                )

    def _release(self, said: VerifiedMessage, person: Person, put: "_Command") -> str:
        state, policy = self._state, self._state.policy
        held = state.credit_decision
        try:
            until = said.args.get("valid_until")
            default_end = workflow.now() + timedelta(days=policy.release_valid_days)
            release = ReleaseToken(
                case_id=workflow.info().workflow_id,
                ceiling=Decimal(str(said.args.get("ceiling") or (held.this_order if held else 0))),
                deviation_pct=Decimal(str(said.args.get("deviation_pct") or policy.release_deviation_pct)),
                valid_until=_moment(str(until))
                if until
                else workflow.now() + timedelta(days=policy.release_valid_days),
                reasons=tuple(reason.code for reason in held.reasons) if held else (),
                released_by=person,
                comment=str(said.args.get("reason") or ""),
            )
        except (ValueError, ArithmeticError) as error:
            return put(
                facts.Refused(
                    message_id=said.message_id, what="credit_release", code="BAD_ARGUMENTS", detail=str(error)
                )
            )
        return put(facts.CreditReleased(release=release))

    # What the deal answers

    @workflow.query(name=names.STATE, description="The deal as it stands")
    def state(self) -> CaseView:
        """The deal as it stands."""
        return explain.view(self._state)

    @workflow.query(name=names.TIMELINE, description="Every transition and refusal: who, when, what, why")
    def timeline(self) -> list[TimelineEntry]:
        """Audit records, oldest first."""
        return self._timeline

    @workflow.query(name=names.EXPLAIN, description="Why the deal waits and what would unblock it")
    def explanation(self) -> Explanation:
        """Why the deal waits and what would unblock it."""
        return explain.explain(self._state)

    @workflow.query(name=names.OUTCOME, description="What became of a message, by its id")
    def outcome(self, message_id: str) -> Outcome | None:
        """What became of a message; None while it is not known."""
        return self._outcomes.get(message_id)

    @workflow.query(name="tally", description="Events received: applied, stale, duplicate, refused, ignored")
    def tally(self) -> dict[str, int]:
        """How many events were applied, stale, duplicate, refused or ignored."""
        return self._tally


class _Command:
    """Puts a person's fact to the deal under the message's id."""

    def __init__(self, case: QuoteToCash, message_id: str, person: Person) -> None:
        self._case, self._message_id, self._person = case, message_id, person

    def __call__(self, fact: Fact) -> str:
        return self._case._apply(fact, event_id=self._message_id, actor=self._person)


_LATE = {
    ApprovalStatus.EXPIRED: "EXPIRED",
    ApprovalStatus.SUPERSEDED: "SUPERSEDED",
    ApprovalStatus.WITHDRAWN: "WITHDRAWN",
}

_SALES_FACTS: dict[SalesEventKind, Callable[[SalesEvent], Fact]] = {
    SalesEventKind.SUBMITTED: lambda e: facts.Submitted(revision=e.revision, quote_id=e.quote_id),
    SalesEventKind.ACTIVATED: lambda e: facts.Activated(revision=e.revision),
    SalesEventKind.ACCEPTED: lambda e: facts.Accepted(revision=e.revision, at=e.occurred_at),
    SalesEventKind.REVISED: lambda e: facts.Revised(revision=e.revision),
    SalesEventKind.LOST: lambda e: facts.QuoteLost(reason="the quote was closed as lost in Sales"),
    SalesEventKind.CANCELLED: lambda e: facts.QuoteCancelled(reason="the quote was closed as cancelled in Sales"),
    SalesEventKind.WITHDRAWN: lambda e: facts.Withdrawn(revision=e.revision, reason="withdrawn in Sales"),
    SalesEventKind.OPPORTUNITY_LOST: lambda e: facts.QuoteLost(reason="the opportunity was lost"),
}


def _moment(text: str) -> datetime:
    """An ISO moment, or the end of an ISO date, in UTC."""
    moment = datetime.fromisoformat(text if "T" in text else f"{text}T23:59:59")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


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
