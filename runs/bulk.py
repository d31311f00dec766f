"""The one way to reach bulk runs: begin one, read it and its deals, sign its parts, pause, resume and end it."""

from __future__ import annotations

from temporalio.client import Client
from temporalio.common import Priority, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from domain.bulk import Bulk, BulkItems, BulkStart, BulkView, UnsignedParts
from domain.messages import Outcome, SignedMessage
from domain.refusals import Refusal
from runs import attributes, names, outcomes, query
from runs.calls import answer, ask, ask_for, rejected

MOST_LISTED = 50


class BulkDesk:
    """The bulk runs of all companies."""

    def __init__(self, client: Client) -> None:
        """Reach them through ``client``, connected to the deals' namespace."""
        self._client = client

    async def begin(self, bulk: Bulk, run: str, asked: SignedMessage) -> None:
        """Begin a run with who asks for it; one that has begun under this name is left as it is.

        Raises:
            NoAnswer: Temporal does not answer: it is not known whether it began.
            Rejected: Temporal takes no such run.
        """
        begun = self._client.start_workflow(
            names.BULK,
            BulkStart(bulk=bulk, unheard=(asked,)),
            id=names.bulk_id(bulk.company, run),
            task_queue=names.DEAL_QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            priority=Priority(fairness_key=bulk.company),
            static_summary=f"{bulk.command} for {len(bulk.items)} deals of {bulk.company.upper()}",
            search_attributes=attributes.typed({attributes.COMPANY: bulk.company}),
        )
        try:
            await answer(begun)
        except WorkflowAlreadyStartedError:
            return  # the form was sent twice
        except RPCError as error:
            raise rejected(error) from error

    async def read(self, company: str, run: str, *, patience: float | None = None) -> BulkView:
        """A run as it stands; ``patience`` in seconds. Raises as ``runs.calls.ask_for``."""
        workflow_id = names.bulk_id(company, run)
        return await ask(self._client, workflow_id, names.STATE, BulkView, what=_CALLED, patience=patience)

    async def items(self, company: str, run: str, *, first: int = 0, status: str = "") -> BulkItems:
        """Some of its deals: from the one after ``first`` on, in a status where one is given. Raises as ``read``."""
        workflow_id, asked = names.bulk_id(company, run), f"{first},{status}"
        found = await ask_for(self._client, workflow_id, names.ITEMS, BulkItems, what=_CALLED, arg=asked)
        return found or BulkItems(items=())

    async def unsigned(self, company: str, run: str) -> UnsignedParts:
        """Its parts that wait for a signature. Raises as ``read``."""
        return await ask(self._client, names.bulk_id(company, run), names.UNSIGNED, UnsignedParts, what=_CALLED)

    async def sign(self, company: str, run: str, message: SignedMessage) -> bool:
        """Hand over a part that a person signed; False where the run has ended.

        Raises:
            NoAnswer: Temporal is down and nothing was recorded.
        """
        return await outcomes.send(self._client, names.bulk_id(company, run), names.COMMAND, message)

    async def tell(self, company: str, run: str, message: SignedMessage) -> Outcome | None:
        """Pass on what a person signed: pause, resume, cancel.

        Returns:
            What became of it; None where it is recorded but not known within five seconds.

        Raises:
            NoAnswer: Temporal is down and nothing was recorded.
        """
        workflow_id, mid = names.bulk_id(company, run), message.message_id
        if await outcomes.send(self._client, workflow_id, names.COMMAND, message):
            return await outcomes.awaited(self._client, workflow_id, mid, what=_CALLED)
        known = await outcomes.known(self._client, workflow_id, mid, what=_CALLED)
        return known or Outcome(message_id=mid, accepted=False, code=Refusal.NOT_OPEN_ANY_MORE)

    async def outcome(self, company: str, run: str, message_id: str) -> Outcome | None:
        """What became of a message, if it was heard. Raises as ``runs.calls.ask_for``."""
        return await outcomes.known(self._client, names.bulk_id(company, run), message_id, what=_CALLED)

    async def listed(self, companies: tuple[str, ...] | None) -> list[tuple[str, str]]:
        """Company and name of the newest runs, newest first; ``companies`` None: of all.

        Raises:
            NoAnswer: Temporal does not answer.
        """
        conditions = [query.of_type(names.BULK), query.LATEST]
        if companies is not None:
            conditions.append(query.among(attributes.COMPANY, companies))
        rows = self._client.list_workflows(query.all_of(*conditions), page_size=MOST_LISTED)
        await answer(rows.fetch_next_page())
        found = []
        for row in rows.current_page or ():
            try:
                found.append(names.parse_bulk_id(row.id))
            except ValueError:
                continue  # somebody else's run under our type
        return found


_CALLED = "The bulk run"
