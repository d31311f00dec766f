"""The one way to reach requests for approval: ask how they stand, tell them what an approver decides."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import structlog
from cachetools import TLRUCache
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError

from domain.approval_start import ApprovalAnswer
from domain.approvals import ApprovalState
from domain.messages import Outcome, SignedMessage
from runs import attributes, names, outcomes, query
from runs.calls import NotFound, RunError, Unreadable, ask, latest, listed

log = structlog.get_logger(__name__)

_KEPT_STATES = 2000
_STATE_KEPT_SECONDS = 60.0
_SILENCE_KEPT_SECONDS = 10.0
_QUERIES_AT_ONCE = 8
_LIST_SECONDS = 5.0
_MOST_OF_A_COMPANY = 200
_ONE_OF_A_LIST_SECONDS = 4.0
_HAND_OVER_SECONDS = 0.1
_HAND_OVER_PATIENCE_SECONDS = 10.0
"""How long a request may be between the run of its deal that ends and the one that begins."""


@dataclass(frozen=True)
class States:
    """The states of listed requests, and how many of these could not be read."""

    states: tuple[ApprovalState, ...]
    unreadable: int = 0


class Approvals:
    """The requests for approval of all deals."""

    def __init__(self, client: Client) -> None:
        """Reach requests through ``client``, connected to the deals' namespace."""
        self._client = client
        self._kept: TLRUCache[str, ApprovalState | None] = TLRUCache(_KEPT_STATES, _keep_until)

    async def state(self, company: str, quote: str, n: int, *, patience: float | None = None) -> ApprovalState:
        """A request as it stands now; ``patience`` in seconds. Raises as ``runs.calls.ask_for``."""
        return await self._state(names.approval_id(company, quote, n), _called(quote, n), patience)

    async def states_of(self, runs: list[WorkflowExecution]) -> States:
        """The states of listed requests, without those that cannot be read within five seconds: they are counted.

        Whoever polls the inbox must not make every request replay: a state is asked again only when what the list
        shows of it (who is asked, until when) changed, or after a minute. A run that does not answer is left alone
        for ten seconds, so that it does not hold up every look at the inbox.
        """
        gate = asyncio.Semaphore(_QUERIES_AT_ONCE)
        looks = [asyncio.create_task(self._look(run, gate)) for run in runs]
        if looks:
            _, late = await asyncio.wait(looks, timeout=_LIST_SECONDS)
            for look in late:
                look.cancel()
        found = [look.result() for look in looks if look.done() and not look.cancelled()]
        states = tuple(state for state in found if state is not None)
        return States(states, len(runs) - len(states))

    async def open_in(self, company: str) -> tuple[ApprovalState, ...]:
        """The newest open requests of a company, two hundred at most; those that cannot be read are left out.

        Raises:
            NoAnswer: Temporal does not answer.
        """
        return await self._open(query.equals(attributes.COMPANY, company))

    async def open_for(self, oid: str) -> tuple[ApprovalState, ...]:
        """The newest open requests that somebody is asked to decide, by Entra object id. Otherwise as ``open_in``."""
        return await self._open(query.equals(attributes.APPROVERS, oid))

    async def _open(self, which: query.Condition) -> tuple[ApprovalState, ...]:
        text = query.all_of(query.of_type(names.APPROVAL), query.RUNNING, which)
        runs: list[WorkflowExecution] = []
        async for run in listed(self._client, text):
            runs.append(run)
            if len(runs) == _MOST_OF_A_COMPANY:
                break
        return (await self.states_of(runs)).states

    async def _look(self, run: WorkflowExecution, gate: asyncio.Semaphore) -> ApprovalState | None:
        key = _version(run)
        if key not in self._kept:
            async with gate:
                self._kept[key] = await self._listed(run)
        return self._kept.get(key)

    def forget(self, company: str, quote: str, n: int) -> None:
        """Ask this request again at the next look: somebody has just told it something."""
        for key in [key for key, state in self._kept.items() if state and _id_of(state) == (company, quote, n)]:
            self._kept.pop(key, None)

    async def decide(self, company: str, quote: str, n: int, message: SignedMessage) -> Outcome | None:
        """Tell a request what an approver decides.

        Returns:
            What became of it; None where it is recorded but not known within five seconds.

        Raises:
            NotFound: the request has ended, so that it hears nothing more, or never was.
            NoAnswer: Temporal is down and nothing was recorded.
        """
        return await self._send(company, quote, n, names.DECIDE, message)

    async def tell(self, company: str, quote: str, n: int, message: SignedMessage) -> Outcome | None:
        """Tell a request what a person says that decides nothing. Returns and raises as ``decide``."""
        return await self._send(company, quote, n, names.COMMAND, message)

    async def _send(self, company: str, quote: str, n: int, signal: str, message: SignedMessage) -> Outcome | None:
        workflow_id, what = names.approval_id(company, quote, n), _called(quote, n)
        self.forget(company, quote, n)
        until = time.monotonic() + _HAND_OVER_PATIENCE_SECONDS
        while not await outcomes.send(self._client, workflow_id, signal, message):
            if time.monotonic() > until or not await self._goes_on(workflow_id):
                raise NotFound(f"{what} has ended.")
            await asyncio.sleep(_HAND_OVER_SECONDS)
        return await outcomes.awaited(self._client, workflow_id, message.message_id, what=what)

    async def _goes_on(self, workflow_id: str) -> bool:
        """Whether a request that no run hears goes on at once: where its deal continues as new, it is handed over."""
        try:
            last, ended = await latest(self._client, workflow_id, ApprovalAnswer)
            return last.status is WorkflowExecutionStatus.RUNNING or (
                ended is not None and ended.handed_over is not None
            )
        except (RPCError, ValueError, KeyError, RuntimeError):  # there is none, or it is no request of ours
            return False

    async def note(self, company: str, quote: str, n: int, message: SignedMessage) -> bool:
        """Send a decision that will be refused, so that the attempt is written down; False where nobody hears it."""
        return await outcomes.send(self._client, names.approval_id(company, quote, n), names.DECIDE, message)

    async def outcome(self, company: str, quote: str, n: int, message_id: str) -> Outcome | None:
        """What a request made of a message, if it has heard it. Raises as ``runs.calls.ask_for``."""
        workflow_id = names.approval_id(company, quote, n)
        return await outcomes.known(self._client, workflow_id, message_id, what=_called(quote, n))

    async def _listed(self, run: WorkflowExecution) -> ApprovalState | None:
        try:
            _, quote, n = names.parse_approval_id(run.id)
            if run.task_queue != names.DEAL_QUEUE:
                raise Unreadable(f"it is on the task queue {run.task_queue}, where none of our workers looks")
            return await self._state(run.id, _called(quote, n), _ONE_OF_A_LIST_SECONDS)
        except (ValueError, RunError) as error:
            log.warning("request cannot be read", workflow_id=run.id, reason=str(error))
            return None

    async def _state(self, workflow_id: str, what: str, patience: float | None = None) -> ApprovalState:
        state = await ask(self._client, workflow_id, names.STATE, ApprovalState, what=what, patience=patience)
        if names.approval_id(*_id_of(state)) != workflow_id:
            raise Unreadable(f"{what} cannot be read: what runs under its id says that it is another request.")
        return state


def _version(run: WorkflowExecution) -> str:
    """The run, and all that a list shows of it."""
    shown = sorted((pair.key.name, repr(pair.value)) for pair in run.typed_search_attributes)
    return f"{run.run_id} {shown}"


def _keep_until(_key: str, state: ApprovalState | None, now: float) -> float:
    return now + (_STATE_KEPT_SECONDS if state else _SILENCE_KEPT_SECONDS)


def _id_of(state: ApprovalState) -> tuple[str, str, int]:
    request = state.request
    return request.company, request.quote_number, request.n


def _called(quote: str, n: int) -> str:
    return f"Approval request {n} of quote {quote}"
