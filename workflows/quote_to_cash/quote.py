"""Stages 1 and 2: the submitted quote is read, approved where the matrix asks for it, sent, and accepted in time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from temporalio import workflow

from activities.customer_signatures import CreateCustomer, CustomerActivities, CustomerDone, MapCustomer
from activities.signatures import AssessQuote, FinanceActivities, MarkQuote, Nothing, ReadQuote, SalesActivities
from domain import customer_setup_facts as setup
from domain import facts, moves
from domain.causes import Cause
from domain.marks import wanted_mark
from domain.moves import QuoteMove
from domain.price_look import Verdict
from domain.views import Resolution
from runs import names
from workflows.quote_to_cash.background import Background, Part
from workflows.quote_to_cash.record import DealRecord
from workflows.quote_to_cash.request import Request
from workflows.quote_to_cash.steps import Overtaken, Steps
from workflows.quote_to_cash.waiting import Waiting

ON_ITS_WAY = timedelta(seconds=10)
"""How long what was done in time may be on its way, before a deadline is taken to have passed."""
MOST_LOST = 3
"""Requests in a row that may end without an answer before a person is asked why."""


class Quote:
    """Carries a quote from its submission to its acceptance."""

    def __init__(
        self, record: DealRecord, waiting: Waiting, steps: Steps, request: Request, background: Background
    ) -> None:
        """Work for the deal of ``record``."""
        self._record = record
        self._waiting = waiting
        self._steps = steps
        self._request = request
        self._background = background
        self._watched: datetime | None = None
        self._act: dict[QuoteMove, Callable[[], Awaitable[object]]] = {
            QuoteMove.END_REQUEST: lambda: self._request.end(self._waiting),
            QuoteMove.LOOK_AT_EXPIRY: self._look_at_expiry,
            QuoteMove.CREATE_CUSTOMER: self._create_customer,
            QuoteMove.MAP_CUSTOMER: self._map_customer,
            QuoteMove.ASSESS: self._assess,
            QuoteMove.ASK: self._ask,
            QuoteMove.MARK: self._mark,
            QuoteMove.CALL_A_PERSON: self._call_a_person,
            QuoteMove.WAIT: self._wait,
        }

    async def read(self) -> None:
        """Read the submitted quote: customer, opportunity, lines and prices are there and fit."""
        while self._record.state.assessment is None:
            await self._turn()

    async def agree(self) -> None:
        """Approval where the matrix asks for it, then activation and acceptance, before the quote expires."""
        while moves.in_quote(self._record.state) is not QuoteMove.GO_ON:
            await self._turn()
        self._watch_expiry(None)

    async def _turn(self) -> None:
        await self._waiting.turn()
        state = self._record.state
        found = state.assessment
        self._watch_expiry(found.expires_at if found and not state.accepted else None)
        try:
            await self._act[moves.in_quote(state)]()
        except Overtaken:
            workflow.logger.info("what was next is not any more")

    def _is_still(self, move: QuoteMove) -> Callable[[], bool]:
        """Whether something else has become next meanwhile, or the same for another revision."""
        quote_id = self._record.state.quote_id
        return lambda: moves.in_quote(self._record.state) is not move or self._record.state.quote_id != quote_id

    async def _wait(self) -> None:
        await self._waiting.until(self._is_still(QuoteMove.WAIT))

    async def _assess(self) -> None:
        state = self._record.state
        found = await self._steps.run(
            FinanceActivities.assess_quote,
            self._question,
            queue=names.FINANCE_QUEUE,
            summary=f"Read, validate and price {state.quote_number} rev {state.revision}",
            overtaken=self._is_still(QuoteMove.ASSESS),
        )
        self._record.apply(facts.Assessed(assessment=found, asked=state.quote_id))

    def _question(self) -> AssessQuote:
        record, state = self._record, self._record.state
        return AssessQuote(
            quote=record.quote,
            deal_id=record.deal_id,
            submitted_by=state.submitted_by,
            marked_over=state.marked_over,
        )

    async def _create_customer(self) -> None:
        """Have the customer in Finance that a person approved; where Finance does not take it, they are asked again."""
        work = self._record.state.customer
        if work is None or work.create is None:
            return
        wanted = work.create
        done = await self._steps.run(
            CustomerActivities.create_customer,
            lambda: CreateCustomer(
                company=self._record.state.company,
                customer=wanted,
                dismissed=work.dismissed,
                probe=self._record.is_in_doubt("create_customer"),
            ),
            queue=names.FINANCE_QUEUE,
            summary=f"Create customer {wanted.key} in Finance",
        )
        if done.seen:
            self._record.apply(setup.CustomerSeenMeanwhile(reason=done.seen))
        else:
            self._apply_done(done, setup.CustomerCreated(account=done.account, found=done.found))

    async def _map_customer(self) -> None:
        """Have the account in Sales carry its number of Finance."""
        work = self._record.state.customer
        if work is None:
            return
        account_id, account = work.account_id, work.account
        done = await self._steps.run(
            CustomerActivities.map_customer,
            lambda: MapCustomer(account_id=account_id, account=account),
            queue=names.DATAVERSE_QUEUE,
            summary=f"Write number {account} on the account in Sales",
        )
        self._apply_done(done, setup.CustomerMapped(account=account))

    def _apply_done(self, done: CustomerDone, fact: setup.CustomerCreated | setup.CustomerMapped) -> None:
        self._record.apply(setup.CustomerNotSetUp(reason=done.refused) if done.refused else fact)

    async def _ask(self) -> None:
        state = self._record.state
        if state.requests_lost >= MOST_LOST:
            await self._ask_why(state.approvals[-1].text)
        while not await self._request.ask():
            await self._ask_why("every id for another request is taken by a workflow in Temporal")

    async def _ask_why(self, message: str) -> None:
        still = self._is_still(QuoteMove.ASK)
        await self._steps.park("Ask for approval", "ask_for_approval", Cause.REQUEST_LOST, message, overtaken=still)

    async def _mark(self) -> None:
        wanted = wanted_mark(self._record.state)
        if wanted is None:
            return
        await self._steps.run(
            SalesActivities.mark_quote,
            lambda: MarkQuote(
                quote=self._record.quote,
                approval_status=wanted.status,
                reason=wanted.reason,
                deal_id=self._record.deal_id,
                credit_status=wanted.credit,
            ),
            queue=names.DATAVERSE_QUEUE,
            summary=f"Tell Sales: {wanted.status}",
            skipped=Nothing(),
            overtaken=self._is_still(QuoteMove.MARK),
        )
        self._record.apply(facts.QuoteMarked(status=wanted.status, question=wanted.question))

    async def _call_a_person(self) -> None:
        """Won in Sales, and nobody is asked for the approval it needs: somebody has to say how it goes on."""
        state = self._record.state
        moved = state.drift is not None and state.drift.verdict is Verdict.ASK
        said = await self._steps.park(
            "Prices moved, and the margin was not approved" if moved else "The quote was won without approval",
            "ask_for_approval",
            Cause.PRICE_DRIFT if moved else Cause.WON_WITHOUT_APPROVAL,
            state.approval_text or f"The quote is {state.quote}",
            overtaken=self._is_still(QuoteMove.CALL_A_PERSON),
        )
        if said is Resolution.RETRY:
            self._record.apply(facts.AssessmentDue(reason="asked by a person"))

    async def _look_at_expiry(self) -> None:
        """Whether it was accepted in time is Sales' to say: what was told of it may be late."""
        found = await self._steps.run(
            SalesActivities.read_quote,
            lambda: ReadQuote(quote=self._record.quote),
            queue=names.DATAVERSE_QUEUE,
            summary="Look whether the quote was accepted in time",
            overtaken=self._is_still(QuoteMove.LOOK_AT_EXPIRY),
        )
        self._record.apply(facts.ExpiryChecked(found=found))

    def _watch_expiry(self, expires_at: datetime | None) -> None:
        """One timer for the quote's validity; a new one where the validity changed."""
        if expires_at == self._watched:
            return
        self._watched = expires_at
        self._background.stop(Part.EXPIRY)
        if expires_at is not None:
            self._background.start(Part.EXPIRY, lambda: self._expire(expires_at))

    async def _expire(self, expires_at: datetime) -> None:
        due = expires_at + ON_ITS_WAY
        await workflow.sleep(
            max(due - workflow.now(), timedelta(0)), summary=f"Quote valid until {expires_at:%Y-%m-%d %H:%M} UTC"
        )
        self._record.apply(facts.ExpiryDue())
