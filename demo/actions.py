"""What a deal costs on Temporal: its Actions, counted from its history.

Temporal Cloud bills Actions; self-hosted they measure the load just as well. The rules are those of Temporal's
documentation, page "Actions" (Temporal Cloud): starting a run, a timer, a signal, an update, an upsert of search
attributes and every attempt of an activity are one each; starting a child is one in the parent besides the child's own
start. A signal from one run to another is billed where it arrives, and one that begins a run is one Action with the
start. Attributes given at the start are free. Queries and heartbeats are billed, but leave no trace in a history and
are not counted; no workflow of ours uses local activities.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

_ONE_EACH = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
        EventType.EVENT_TYPE_TIMER_STARTED,
        EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
        EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
        EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED,
    }
)


@dataclass(frozen=True)
class HistoryCost:
    """Actions and events of one history, or of several added up."""

    actions: int = 0
    events: int = 0

    def __add__(self, other: HistoryCost) -> HistoryCost:
        """Both together."""
        return HistoryCost(self.actions + other.actions, self.events + other.events)


def history_cost(events: Iterable[HistoryEvent]) -> HistoryCost:
    """Count what one run cost so far.

    Args:
        events: the run's history, whole.

    Returns:
        Actions and number of events.
    """
    actions = 0
    total = 0
    just_begun = False
    for event in events:
        total += 1
        begun_by_it = just_begun and event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
        just_begun = event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
        if event.event_type in _ONE_EACH and not begun_by_it:
            actions += 1
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            # A retry leaves no event of its own, only the number of the attempt that ended it.
            actions += max(0, event.activity_task_started_event_attributes.attempt - 1)
    return HistoryCost(actions, total)
