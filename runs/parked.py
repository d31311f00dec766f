"""How many deals wait for an operator, by why."""

from __future__ import annotations

from collections import Counter
from typing import Final

from temporalio.client import Client

from domain.entities.data_overview import ParkedCount
from domain.views import WaitingFor
from runs import attributes, names, query
from runs.calls import listed

MOST_COUNTED: Final = 1_000
LONGEST_CAUSE: Final = 60


class ParkedDeals:
    """Deals that are parked."""

    def __init__(self, client: Client) -> None:
        """Reach them through a connected client."""
        self._client = client

    async def by_cause(self, companies: tuple[str, ...] | None) -> tuple[tuple[ParkedCount, ...], bool]:
        """How many there are of each cause, the most frequent in front, and whether there are more than were counted.

        Args:
            companies: of which; None: of all.

        Raises:
            NoAnswer: Temporal does not answer.
        """
        if companies == ():
            return (), False
        conditions = [
            query.of_type(names.QUOTE_TO_CASH),
            query.RUNNING,
            query.equals(attributes.WAITING_FOR, WaitingFor.OPERATOR),
        ]
        conditions += [query.among(attributes.COMPANY, companies)] if companies else []
        causes: Counter[str] = Counter()
        async for run in listed(self._client, query.all_of(*conditions)):
            if causes.total() == MOST_COUNTED:
                return _counts(causes), True
            try:
                cause = attributes.ERROR.of(run) or ""
            except ValueError:
                cause = ""
            causes[cause[:LONGEST_CAUSE]] += 1
        return _counts(causes), False


def _counts(causes: Counter[str]) -> tuple[ParkedCount, ...]:
    ordered = sorted(causes.items(), key=lambda each: (-each[1], each[0]))
    return tuple(ParkedCount(cause=cause, deals=number) for cause, number in ordered)
