"""The audit table: who created, changed, assigned or deleted a row of an audited table, and when.

It is written while the organization has auditing on (`organization.isauditenabled`), is read-only, and is read by who
holds `prvReadAuditSummary`. Totals that the platform computes for a document are no change of its own in it. (Microsoft
Learn: "Retrieve the history of audited data changes", "Auditing overview"; table reference of `audit`.)
"""

from __future__ import annotations

import uuid
from typing import Final

from sandbox.dataverse.operation import Message, Operation

AUDITED: Final = frozenset(
    {
        "account",
        "contact",
        "opportunity",
        "opportunityproduct",
        "quote",
        "quotedetail",
        "salesorder",
        "salesorderdetail",
        "invoice",
        "invoicedetail",
    }
)
"""Tables whose changes are recorded where the organization records any."""

_OPERATIONS: Final = {"Create": 1, "Update": 2, "Delete": 3}
_ASSIGN: Final = 13


def record(operation: Operation) -> None:
    """Write down what an operation did, in its transaction."""
    organization = next(iter(operation.rows("organization")), None)
    if organization is None or not organization.get("isauditenabled"):
        return
    transaction = str(uuid.uuid4())
    for message in operation.messages:
        number = _OPERATIONS.get(message.name)
        if number is None or message.entity.name not in AUDITED:
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


def _is_assigned(message: Message) -> bool:
    before, after = message.before, message.after
    return before is not None and after is not None and before.get("_ownerid_value") != after.get("_ownerid_value")
