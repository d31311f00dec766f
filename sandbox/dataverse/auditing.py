"""The audit table: who created, changed, assigned or deleted a row of an audited table, and when.

It is written while auditing is on for the organization (`organization.isauditenabled`) and, as last published, for the
table and one of the columns that changed (`IsAuditEnabled`). It is read-only, and read by who holds
`prvReadAuditSummary`. Totals that the platform computes for a document are no change of its own in it. (Microsoft
Learn: "Retrieve the history of audited data changes", "Auditing overview", "Configure auditing"; table reference of
`audit`.)
"""

from __future__ import annotations

import uuid
from typing import Final

from sandbox.dataverse.operation import Message, Operation
from sandbox.dataverse.schema import Entity

_OPERATIONS: Final = {"Create": 1, "Update": 2, "Delete": 3}
_ASSIGN: Final = 13
_STAMPS: Final = frozenset({"modifiedon", "modifiedby", "modifiedonbehalfby", "versionnumber"})
"""Columns that change with every update."""


def record(operation: Operation) -> None:
    """Write down what an operation did, in its transaction."""
    organization = next(iter(operation.rows("organization")), None)
    if organization is None or not organization.get("isauditenabled"):
        return
    transaction = str(uuid.uuid4())
    for message in operation.messages:
        number = _OPERATIONS.get(message.name)
        if number is None or not _is_audited(operation.schema.published.get(message.entity.name), message):
            continue
        operation.rows("audit").insert(
            {
                "auditid": str(uuid.uuid4()),
                "action": _ASSIGN if _is_assigned(message) else number,
                "operation": number,
                "_objectid_value": message.row_id,
                "objecttypecode": message.entity.name,
                "_userid_value": str(message.user["systemuserid"]),
                "createdon": operation.now,
                "transactionid": transaction,
                "versionnumber": operation.db.version + 1,
            }
        )


def _is_audited(published: Entity | None, message: Message) -> bool:
    """Whether the table is audited and, of an update, one of the columns whose value is another than before."""
    if published is None or not published.audited:
        return False
    before, after = message.before, message.after
    if before is None or after is None:
        return True
    return any(
        column.audited and column.name not in _STAMPS and before.get(stored) != after.get(stored)
        for stored, column in published.by_stored.items()
    )


def _is_assigned(message: Message) -> bool:
    before, after = message.before, message.after
    return before is not None and after is not None and before.get("_ownerid_value") != after.get("_ownerid_value")
