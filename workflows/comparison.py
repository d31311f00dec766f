"""Both systems' records are compared: read in parts, joined; what differs is read again, and what stands is kept."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.comparison_signatures import FinanceBulkActivities, JudgeComparison
    from domain.entities.comparison_run import CompareStart
    from domain.entities.comparison_view import ComparisonFigures, ComparisonView
    from runs import names
    from workflows.both_sides import BothSides, in_words


@workflow.defn(name=names.COMPARISON)
class CompareRecords(BothSides[CompareStart]):
    """One entity in one company, on both sides."""

    @workflow.init
    def __init__(self, start: CompareStart) -> None:
        """Make the state before the first question."""
        super().__init__(start)

    @workflow.run
    async def run(self, start: CompareStart) -> ComparisonView:
        """Compare, or end with the reason in words."""
        try:
            await self._read()
            await self._keep()
        except ActivityError as error:
            raise in_words(error) from None
        return self.state()

    @workflow.query(name=names.STATE, description="How far it is")
    def state(self) -> ComparisonView:
        """How far it is, and what it came to."""
        return self._start.seen(ComparisonView, self._progress, self._both_confirmed())

    async def _keep(self) -> None:
        at = self._progress
        figures = await self._finance(
            FinanceBulkActivities.judge_comparison,
            JudgeComparison(
                place=self._place,
                run_id=at.run_id,
                entity=self._start.entity,
                company=self._start.company,
                map_hash=at.map_hash,
                began_at=at.began_at,
                ended_at=workflow.now(),
                whole=self._start.sample == 0,
                keep_records=self._start.keep_records,
                figures=at.counted(),
            ),
            "Keep what differs",
        )
        self._set(figures=figures, stage="done")
        if not self._start.sample:
            _measure(self._start, figures)


def _measure(start: CompareStart, figures: ComparisonFigures) -> None:
    """How many records both sides have, where all were read."""
    records = workflow.metric_meter().create_gauge("q2c_compared_records", "Records of a side, when all were compared")
    of = {"company": start.company, "entity": start.entity}
    records.set(figures.finance_records, {**of, "side": "finance"})
    records.set(figures.sales_records, {**of, "side": "sales"})
