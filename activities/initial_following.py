"""What carrying out a plan, and undoing that, follows, as long as nothing of it was changed and nobody else writes."""

from __future__ import annotations

from datetime import UTC, datetime

from temporalio.exceptions import ApplicationError

from activities.failures import refused
from activities.initial_run_signatures import OfPlan
from activities.signatures import FailureType
from activities.sync_signatures import OfSync
from activities.syncing import Plans
from domain.entities.initial import DryRun
from domain.entities.sync_records import Of
from domain.refusals import Refusal
from dynamics.bulk.changes import SyncPlan
from ledger.initial_ledger import InitialLedger
from runs.calls import RunError
from runs.syncs import Syncs


class Followed:
    """The map in force, the dry run, and the lease on the records."""

    def __init__(self, plans: Plans, ledger: InitialLedger, syncs: Syncs) -> None:
        """Ask these."""
        self._plans = plans
        self._ledger = ledger
        self._syncs = syncs

    async def alone(self, of: Of, writer: str) -> tuple[Refusal | None, str]:
        """Be the only one that writes, or say who does. A sync that begins later rests for as long."""
        if other := await self._ledger.take(of, writer, datetime.now(UTC)):
            return Refusal.INITIAL_RUNS, other
        try:
            if not await self._syncs.writes(of.entity, of.company):
                return None, ""
        except RunError as error:
            raise ApplicationError(str(error), type=FailureType.TRANSIENT) from error
        await self._ledger.leave(of, writer)
        return Refusal.SYNC_RUNS, f"q2c sync stop {of.entity} --company {of.company}"

    async def of(self, ask: OfPlan) -> tuple[SyncPlan, DryRun]:
        """What a run follows; refused where that was changed, or somebody else writes."""
        of = Of(ask.entity, ask.company)
        plan, resting = await self._plans.of(OfSync(entity=ask.entity, company=ask.company))
        if resting:
            raise refused(FailureType.REFUSED, resting)
        if plan.map_hash != ask.map_hash:
            raise refused(FailureType.REFUSED, f"The map of {ask.entity} was changed meanwhile: begin with a dry run.")
        code, who = await self.alone(of, ask.writer)
        if code is not None:
            raise refused(FailureType.REFUSED, f"{code.sentence} {who}")
        run = await self._ledger.dry_run(ask.dry_run)
        if run is None:
            raise refused(FailureType.REFUSED, f"The dry run {ask.dry_run} is not known any more.")
        return plan, run
