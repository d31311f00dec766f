"""How both systems stand to each other, as a reader sees it: lags, errors, counts and ages, of what they may see."""

from __future__ import annotations

import asyncio

from domain.entities.data_overview import AgeCount, DataOverview, ParkedCount, SidesCount
from domain.people import Person
from runs.calls import NoAnswer
from runs.parked import ParkedDeals
from web.data import Data, DifferencesQuery


class Overviews:
    """The numbers of the page under /data, and of the API."""

    def __init__(self, data: Data, parked: ParkedDeals) -> None:
        """Show what ``data`` may show, and the deals that are ``parked``."""
        self._data = data
        self._parked = parked

    async def read(self, person: Person) -> DataOverview:
        """How it stands now, in the companies of which a person may see the data.

        Raises:
            Problem: 403, none at all.
            LedgerAway: it does not answer.
        """
        companies = self._data.companies(person)
        shown, (lags, letters), parked = await asyncio.gather(
            self._data.differences(person, DifferencesQuery(), 1),
            self._data.lags_and_letters(person),
            self._by_cause(companies),
        )
        whole = [each.whole for each in shown.page.coverage.values() if each.whole is not None]
        known, (counts, more) = parked is not None, parked or ((), False)
        return DataOverview(
            lags=lags,
            letters=letters,
            parked=counts,
            parked_known=known,
            parked_more=more,
            sides=tuple(
                SidesCount(
                    company=run.company,
                    entity=run.entity,
                    compared_at=run.ended_at,
                    finance_records=run.figures.finance_records,
                    sales_records=run.figures.sales_records,
                )
                for run in sorted(whole, key=lambda run: (run.entity, run.company))
            ),
            ages=tuple(AgeCount.model_validate(count.model_dump()) for count in shown.page.counts),
        )

    async def _by_cause(self, companies: tuple[str, ...] | None) -> tuple[tuple[ParkedCount, ...], bool] | None:
        """The deals that are parked; None where Temporal does not answer: the page shows the rest."""
        try:
            return await self._parked.by_cause(companies)
        except NoAnswer:
            return None
