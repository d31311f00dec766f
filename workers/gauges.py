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
from runs.calls import NoAnswer
from runs.search import count, open_deals, overdue_approvals

EVERY_SECONDS = 30.0

log = structlog.get_logger(__name__)


def deal_queries(now: datetime) -> dict[str, str]:
    """Visibility queries by the value of the attribute `state` of the metric `q2c_deals`.

    Args:
        now: aware; deadlines before it are overdue. Only requests for approval have one.
    """
    return {"open": open_deals(), "parked": open_deals(WaitingFor.OPERATOR), "overdue": overdue_approvals(now)}


async def report_deals(client: Client) -> None:
    """Count until cancelled; a count that fails is left out and tried again."""
    meter = metrics.get_meter("q2c")
    deals = meter.create_gauge("q2c_deals", description="Deals open and parked, and approvals overdue")
    waiting = meter.create_gauge("q2c_deals_waiting", description="Open deals by what they wait for")
    while True:
        try:
            for state, query in deal_queries(datetime.now(UTC)).items():
                deals.set(await count(client, query), {"state": state})
            for reason in WaitingFor:
                waiting.set(await count(client, open_deals(reason)), {"waiting_for": reason.value})
        except (NoAnswer, RPCError) as error:
            log.warning("deals could not be counted", reason=str(error))
        await asyncio.sleep(EVERY_SECONDS)
