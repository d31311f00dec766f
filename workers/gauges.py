"""How many deals are open, parked and overdue, as metrics.

Counted on the server every half minute, one query per value: nothing is kept per deal, so the cost does not grow with
them.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import structlog
from opentelemetry import metrics
from temporalio.client import Client
from temporalio.service import RPCError

from domain.views import WaitingFor
from runs.names import QUOTE_TO_CASH

EVERY_SECONDS = 30.0
_OPEN = f"WorkflowType = '{QUOTE_TO_CASH}' AND ExecutionStatus = 'Running'"

log = structlog.get_logger(__name__)


def deal_queries(now: datetime) -> dict[str, str]:
    """Visibility queries by the value of the attribute `state` of the metric `q2c_deals`.

    Args:
        now: aware; deadlines before it are overdue.
    """
    moment = now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {
        "open": _OPEN,
        "parked": f"{_OPEN} AND Q2CWaitingFor = '{WaitingFor.OPERATOR}'",
        "overdue": f"{_OPEN} AND Q2CWaitingFor = '{WaitingFor.APPROVAL}' AND Q2CDeadline < '{moment}'",
    }


async def report_deals(client: Client) -> None:
    """Count until cancelled; a count that fails is left out and tried again."""
    meter = metrics.get_meter("q2c")
    deals = meter.create_gauge("q2c_deals", description="Deals by state: open, parked, overdue")
    waiting = meter.create_gauge("q2c_deals_waiting", description="Open deals by what they wait for")
    while True:
        try:
            for state, query in deal_queries(datetime.now(UTC)).items():
                deals.set((await client.count_workflows(query)).count, {"state": state})
            for reason in WaitingFor:
                count = await client.count_workflows(f"{_OPEN} AND Q2CWaitingFor = '{reason}'")
                waiting.set(count.count, {"waiting_for": reason.value})
        except RPCError as error:
            log.warning("deals could not be counted", reason=error.message)
        await asyncio.sleep(EVERY_SECONDS)
