"""The one way to reach deals: start one where a quote was submitted, tell it what happened, ask how it stands."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from cachetools import LRUCache
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.common import Priority, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from domain import event_ids
from domain.deal_start import DealStart, may_follow
from domain.messages import FinanceEvent, Outcome, SalesEvent, SalesEventKind, SignedMessage
from domain.refusals import Refusal
from domain.shadow import OF_EVENT
from domain.views import DealView, Stage, TimelineEntry, WaitingFor
from runs import attributes, names, outcomes
from runs.calls import NotFound, Unreadable, answer, ask, latest, rejected, tell
from runs.lookup import Lookup
from runs.shadow import Shadows

_KNOWN_ORDERS = 10_000
_KNOWN_ENDED = 500
_RESULT_SECONDS = 10.0
"""How long it may take to read what a run left."""
_TASK_TIMEOUT = timedelta(seconds=7)
"""How long a task of a deal's run may take before another worker gets it: the one that had it may have been killed."""


class Deals:
    """The deals, as sweeps, intake and people reach them."""

    def __init__(self, client: Client, *, shadow: Collection[str] = ()) -> None:
        """Reach deals through ``client``, connected to their namespace with the pydantic data converter.

        Args:
            client: connected.
            shadow: companies in shadow mode: no deal of theirs begins. Whoever passes on what Sales reports names them.
        """
        self._client = client
        self._shadow, self._shadows = frozenset(shadow), Shadows(client)
        self._lookup = Lookup(client)
        self._orders: LRUCache[tuple[str, str], str] = LRUCache(_KNOWN_ORDERS)
        self._ended: LRUCache[str, DealView] = LRUCache(_KNOWN_ENDED)

    # What the two systems report

    async def tell(self, event: SalesEvent) -> bool:
        """Give an event to its deal; whether one took it. A submission starts the deal where none runs.

        A submission that is delivered again after its deal has ended starts nothing: it would hide that deal.

        Raises:
            NoAnswer: Temporal does not answer.
            Rejected: Temporal takes no run under this quote number.
        """
        if event.kind is SalesEventKind.SUBMITTED and event.company not in self._shadow:
            return await self._submit(event)
        deal_id = names.deal_id(event.company, event.quote_number)
        if await tell(self._client, deal_id, names.SALES_EVENT, event):
            return True
        if event.company in self._shadow and event.kind in OF_EVENT:
            await self._shadows.tell(event)  # a deal that began before has its own, and a shadow the rest: never both
            return True
        return False

    async def tell_finance(self, deal_id: str, event: FinanceEvent) -> bool:
        """Give an event of Finance to a deal; False where it has ended. Raises as ``tell``."""
        return await tell(self._client, deal_id, names.FINANCE_EVENT, event)

    async def tell_of_order(self, event: FinanceEvent) -> bool:
        """Give an event of Finance to the deal that owns its order; False where no running deal does.

        A deal is looked up once: the orders of the deals last told are remembered. Raises as ``tell``.
        """
        key = (event.company, event.order_number)
        deal_id = self._orders.get(key) or await self._running_deal(*key)
        if deal_id and await self.tell_finance(deal_id, event):
            self._orders[key] = deal_id
            return True
        self._orders.pop(key, None)
        return False

    async def tell_won(self, event: SalesEvent) -> SalesEvent | None:
        """Give the running deal of a quote that it was won; the event as the deal got it. Raises as ``tell``.

        Sales tells it with nothing but the quote's id. A revision is a row of its own, so that its deal is known by it,
        and the deal reads the quote before it orders anything.

        Returns:
            None: no running deal of it is to be seen.
        """
        deal = (await self._lookup.of_quote_ids([event.quote_id])).get(event.quote_id)
        if deal is None:
            return None
        fact = event_ids.quote_fact(event.quote_id, event.kind, event.version)
        known = {"event_id": fact, "company": deal.company, "quote_number": deal.quote_number}
        event = event.model_copy(update=known)
        return event if await tell(self._client, deal.deal_id, names.SALES_EVENT, event) else None

    async def _running_deal(self, company: str, order_number: str) -> str | None:
        deal = (await self._lookup.of_orders(company, [order_number])).get(order_number)
        return deal.deal_id if deal is not None and deal.running else None

    async def begin(self, event: SalesEvent) -> bool:
        """Begin the deal of a submission that never had one; False where it has one, or had. Raises as ``tell``.

        In a company in shadow mode a shadow looks at it instead.
        """
        if event.company in self._shadow:
            return await self._shadows.tell(event)
        try:
            await self._start(event, None)
        except WorkflowAlreadyStartedError:
            return False
        return True

    async def _submit(self, event: SalesEvent) -> bool:
        """Begin the deal, or reach the one that runs; whether the submission is one to begin or go on with."""
        for reuse in (None, WorkflowIDReusePolicy.REJECT_DUPLICATE):
            try:
                await self._start(event, reuse)
                return True
            except WorkflowAlreadyStartedError:
                continue
        if not await self._may_begin_again(event):
            return False
        await self._start(event, WorkflowIDReusePolicy.ALLOW_DUPLICATE)
        return True

    async def _may_begin_again(self, event: SalesEvent) -> bool:
        """Whether a submission begins the deal anew that has ended; what it ended with is in its result."""
        try:
            last, ended = await latest(self._client, names.deal_id(event.company, event.quote_number), DealView)
        except (ValueError, KeyError, RuntimeError):  # what ran under its id was no deal
            return True
        if last.close_time is None:
            return True  # somebody else has begun it at this moment: it is reached
        if ended is None:  # it was ended from outside, without an ending of its own
            return event.occurred_at > last.close_time
        return may_follow(event, revision=ended.revision, ending=ended.ending, ended_at=ended.updated_at)

    async def _start(self, event: SalesEvent, reuse: WorkflowIDReusePolicy | None) -> None:
        """Begin a deal, or reach the one that runs, with the same call (signal-with-start).

        A deal begins with the event it is started with. Only one that may run already has to be signalled as well.

        Args:
            event: the submission.
            reuse: whether a deal that has ended may begin again; None: begin a deal that never was, and signal nothing.

        Raises:
            WorkflowAlreadyStartedError: it has ended, and ``reuse`` does not allow to begin it again; or it is there.
        """
        reaches = reuse is not None
        start = self._client.start_workflow(
            names.QUOTE_TO_CASH,
            DealStart(
                company=event.company,
                quote_number=event.quote_number,
                quote_id=event.quote_id,
                revision=event.revision,
                event=event,
            ),
            id=names.deal_id(event.company, event.quote_number),
            task_queue=names.DEAL_QUEUE,
            task_timeout=_TASK_TIMEOUT,
            id_reuse_policy=reuse or WorkflowIDReusePolicy.REJECT_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING if reaches else WorkflowIDConflictPolicy.FAIL,
            start_signal=names.SALES_EVENT if reaches else None,
            start_signal_args=[event] if reaches else [],
            priority=Priority(fairness_key=event.company),
            static_summary=f"Quote {event.quote_number} of {event.company.upper()}: quote to cash",
            static_details=(
                f"Started when quote **{event.quote_number}** (revision {event.revision}) was submitted for approval "
                "in Dynamics 365 Sales. The current details show the stage and what it waits for."
            ),
            search_attributes=attributes.typed(
                {
                    attributes.STAGE: Stage.OPPORTUNITY,
                    attributes.WAITING_FOR: WaitingFor.NOTHING,
                    attributes.COMPANY: event.company,
                    attributes.QUOTE: event.quote_number,
                    attributes.QUOTE_ID: event.quote_id,
                }
            ),
        )
        try:
            await answer(start)
        except RPCError as error:
            raise rejected(error) from error

    # How a deal stands, and what people tell it

    async def state(self, company: str, quote: str, *, patience: float | None = None) -> DealView:
        """A deal as it stands now; ``patience`` in seconds. Raises as ``runs.calls.ask_for``."""
        what = _called(quote)
        workflow_id = names.deal_id(company, quote)
        view = await ask(self._client, workflow_id, names.STATE, DealView, what=what, patience=patience)
        if (view.company, view.quote_number) != (company, quote):
            raise Unreadable(f"{what} cannot be read: what runs under its id says that it is another deal.")
        return view

    async def glimpse(self, company: str, quote: str, ended_run: str, patience: float) -> DealView:
        """A deal beside others: of one that ended what its run left as its result, so that no worker replays it.

        Args:
            company: legal entity, lower case.
            quote: its number.
            ended_run: id of its run, where that has come to its end; empty: it is asked.
            patience: seconds.

        Raises: as ``state``.
        """
        if not ended_run:
            return await self.state(company, quote, patience=patience)
        known = self._ended.get(ended_run)
        if known is None:
            handle = self._client.get_workflow_handle(
                names.deal_id(company, quote), run_id=ended_run, result_type=DealView
            )
            try:
                known = self._ended[ended_run] = await answer(handle.result(follow_runs=False), patience)
            except (ValueError, KeyError, RuntimeError, RPCError, WorkflowFailureError) as error:
                raise Unreadable(f"{_called(quote)} cannot be read: its run left no result of ours.") from error
        return known

    async def ended_with(self, company: str, quote: str, *, patience: float = _RESULT_SECONDS) -> DealView | None:
        """What a deal ended with; None where it runs.

        Raises:
            NotFound: Temporal keeps no run of the deal any more.
            Unreadable: its run left no result of ours.
            NoAnswer: Temporal does not answer.
        """
        try:
            last = await answer(self._client.get_workflow_handle(names.deal_id(company, quote)).describe())
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise NotFound(f"Temporal keeps no run of deal {quote} any more.") from error
            raise
        if last.status in (WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.CONTINUED_AS_NEW):
            return None
        ended: object = await self.glimpse(company, quote, last.run_id, patience)
        if not isinstance(ended, DealView):
            raise Unreadable(f"{_called(quote)} cannot be read: its run left no result of ours.")
        return ended

    async def timeline(self, company: str, quote: str) -> list[TimelineEntry]:
        """Everything that happened to a deal, oldest first. Raises as ``runs.calls.ask_for``."""
        workflow_id = names.deal_id(company, quote)
        return await ask(self._client, workflow_id, names.TIMELINE, list[TimelineEntry], what=_called(quote))

    async def command(self, company: str, quote: str, message: SignedMessage) -> Outcome | None:
        """Give a deal a signed command.

        Returns:
            What became of it; None where it is recorded but not known within five seconds.

        Raises:
            NotFound: there is no such deal.
            NoAnswer: Temporal is down and nothing was recorded.
        """
        workflow_id, what = names.deal_id(company, quote), _called(quote)
        if await outcomes.send(self._client, workflow_id, names.COMMAND, message):
            return await outcomes.awaited(self._client, workflow_id, message.message_id, what=what)
        known = await outcomes.known(self._client, workflow_id, message.message_id, what=what)
        return known or Outcome(
            message_id=message.message_id,
            accepted=False,
            code=Refusal.ILLEGAL_TRANSITION,
            detail="the deal has ended",
        )

    async def outcome(self, company: str, quote: str, message_id: str) -> Outcome | None:
        """What a deal made of a message, if it has heard it. Raises as ``runs.calls.ask_for``."""
        return await outcomes.known(self._client, names.deal_id(company, quote), message_id, what=_called(quote))

    async def note_late(self, company: str, quote: str, message: SignedMessage) -> None:
        """Give a deal a decision whose request has ended: it changes nothing and is written down."""
        await outcomes.send(self._client, names.deal_id(company, quote), names.DECIDE, message)


def _called(quote: str) -> str:
    return f"Deal {quote}"
