"""A deal's Actions are counted as Temporal's page "Actions" says."""

from __future__ import annotations

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from demo.actions import HistoryCost, history_cost


def event(kind: str) -> HistoryEvent:
    return HistoryEvent(event_type=EventType.Value(f"EVENT_TYPE_{kind}"))


def test_starts_timers_activities_signals_upserts_and_children_are_one_action_each() -> None:
    billed = (
        "WORKFLOW_EXECUTION_STARTED",
        "TIMER_STARTED",
        "ACTIVITY_TASK_SCHEDULED",
        "WORKFLOW_EXECUTION_SIGNALED",
        "WORKFLOW_EXECUTION_UPDATE_ACCEPTED",
        "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES",
        "START_CHILD_WORKFLOW_EXECUTION_INITIATED",
    )
    assert history_cost([event(kind) for kind in billed]) == HistoryCost(actions=7, events=7)


def test_a_signal_to_another_run_is_billed_there_and_one_that_begins_a_run_with_its_start() -> None:
    """Before: the first counted in both histories, the second twice."""
    sender = [event("SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED"), event("EXTERNAL_WORKFLOW_EXECUTION_SIGNALED")]
    receiver = [event("WORKFLOW_TASK_SCHEDULED"), event("WORKFLOW_EXECUTION_SIGNALED")]
    assert (history_cost(sender) + history_cost(receiver)).actions == 1
    begun = [
        event("WORKFLOW_EXECUTION_STARTED"),
        event("WORKFLOW_EXECUTION_SIGNALED"),
        event("WORKFLOW_TASK_SCHEDULED"),
    ]
    assert history_cost(begun).actions == 1
    assert history_cost([*begun, event("WORKFLOW_EXECUTION_SIGNALED")]).actions == 2


def test_what_the_server_writes_by_itself_is_free() -> None:
    free = ("WORKFLOW_TASK_SCHEDULED", "WORKFLOW_TASK_COMPLETED", "TIMER_FIRED", "ACTIVITY_TASK_COMPLETED")
    assert history_cost([event(kind) for kind in free]) == HistoryCost(actions=0, events=4)


def test_every_attempt_of_an_activity_counts() -> None:
    started = event("ACTIVITY_TASK_STARTED")
    started.activity_task_started_event_attributes.attempt = 4
    assert history_cost([event("ACTIVITY_TASK_SCHEDULED"), started]).actions == 4


def test_costs_of_a_deal_and_its_approval_add_up() -> None:
    assert HistoryCost(20, 90) + HistoryCost(6, 24) == HistoryCost(26, 114)
