"""How long a deal is in each stage: a duration and a span for each it leaves, so that both are seen while it runs.

The spans belong to the trace that began the deal, across all its runs. When a stage began is known from what lists
show, so that a new run measures the whole of it.
"""

from __future__ import annotations

from opentelemetry import propagate
from temporalio import workflow

from domain.deal import Transition
from domain.deal_state import DealState
from domain.views import Stage
from runs import attributes, names


class StageClock:
    """Of one deal: its stage, and since when."""

    def __init__(self, state: DealState) -> None:
        """Begin with the deal as it stands."""
        self._at = _place(state)
        shown = workflow.info().typed_search_attributes
        began = shown.get(attributes.SINCE.key) if shown.get(attributes.STAGE.key) == str(state.stage) else None
        self._since = began or state.updated_at

    def look(self, transition: Transition) -> None:
        """Measure the stage the deal was in, where a transition ended it, or the deal."""
        after = transition.state
        (left, ended), since = self._at, self._since
        if ended or _place(after) == self._at:
            return
        self._at, self._since = _place(after), workflow.now()
        to = str(after.stage) if after.running else str(after.ending)
        _measure(str(left), to, (self._since - since).total_seconds())
        write = workflow.extern_functions().get(names.SPAN)
        if write is None or workflow.unsafe.is_replaying():
            return
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        about = {"q2c.company": after.company, "q2c.quote": after.quote_number, "q2c.to": to}
        write(carrier, f"Stage {left}", since.timestamp(), self._since.timestamp(), about)


def _measure(stage: str, to: str, seconds: float) -> None:
    """Record how long the stage took, and how long the history has become."""
    meter, info = workflow.metric_meter(), workflow.info()
    took = meter.create_histogram_float("q2c_stage_duration_seconds", "How long deals were in a stage they left", "s")
    took.record(max(0.0, seconds), {"stage": stage, "to": to})
    events = meter.create_histogram("q2c_history_events", "Events of a deal's history when it leaves a stage")
    events.record(info.get_current_history_length(), {"stage": stage})
    size = meter.create_histogram("q2c_history_bytes", "Size of a deal's history when it leaves a stage", "By")
    size.record(info.get_current_history_size(), {"stage": stage})


def _place(state: DealState) -> tuple[Stage, bool]:
    return state.stage, not state.running
