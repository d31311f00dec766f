"""Writes what happened in a deal into the audit store."""

from __future__ import annotations

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.signatures import AuditActivities, FailureType
from domain.audit import AuditBatch, AuditReceipt
from ledger.opening import Ledger, LedgerAway


class AuditDesk(AuditActivities):
    """Hands batches to the store."""

    def __init__(self, ledger: Ledger) -> None:
        """Write to the audit of ``ledger``."""
        self._ledger = ledger

    @activity.defn(name="record_audit")
    async def record_audit(self, batch: AuditBatch) -> AuditReceipt:
        """Store a batch for good. Sent again it changes nothing; what conflicts is written down as an error.

        Raises:
            ApplicationError: the store does not answer; nothing of the batch is stored by half.
        """
        try:
            return await self._ledger.append(batch.records)
        except LedgerAway as error:
            # Expected while the database is away: the deal keeps the records, and nobody is paged for each of them.
            raise ApplicationError(
                f"the audit store does not answer: {error}",
                type=FailureType.TRANSIENT,
                category=ApplicationErrorCategory.BENIGN,
            ) from error
