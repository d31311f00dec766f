"""The one way to have a quote of a company in shadow mode looked at."""

from __future__ import annotations

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from domain.messages import SalesEvent
from domain.shadow import OF_EVENT
from runs import attributes, names
from runs.calls import answer, background, rejected


class Shadows:
    """Looks at what people do with quotes."""

    def __init__(self, client: Client) -> None:
        """Reach them through a connected client."""
        self._client = client

    async def tell(self, event: SalesEvent) -> bool:
        """Have a quote looked at because of an event, once however often it is told; whether a look began.

        Raises:
            NoAnswer: Temporal does not answer.
            Rejected: Temporal takes no run under this quote number.
        """
        if event.kind not in OF_EVENT:
            return False
        begun = self._client.start_workflow(
            names.SHADOW,
            event,
            id=names.shadow_id(event.company, event.quote_number, event.event_id),
            task_queue=names.DEAL_QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            priority=background(event.company),
            static_summary=f"Quote {event.quote_number} of {event.company.upper()} in shadow mode: {event.kind}",
            search_attributes=attributes.typed({attributes.COMPANY: event.company}),
        )
        try:
            await answer(begun)
        except WorkflowAlreadyStartedError:
            return False
        except RPCError as error:
            raise rejected(error) from error
        return True
