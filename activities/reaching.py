"""Deals wait for a system that is away, and go on when it is back: the oldest promise first, so many a second.

Whoever asks is told when to ask again: just after the circuit's next trial, each a little later than those before it in
the line. So the deal that has waited longest makes the trial, and when the system answers the others follow in order.
Each worker keeps the line of those that ask it; it is made again by their next questions where a worker is new.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.reaching_signatures import ReachActivities, WaitForSystem
from activities.signatures import FailureType, Nothing
from dynamics.core.connection import Connection
from dynamics.core.errors import DynamicsError, Transient

DEALS_PER_SECOND = 5.0
"""How many deals go on when a system is back. A step of a deal is two or three requests: about its budget."""
MOST = 2_000
"""Deals whose place is kept; those beyond come last, in no order."""
FORGOTTEN_AFTER = 900.0
"""Seconds after which a deal that asked no more has left the line."""
USUAL_PAUSE = 30.0
"""Seconds until the next question where nothing says when the next trial is: Entra ID gives no token."""

Place = tuple[bool, datetime]


class WaitingLine:
    """Who waits for one system, as far as this worker was asked."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nobody waits yet."""
        self._clock = clock
        self._asked: dict[str, tuple[Place, float]] = {}

    def before(self, wait: WaitForSystem) -> int:
        """How many go before a deal; it stands in the line from now on."""
        now = self._clock()
        self._asked = {who: seen for who, seen in self._asked.items() if now - seen[1] < FORGOTTEN_AFTER}
        place = (not wait.accepted, wait.promised)
        if wait.deal_id in self._asked or len(self._asked) < MOST:
            self._asked[wait.deal_id] = (place, now)
            return sum(1 for who, (other, _) in self._asked.items() if (other, who) < (place, wait.deal_id))
        return len(self._asked)

    def leave(self, wait: WaitForSystem) -> None:
        """It waits no longer."""
        self._asked.pop(wait.deal_id, None)


class Reaching(ReachActivities):
    """The waits, on the clients of both systems."""

    def __init__(self, sales: Connection, finance: Connection) -> None:
        """Nobody waits yet."""
        self._sales, self._sales_line = sales, WaitingLine()
        self._finance, self._finance_line = finance, WaitingLine()

    @activity.defn(name="wait_for_sales")
    async def wait_for_sales(self, wait: WaitForSystem) -> Nothing:
        """Return when requests may be sent to Sales."""
        return await _reach(self._sales, self._sales_line, wait)

    @activity.defn(name="wait_for_finance")
    async def wait_for_finance(self, wait: WaitForSystem) -> Nothing:
        """Return when requests may be sent to Finance."""
        return await _reach(self._finance, self._finance_line, wait)


async def _reach(system: Connection, line: WaitingLine, wait: WaitForSystem) -> Nothing:
    try:
        await system.odata.reach()
    except Transient as away:
        pause = (away.retry_after or USUAL_PAUSE) + line.before(wait) / DEALS_PER_SECOND
        raise ApplicationError(
            str(away),
            type=FailureType.TRANSIENT,
            next_retry_delay=timedelta(seconds=pause),
            category=ApplicationErrorCategory.BENIGN,
        ) from away
    except DynamicsError:
        pass  # an answer all the same: the deal's step says what it means
    line.leave(wait)
    return Nothing()
