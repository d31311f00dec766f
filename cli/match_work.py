"""What is open on the customers of the plans: asked of both systems, in batches, and nothing is written."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final
from uuid import UUID

from cleansing import plans
from cleansing.matching import Cluster, Kind, Member
from cleansing.plans import Standings
from cli import reach
from domain.customers import ORDERS_SHOWN, Standing

if TYPE_CHECKING:
    from dynamics.finance.client import Finance
    from dynamics.sales.client import Dataverse
    from workers.settings import Settings

MOST_ASKED: Final = 2_000
"""Records whose standing is asked for, on each side; how many are left is said."""
_BATCH: Final = 20


def standings(settings: Settings, clusters: Iterable[Cluster]) -> tuple[Standings, list[str]]:
    """What is open on each customer about which people decide, and in words why something is not known."""
    return asyncio.run(_ask(settings, list(_to_decide(clusters))))


def _to_decide(clusters: Iterable[Cluster]) -> Iterator[Member]:
    """Records of clusters in which people have something to decide: those that plans and the page speak of."""
    for cluster in clusters:
        for_people = plans.for_people(cluster, Standings())
        if for_people is not None and (cluster.kind is Kind.DOUBLE or for_people.is_to_decide):
            yield from cluster.members


async def _ask(settings: Settings, members: list[Member]) -> tuple[Standings, list[str]]:
    in_finance = [member for member in members if member.side == "finance"]
    in_sales = [member.key for member in members if member.side == "sales"]
    problems = [
        f"{len(found) - MOST_ASKED:,} records of {system} were not asked about: {MOST_ASKED:,} are at most"
        for system, found in (("Finance", in_finance), ("Sales", in_sales))
        if len(found) > MOST_ASKED
    ]
    finance: dict[tuple[str, str], Standing] = {}
    sales: dict[str, Standing] = {}

    async def ask_finance(client: Finance) -> None:
        finance.update(await of_finance(client, in_finance[:MOST_ASKED]))

    async def ask_sales(client: Dataverse) -> None:
        sales.update(await of_sales(client, in_sales[:MOST_ASKED]))

    problems += await reach.both(settings, ask_finance, ask_sales)
    return Standings(finance, sales), problems


async def of_finance(finance: Finance, members: Iterable[Member]) -> dict[tuple[str, str], Standing]:
    """What is open on customers in Finance, by company and number."""
    of_company: dict[str, dict[str, None]] = defaultdict(dict)
    for member in members:
        of_company[member.company][member.number] = None
    found: dict[tuple[str, str], Standing] = {}
    for company, listed in of_company.items():
        numbers = list(listed)
        for begin in range(0, len(numbers), _BATCH):
            open_on = await finance.customers.standing(company, numbers[begin : begin + _BATCH])
            for number, on in open_on.items():
                found[company, number] = Standing(
                    open_receivables=on.open_receivables,
                    currency=on.currency,
                    open_orders=len(on.orders),
                    orders=on.orders[:ORDERS_SHOWN],
                )
    return found


async def of_sales(dataverse: Dataverse, accounts: Iterable[str]) -> dict[str, Standing]:
    """What is open on accounts in Sales, by their id; one that was deleted has nothing."""
    found: dict[str, Standing] = {}
    for account in accounts:
        if (read := await dataverse.accounts.read(UUID(account), "")) is not None:
            found[account] = Standing(open_orders=len(read.orders), orders=read.orders[:ORDERS_SHOWN])
    return found
