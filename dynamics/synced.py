"""What a sync writes: one row of Sales, one record of Finance, on the version that was read, and read back after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dynamics.core.batch import ChangeSet, Write
from dynamics.core.errors import DynamicsError
from dynamics.core.literals import key, query
from dynamics.core.odata import ODataClient, Row

NOTED: Final[Mapping[str, str]] = {"accounts": "objectid_account", "contacts": "objectid_contact"}
"""Collections of Sales whose rows take notes, with the column that leads from a note to its row."""
_LONGEST_NOTE: Final = 4_000


class SyncWriter:
    """Writes to both systems, as the product's own application and within a budget of its own."""

    def __init__(self, dataverse: ODataClient, finance: ODataClient) -> None:
        """Nothing is sent yet."""
        self._dataverse = dataverse
        self._finance = finance

    async def to_sales(self, entity_set: str, row_id: str, body: Row, etag: str, note: tuple[str, str] | None) -> None:
        """Change a row as it was read; one request. ``note``: subject and text of a note on it, written with it.

        Raises:
            Stale: somebody changed it meanwhile.
            DynamicsError: as the error table says.
        """
        writes = [Write("PATCH", key(entity_set, row_id), body, {"If-Match": etag or "*"})]
        if note is not None and entity_set in NOTED:
            subject, text = note
            bind = f"{NOTED[entity_set]}@odata.bind"
            said = {"subject": subject[:200], "notetext": text[:_LONGEST_NOTE], bind: f"/{entity_set}({row_id})"}
            writes.append(Write("POST", "annotations", said))
        (await self._dataverse.batch([ChangeSet(tuple(writes))]))[0].check()

    async def create_in_sales(self, entity_set: str, rows: Sequence[tuple[str, Row]]) -> list[DynamicsError | None]:
        """Make rows of given ids, each by itself; one request. None: it was made, Conflict: one is there already.

        Raises:
            DynamicsError: the request as a whole failed; nothing is known of what was made.
        """
        only_new = {"If-None-Match": "*"}
        writes = [ChangeSet((Write("PATCH", key(entity_set, row_id), body, only_new),)) for row_id, body in rows]
        return [answer.error for answer in await self._dataverse.batch(writes)]

    async def create_in_finance(self, entity_set: str, body: Row) -> Row:
        """Make a record, and what it is then; one request.

        Raises:
            UnknownOutcome: nothing is known of it: look for its mark before it is tried again.
            DynamicsError: as the error table says.
        """
        path = query(entity_set, cross_company="true")
        return (await self._finance.post(path, body, representation=True)).row or {}

    async def to_finance(self, entity_set: str, of: Mapping[str, Any], body: Row, etag: str) -> None:
        """Change a record as it was read; one request. Raises as ``to_sales``."""
        path = query(key(entity_set, **of), cross_company="true")
        await self._finance.patch(path, body, if_match=etag or "*")
