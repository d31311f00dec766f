"""Asks running deals how they stand, and tells them what people decide.

A decision is a signal, stored even while no worker runs; what became of it is asked afterwards by its message id. So a
repeated click, a retried request and a second browser tab all end in the same one outcome.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, TypeVar

from temporalio.client import Client, WorkflowExecution, WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from domain.approvals import ApprovalState, ApprovalStatus
from domain.credit_facts import CreditDecision
from domain.messages import Outcome, SignedMessage
from domain.people import Person
from domain.views import DealView, TimelineEntry
from runs import names
from runs.calls import NoAnswer, answer
from web.problems import Problem
from web.signing import DecisionSigner

T = TypeVar("T")

OUTCOME_PATIENCE_SECONDS = 5.0
_FIRST_LOOK_SECONDS = 0.05
_LOOK_AT_MOST_EVERY_SECONDS = 0.5
_KEPT_STATES = 2000
_STATE_KEPT_SECONDS = 60.0
_QUERIES_AT_ONCE = 8

_ENDED: dict[ApprovalStatus, str] = {
    ApprovalStatus.COMPLETED: "ALREADY_DECIDED",
    ApprovalStatus.REJECTED: "ALREADY_DECIDED",
    ApprovalStatus.EXPIRED: "EXPIRED",
    ApprovalStatus.WITHDRAWN: "WITHDRAWN",
    ApprovalStatus.SUPERSEDED: "SUPERSEDED",
}


class Deals:
    """The running deals and their approval requests."""

    def __init__(self, client: Client, signer: DecisionSigner) -> None:
        """Talk through a connected client.

        Args:
            client: connected to the deals' namespace.
            signer: signs what people say.
        """
        self._client = client
        self._signer = signer
        self._states: OrderedDict[tuple[object, ...], tuple[float, ApprovalState]] = OrderedDict()

    async def case(self, company: str, quote: str) -> DealView:
        """A deal as it stands now.

        Raises:
            Problem: 404, there is none; 503, Temporal or every worker is down.
        """
        return await self._query(names.deal_id(company, quote), names.STATE, DealView)

    async def soft_credit(self, company: str, quote: str) -> CreditDecision | None:
        """The credit decision a deal last knew; None where there is none or the deal does not answer."""
        try:
            return (await self.case(company, quote)).credit
        except (Problem, NoAnswer):
            return None

    async def timeline(self, company: str, quote: str) -> list[TimelineEntry]:
        """Everything that happened to a deal, oldest first. Raises as ``case``."""
        return await self._query(names.deal_id(company, quote), names.TIMELINE, list[TimelineEntry])

    async def approval(self, company: str, quote: str, n: int) -> ApprovalState:
        """A request for approval as it stands now. Raises as ``case``."""
        return await self._query(names.approval_id(company, quote, n), names.STATE, ApprovalState)

    async def approvals_of(self, runs: list[WorkflowExecution]) -> list[ApprovalState]:
        """The states of listed requests; one that does not answer is left out.

        Whoever polls the inbox must not make every request replay: a state is asked again only when what the list
        shows of it (who is asked, until when) changed, or after a minute.
        """
        gate = asyncio.Semaphore(_QUERIES_AT_ONCE)

        async def one(run: WorkflowExecution) -> ApprovalState | None:
            attributes = {pair.key.name: pair.value for pair in run.typed_search_attributes}
            key = (run.run_id, tuple(attributes.get("Q2CApprovers") or ()), attributes.get("Q2CDeadline"))
            kept = self._states.get(key)
            if kept and time.monotonic() - kept[0] < _STATE_KEPT_SECONDS:
                return kept[1]
            async with gate:
                try:
                    state = await self._query(run.id, names.STATE, ApprovalState)
                except (Problem, NoAnswer):
                    return None
            self._states[key] = (time.monotonic(), state)
            if len(self._states) > _KEPT_STATES:
                self._states.popitem(last=False)
            return state

        found = await asyncio.gather(*map(one, runs))
        if runs and not any(found):
            raise NoAnswer("No worker answers, so the requests cannot be read. Try again in a moment.")
        return [state for state in found if state is not None]

    async def decide(
        self, company: str, quote: str, n: int, person: Person, message_id: str, args: Mapping[str, Any]
    ) -> Outcome | None:
        """Tell a request for approval what an approver decides.

        Args:
            company: legal entity, lower case.
            quote: quote number.
            n: number of the request within the deal.
            person: who decides.
            message_id: the same id said again changes nothing and gets the same outcome.
            args: decision, comment, step and seen_hash.

        Returns:
            What became of it; None where it is recorded but not known within five seconds.

        Raises:
            Problem: 404, there is no such request; 503, Temporal is down and nothing was recorded.
        """
        workflow_id = names.approval_id(company, quote, n)
        for key in [key for key, (_, state) in self._states.items() if _is(state, company, quote, n)]:
            del self._states[key]
        message = self._signer.sign(
            audience=workflow_id, message_id=message_id, person=person, action=names.DECIDE, args=args
        )
        if not await self._send(workflow_id, names.DECIDE, message):
            return await self._too_late(company, quote, n, message)
        return await self.outcome(workflow_id, message_id)

    async def command(
        self, company: str, quote: str, person: Person, message_id: str, name: str, args: Mapping[str, Any]
    ) -> Outcome | None:
        """Give a deal a command. Returns and raises as ``decide``."""
        workflow_id = names.deal_id(company, quote)
        message = self._signer.sign(audience=workflow_id, message_id=message_id, person=person, action=name, args=args)
        if not await self._send(workflow_id, names.COMMAND, message):
            known = await self.known_outcome(workflow_id, message_id)
            ended = Outcome(
                message_id=message_id, accepted=False, code="ILLEGAL_TRANSITION", detail="The deal has ended."
            )
            return known or ended
        return await self.outcome(workflow_id, message_id)

    async def outcome(self, workflow_id: str, message_id: str) -> Outcome | None:
        """What became of a message; None where it is not known within five seconds (no worker runs)."""
        until = time.monotonic() + OUTCOME_PATIENCE_SECONDS
        pause = _FIRST_LOOK_SECONDS
        while (left := until - time.monotonic()) > 0:
            try:
                known = await self.known_outcome(workflow_id, message_id, left)
            except NoAnswer:
                known = None
            if known is not None:
                return known
            await asyncio.sleep(min(pause, max(0.0, until - time.monotonic())))
            pause = min(pause * 1.6, _LOOK_AT_MOST_EVERY_SECONDS)
        return None

    async def _send(self, workflow_id: str, signal: str, message: SignedMessage) -> bool:
        """Send a signed signal; False where the run has ended, so that nobody can hear it."""
        try:
            await answer(self._client.get_workflow_handle(workflow_id).signal(signal, message))
        except NoAnswer as error:
            raise NoAnswer(
                "Temporal does not answer: your decision was not recorded. Send it again in a moment; sent twice, it "
                "counts once."
            ) from error
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return False
        return True

    async def _too_late(self, company: str, quote: str, n: int, message: SignedMessage) -> Outcome:
        """The answer of a request that has ended: what it made of this message before, or how it ended.

        A decision that comes too late is told to the deal, which writes it down.
        """
        known = await self.known_outcome(names.approval_id(company, quote, n), message.message_id)
        if known:
            return known
        state = await self.approval(company, quote, n)
        await self._send(names.deal_id(company, quote), names.DECIDE, message)
        detail = {
            "SUPERSEDED": f"The quote was revised: decide on revision {state.superseded_by} instead.",
            "EXPIRED": "The request has expired; the rep has to revise the quote and submit it again.",
        }
        code = _ENDED.get(state.status, "ALREADY_DECIDED")
        text = detail.get(code, f"This request was {state.status.value} already; nothing changed.")
        return Outcome(message_id=message.message_id, accepted=False, code=code, detail=text)

    async def known_outcome(self, workflow_id: str, message_id: str, patience: float | None = None) -> Outcome | None:
        """What a run made of a message, if it has heard it; asks once. Raises as ``case``."""
        return await self._query(workflow_id, names.OUTCOME, Outcome, message_id, patience)

    async def _query(
        self,
        workflow_id: str,
        query: str,
        result: type[T],
        arg: object = None,
        patience: float | None = None,
    ) -> T:
        handle = self._client.get_workflow_handle(workflow_id)
        args = [] if arg is None else [arg]
        try:
            return await answer(handle.query(query, args=args, result_type=result), patience)
        except NoAnswer as error:
            raise NoAnswer(
                "No worker answers, so the deal cannot be read. What is decided meanwhile is kept and done later."
            ) from error
        except WorkflowQueryFailedError as error:
            raise Problem(502, "QUERY_FAILED", f"{workflow_id} could not answer: {error}") from error
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise Problem(404, "NOT_FOUND", f"There is no {workflow_id}.") from error
            if error.status is RPCStatusCode.FAILED_PRECONDITION:
                raise NoAnswer("No worker has taken up this deal. Try again in a moment.") from error
            raise


def _is(state: ApprovalState, company: str, quote: str, n: int) -> bool:
    request = state.request
    return (request.company, request.quote_number, request.n) == (company, quote, n)
