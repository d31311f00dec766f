"""What lists are made of, as Temporal has it, so that a transition costs one upsert and no change costs none."""

from __future__ import annotations

from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate

from runs.attributes import Attribute
from runs.labels import LABELS, DealLabels


class Published:
    """What of the search attributes is known to Temporal, from the start or from the run before."""

    def __init__(self) -> None:
        self._last: dict[str, Any] = {pair.key.name: pair.value for pair in workflow.info().typed_search_attributes}
        self._labels: DealLabels | None = workflow.memo_value(LABELS, None, type_hint=DealLabels)

    def differs(self, attribute: Attribute[Any], value: Any) -> bool:
        """Whether an attribute was something else the last time."""
        return bool(self._last.get(attribute.name) != attribute.update(value).value)

    def label(self, labels: DealLabels) -> None:
        """Write the names that lists show, where they are not those of the last time."""
        if labels != (self._labels or DealLabels()):
            self._labels = labels
            workflow.upsert_memo({LABELS: labels})

    def publish(self, values: dict[Attribute[Any], Any]) -> None:
        """Write what differs from the last time, in one command; None removes an attribute."""
        updates: list[SearchAttributeUpdate[Any]] = []
        for attribute, value in values.items():
            update = attribute.update(value)
            if self._last.get(attribute.name) != update.value:
                self._last[attribute.name] = update.value
                updates.append(update)
        if updates:
            workflow.upsert_search_attributes(updates)
