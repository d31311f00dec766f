"""What a history writes: rows of Sales by their own id, each for itself, in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from dynamics.core.batch import ChangeSet, Write
from dynamics.core.errors import Conflict, DynamicsError, NotFound, Refused
from dynamics.core.literals import key
from dynamics.core.odata import ODataClient, Row


class CopyWriter:
    """Writes to Sales, as the product's own application and within a budget of its own."""

    def __init__(self, dataverse: ODataClient) -> None:
        """Nothing is sent yet."""
        self._dataverse = dataverse

    async def write(self, entity_set: str, rows: Sequence[tuple[UUID, Row]]) -> list[DynamicsError | None]:
        """Write rows, each created where it is not there; one request. Why each was not taken, in their order.

        Raises:
            DynamicsError: the request as a whole failed, or a row did for now: all are written again.
        """
        sets = [ChangeSet((Write("PATCH", key(entity_set, row_id), body),)) for row_id, body in rows]
        errors = [answer.error for answer in await self._dataverse.batch(sets)]
        for error in errors:
            if error is not None and not isinstance(error, Refused | Conflict | NotFound):
                raise error
        return errors
