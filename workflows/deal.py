"""What every stage of a deal uses: the state and how facts change it, waiting, steps and parking, and the queries.

The stages themselves are in ``workflows.quote_to_cash``, what people say in ``workflows.people``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from temporalio.common import Priority

    from activities.signatures import (
        QuoteRef,
    )
    from domain import explain, facts
    from domain.assessment import QuoteAssessment
    from domain.deal import apply
    from domain.deal_state import DealState
    from domain.facts import Event, Fact
    from domain.messages import (
        CommandName,
        DealStart,
        LedgerNote,
        Outcome,
        VerifiedMessage,
    )
    from domain.order_key import order_key
    from domain.people import SYSTEM, Person
    from domain.views import DealView, Explanation, ParkedStep, TimelineEntry
    from runs import attributes, names
    from workflows.published import Published
    from workflows.steps import LOOK_AGAIN, NORMAL, SUGGESTIONS, WAIT_FOR, Argument, attempt, cause_of


KEPT = 500
"""Audit records and outcomes kept in the running state; older ones are in the history."""


class Ended(Exception):
    """The deal has come to an end while a stage was waiting."""


class Deal:
    """A deal's state, and what it does with it."""

    def __init__(self, start: DealStart) -> None:
        """Make the state before the first message is handled."""
        now = workflow.now()
        checkpoint = start.checkpoint or {}
        self._state = (
            DealState.model_validate(checkpoint["state"])
            if checkpoint
            else DealState(
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
        self._published = Published()
        self._resolution: VerifiedMessage | None = None
        self._recheck = False
        workflow.set_current_details(explain.details(self._state))

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
    ) -> None:
        """Wait for ``condition``, at most for ``patience``.

        Raises:
            Ended: the deal came to its end meanwhile.
        """
        self._publish()
        if workflow.info().is_continue_as_new_suggested() and self._at_rest():
            self._continue_as_new()
        try:
            await workflow.wait_condition(
                lambda: condition() or bool(self._state.ending), timeout=patience, timeout_summary=what or None
            )
        except TimeoutError:
            workflow.logger.info("nothing heard in %s", patience)
        if self._state.ending:
            raise Ended

    def _at_rest(self) -> bool:
        """Whether nothing is under way that a new run would not know of."""
        return True

    def _continue_as_new(self) -> None:
        workflow.continue_as_new(
            DealStart(
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
            Ended: a person aborted the deal.
        """
        name = activity.__name__
        while True:
            try:
                result = await attempt(activity, argument, queue=queue, summary=summary, priority=priority)
            except ActivityError as error:
                if is_cancelled_exception(error):
                    raise
                cause, message = cause_of(error)
                argument = _in_doubt(argument)
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
            Ended: the person aborted the deal.
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
            raise Ended
        self._publish()
        return resolution.name

    async def _tell_ledger(self, signal: str) -> None:
        if self._state.assessment is None:
            return
        handle = workflow.get_external_workflow_handle(
            names.ledger_id(self._state.company, self._state.assessment.customer_account)
        )
        try:
            await handle.signal(signal, LedgerNote(deal_id=workflow.info().workflow_id, at=workflow.now()))
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
                attributes.QUOTE_ID: state.quote_id,
                attributes.WAITING_FOR: str(now.waiting_for),
                attributes.CUSTOMER: found.customer_account if found and found.customer_account else None,
                attributes.AMOUNT: found.total if found else None,
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

    # What the deal answers

    @workflow.query(name=names.STATE, description="The deal as it stands")
    def state(self) -> DealView:
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


def _in_doubt(argument: Argument) -> Argument:
    """The argument of the next try: one that knows of doubt is told that the last try may have succeeded."""
    doubts = "probe" in type(argument).model_fields
    return argument.model_copy(update={"probe": True}) if doubts else argument
