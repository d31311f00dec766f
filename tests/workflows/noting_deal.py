"""A workflow that stands in for a deal; in a module of its own: workflow modules are imported in the sandbox."""

from __future__ import annotations

from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from runs import names


@workflow.defn(name=names.QUOTE_TO_CASH)
class NotingDeal:
    """Stands in for a deal: shows itself in the list of runs, and notes what it is told."""

    @workflow.init
    def __init__(self, start: Any = None) -> None:
        """What a deal begins with, it knows."""
        begun = start.get("event") if isinstance(start, dict) else None
        self._told: list[str] = [begun["event_id"]] if begun else []
        self._rechecks = 0
        self._ended = False

    @workflow.run
    async def run(self, start: Any = None) -> None:
        await workflow.wait_condition(lambda: self._ended)

    @workflow.signal(name=names.SALES_EVENT)
    def sales_event(self, event: dict[str, Any]) -> None:
        self._told.append(event["event_id"])

    @workflow.signal(name=names.FINANCE_EVENT)
    def finance_event(self, event: dict[str, Any]) -> None:
        self._told.append(event["event_id"])

    @workflow.signal(name=names.CREDIT_RECHECK)
    def recheck(self, message: dict[str, Any]) -> None:
        self._rechecks += 1

    @workflow.signal
    def end(self, why: str) -> None:
        self._ended = True

    @workflow.query
    def told(self) -> list[str]:
        return self._told

    @workflow.query
    def rechecks(self) -> int:
        return self._rechecks
