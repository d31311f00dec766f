"""What people tried and the web application refused: written to the audit, never to a deal.

A refusal costs the deal nothing, however often it is repeated: it becomes a record of the audit store beside the
deals, in batches and behind the answer. While the store is away a bounded number is kept; of more, their number.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from datetime import UTC, datetime
from typing import Final

import structlog

from domain.audit import BATCH, CODE, AuditKind, AuditRecord
from domain.people import SYSTEM, Person
from domain.refusals import Refusal
from ledger.opening import Ledger, LedgerAway

log = structlog.get_logger(__name__)

MOST: Final = 1_000
"""Attempts kept while the store does not answer."""
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
_AT_THE_END_SECONDS: Final = 5.0


class Attempts:
    """Writes refused attempts to the audit store, beside everything else."""

    def __init__(self, ledger: Ledger | None) -> None:
        """Write to ``ledger``; None: there is no audit store, and the security log alone knows."""
        self._ledger = ledger
        self._waiting: deque[AuditRecord] = deque()
        self._dropped = 0
        self._writer: asyncio.Task[None] | None = None

    def note(
        self, person: Person, refusal: Refusal, *, company: str, deal_id: str, event: str, message_id: str, policy: str
    ) -> None:
        """Have an attempt written down.

        Args:
            person: who tried.
            refusal: why it did not count.
            company: legal entity, lower case.
            deal_id: workflow id of the deal.
            event: name of the command or decision.
            message_id: of what was refused.
            policy: version of the rules it was refused under.
        """
        if self._ledger is None:
            return
        if len(self._waiting) >= MOST:
            self._dropped += 1
            return
        self._waiting.append(
            AuditRecord(
                record_id=f"web/{uuid.uuid4()}",
                company=company[:CODE],
                deal_id=deal_id[:CODE],
                kind=AuditKind.REFUSAL,
                event=event,
                at=datetime.now(UTC),
                actor=person.named,
                what=refusal.sentence,
                code=refusal.value,
                policy_version=policy,
                facts={"message": message_id[:CODE]},
            )
        )
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write(self._ledger), name="write refused attempts")

    async def close(self) -> None:
        """Write what is left, for a moment."""
        if self._writer is not None:
            _, late = await asyncio.wait([self._writer], timeout=_AT_THE_END_SECONDS)
            for task in late:
                task.cancel()
                log.warning("refused attempts were not written", attempts=len(self._waiting))

    async def _write(self, ledger: Ledger) -> None:
        pause = _FIRST_PAUSE
        while self._waiting:
            batch = [self._waiting[place] for place in range(min(BATCH, len(self._waiting)))]
            dropped = self._dropped
            try:
                await ledger.append([*batch, *_counted(dropped, batch[-1])])
            except LedgerAway as error:
                log.warning("refused attempts wait for the ledger", attempts=len(self._waiting), reason=str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            pause = _FIRST_PAUSE
            self._dropped -= dropped  # more may have been dropped meanwhile
            for _ in batch:
                self._waiting.popleft()


def _counted(dropped: int, last: AuditRecord) -> list[AuditRecord]:
    """How many attempts could not be kept, where there were any, as a record."""
    if not dropped:
        return []
    return [
        last.model_copy(
            update={
                "record_id": f"{last.record_id}/more",
                "kind": AuditKind.ATTEMPT,
                "event": "AttemptsNotListed",
                "actor": SYSTEM,
                "what": f"{dropped} more refused attempts",
                "deal_id": "",
                "code": "",
                "facts": {"count": str(dropped)},
            }
        )
    ]
