"""Search attributes as Temporal has them, so that a transition costs one upsert and no change costs none."""

from __future__ import annotations

from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate

from runs.attributes import Attribute


class Published:
    """What of the search attributes is known to Temporal, from the start or from the run before."""

    def __init__(self) -> None:
        self._last: dict[str, Any] = {pair.key.name: pair.value for pair in workflow.info().typed_search_attributes}

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
