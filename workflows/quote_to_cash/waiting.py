"""How a deal waits: it shows what it waits for, ends where its end has come, and goes on as a new run in time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import NoReturn

from temporalio import workflow

from domain import explain
from runs import attributes
from workflows.published import Published
from workflows.quote_to_cash.record import DealRecord


class Ended(Exception):
    """There is nothing left to wait for: the deal has come to its end, or a person gave up cleaning up after it."""


class Waiting:
    """The only way a stage waits."""

    def __init__(
        self,
        record: DealRecord,
        published: Published,
        *,
        over: Callable[[], bool],
        at_rest: Callable[[], bool],
    ) -> None:
        """Wait on behalf of a deal.

        Args:
            record: the deal.
            published: the search attributes as they were last written.
            over: whether there is nothing left to wait for.
            at_rest: whether nothing is under way that a new run would not know of.
        """
        self._record = record
        self._over = over
        self._at_rest = at_rest
        self._published = published

    def turn(self) -> None:
        """Begin another turn of a loop.

        Raises:
            Ended: it is over.
        """
        if self._over():
            raise Ended
        if workflow.info().is_continue_as_new_suggested() and self._at_rest():
            self._continue_as_new()

    async def until(
        self, condition: Callable[[], bool], *, patience: timedelta | None = None, summary: str = ""
    ) -> bool:
        """Wait for a condition.

        Args:
            condition: what is waited for.
            patience: how long at most; None: forever.
            summary: what the wait is for, for Temporal Web; only a wait with patience shows it.

        Returns:
            Whether the condition holds; False where patience ran out.

        Raises:
            Ended: it is over.
        """
        self.publish()
        self.turn()
        try:
            await workflow.wait_condition(
                lambda: condition() or self._over(),
                timeout=patience,
                timeout_summary=summary or None,
            )
        except TimeoutError:
            return False
        if self._over():
            raise Ended
        return True

    def publish(self) -> None:
        """Write what lists are made of, where it changed."""
        state = self._record.state
        header = state.header
        self._published.publish(
            {
                attributes.STAGE: str(state.stage),
                attributes.WAITING_FOR: str(explain.explain(state).waiting_for),
                attributes.CUSTOMER: header.customer_account or None,
                attributes.AMOUNT: header.total if state.assessment else None,
                attributes.QUOTE_ID: state.quote_id,
                attributes.ORDER: state.order_number or None,
                attributes.ERROR: state.parked.cause if state.parked else None,
            }
        )

    def _continue_as_new(self) -> NoReturn:
        workflow.continue_as_new(self._record.next_start())
