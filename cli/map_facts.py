"""What both systems say of the tables that maps name, read for the linter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from cli import reach
from domain.entities.facts import Facts, Table
from domain.entities.model import DataMap
from dynamics.finance.metadata import read_sets
from dynamics.sales.metadata import read_running_maps, read_tables
from workers import composition

if TYPE_CHECKING:
    from dynamics.finance.client import Finance
    from dynamics.sales.client import Dataverse
    from workers.settings import Settings


async def ask(settings: Settings, maps: Iterable[DataMap]) -> tuple[Facts, list[str]]:
    """What the systems say, and in words why one could not be asked.

    Raises:
        SettingsError: a setting is wrong.
    """
    asked, facts = tuple(maps), Facts()
    composition.authority_file(settings)

    async def ask_finance(client: Finance) -> None:
        nonlocal facts
        facts = facts.model_copy(update={"finance": await of_finance(client, asked)})

    async def ask_sales(client: Dataverse) -> None:
        nonlocal facts
        facts = facts.model_copy(update=await of_dataverse(client, asked))

    problems = await reach.both(settings, ask_finance, ask_sales)
    return facts, problems


async def of_finance(finance: Finance, maps: Iterable[DataMap]) -> dict[str, Table]:
    """The entity sets that maps name, as Finance describes them; one request."""
    return await read_sets(finance, {data.finance.set for data in maps if data.finance})


async def of_dataverse(dataverse: Dataverse, maps: Iterable[DataMap]) -> dict[str, object]:
    """The tables that maps name, and those their lookups lead to, with what Dual-Write runs, as fields of Facts."""
    asked = tuple(maps)
    tables = await read_tables(dataverse, {data.sales.table for data in asked if data.sales})
    tables |= await read_tables(dataverse, set(_led_to(tables, asked)) - tables.keys())
    return {"sales": tables, "dual_write": await read_running_maps(dataverse)}


def _led_to(tables: dict[str, Table], maps: Iterable[DataMap]) -> Iterator[str]:
    """Tables that the lookups of paths lead to: `customerid.accountnumber` needs account."""
    for data in maps:
        if data.sales is None or data.sales.table not in tables:
            continue
        paths = (*data.sales.key, data.company.sales, *(field.sales for field in data.fields.values()))
        for first, dot, _ in (path.partition(".") for path in paths if path):
            column = tables[data.sales.table].columns.get(first)
            if dot and column:
                yield from column.targets
