"""How long Sales was behind Finance, as deals measure it: counted beside their runs, for the pages about data."""

from __future__ import annotations

from temporalio.worker import Interceptor, WorkflowInboundInterceptor, WorkflowInterceptorClassInput

from ledger.lag_counts import LagCounts
from runs import names


class DealLags(Interceptor):
    """Lets runs of deals count how long Sales was behind."""

    def __init__(self, lags: LagCounts) -> None:
        """Count in ``lags``."""
        self._lags = lags

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        """See base class."""
        input.unsafe_extern_functions[names.LAG] = self._count
        return None

    def _count(self, workflow_id: str, entity: str, seconds: float) -> None:
        try:
            company, _ = names.parse_deal_id(workflow_id)
        except ValueError:  # a test's, or somebody else's run of our type
            return
        self._lags.note(company, entity, "to_sales", seconds)
