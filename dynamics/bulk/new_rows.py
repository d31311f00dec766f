"""What is asked of Dataverse before a row is made there: whose it will be, and to which rows its lookups lead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from domain.entities.model import DataMap, SalesSide, Scope
from domain.record import Record
from dynamics.bulk import sales
from dynamics.bulk.reader import Reader
from dynamics.core.literals import key, literal, query

if TYPE_CHECKING:
    from domain.entities.comparing import SalesTable

BIND: Final = "@odata.bind"
_OWNING_UNIT: Final = "owningbusinessunit"
_ENOUGH: Final = 2


class Target(Record):
    """Where a lookup leads: its navigation property, and the table's collection and column with the id."""

    link: str
    entity_set: str
    id: str


class Creation(Record):
    """How rows are made in Sales.

    Attributes:
        constants: values of every new row, by column.
        company: what makes a new row the company's, as a request says it.
        looked_through: condition on rows that no other company has: whose key one of them has is not made again.
        trouble: why none can be made; empty: they can.
        targets: where lookups lead, by column.
        follows: lookups that follow from another one's row: `lookup.column` by lookup.
    """

    constants: dict[str, str] = Field({})
    company: dict[str, str] = Field({})
    looked_through: str = ""
    trouble: str = ""
    targets: dict[str, Target] = Field({})
    follows: dict[str, str] = Field({})


async def read_creation(
    reader: Reader, data: DataMap, table: SalesTable, company: str, units: Mapping[str, str]
) -> Creation | None:
    """How rows of a map are made in Sales; None: it makes none. A few requests.

    Args:
        reader: of Dataverse.
        data: the map.
        table: of the map.
        company: legal entity, lower case.
        units: legal entity by name of the business unit.

    Raises:
        CannotCompare: a lookup leads to several tables.
        DynamicsError: Dataverse does not tell.
    """
    side = data.sales
    if side is None or not side.creates:
        return None
    bound, looked_through, trouble = await _of_company(reader, data, table, company, units)
    return Creation(
        constants=dict(side.constants),
        company=bound,
        looked_through=looked_through,
        trouble=trouble,
        targets=await _targets(reader, _lookups(data, side), table),
        follows=dict(side.follows),
    )


def _lookups(data: DataMap, side: SalesSide) -> list[str]:
    """Lookups that a new row is given."""
    keys = [column for column in side.key if column != data.company.sales]
    paths = [*keys, *(field.sales or "" for field in data.fields.values()), *side.constants]
    return list(dict.fromkeys([*(path.partition(".")[0] for path in paths if "." in path), *side.follows]))


async def _targets(reader: Reader, lookups: list[str], table: SalesTable) -> dict[str, Target]:
    links = {lookup: sales.link_of(table, lookup) for lookup in lookups}
    if not links:
        return {}
    definitions = [
        query(key("EntityDefinitions", LogicalName=table.targets[lookup][0]), select="EntitySetName,PrimaryIdAttribute")
        for lookup in links
    ]
    answers = [answer.value() for answer in await reader.together(definitions)]
    return {
        lookup: Target(link=link, entity_set=str(row["EntitySetName"]), id=str(row["PrimaryIdAttribute"]))
        for (lookup, link), row in zip(links.items(), answers, strict=True)
    }


async def _of_company(
    reader: Reader, data: DataMap, table: SalesTable, company: str, units: Mapping[str, str]
) -> tuple[dict[str, str], str, str]:
    """What makes a new row the company's, as a request says it; where rows are looked for; why none can be made."""
    column = data.company.sales
    if data.company.scope is not Scope.PER_COMPANY or column is None:
        return {}, "", ""
    lookup, _, last = column.partition(".")
    value = sales.company_in_sales(data, company)
    if lookup not in table.targets:
        return {lookup: value}, f"({lookup} eq {literal(value)} or {lookup} eq null)", ""
    if sales.COMPANY in table.targets[lookup]:
        last = "cdm_companycode"
    if not last:
        return await _of_unit(reader, lookup, table, company, units)
    target = (await _targets(reader, [lookup], table))[lookup]
    path = query(target.entity_set, select=target.id, filter=f"{last} eq {literal(value)}", top=_ENOUGH)
    rows = (await reader.page(path)).rows
    bound = {f"{target.link}{BIND}": f"/{target.entity_set}({row[target.id]})" for row in rows}
    condition = f"({target.link}/{last} eq {literal(value)} or _{lookup}_value eq null)"
    return bound, condition, "" if len(rows) == 1 else f"{len(rows)} rows of {target.entity_set} are {company}"


async def _of_unit(
    reader: Reader, lookup: str, table: SalesTable, company: str, units: Mapping[str, str]
) -> tuple[dict[str, str], str, str]:
    """The business unit of a new row. Whose it is follows from its owner, which is the unit's default team."""
    rows = (await reader.page(query("businessunits", select="businessunitid,name"))).rows
    of = {name.casefold(): legal_entity for name, legal_entity in units.items()}
    owners = {str(row["businessunitid"]): of.get(str(row["name"]).casefold()) for row in rows}
    others = sorted(unit for unit, owner in owners.items() if owner not in (None, company))
    condition = " and ".join(f"_{lookup}_value ne {unit}" for unit in others)
    ids = [unit for unit, owner in owners.items() if owner == company]
    if len(ids) != 1:
        trouble = f"{len(ids)} business units are the company {company}: which one a new row belongs to, a person says"
        return {}, condition, trouble
    if lookup != _OWNING_UNIT:
        return {f"{sales.link_of(table, lookup)}{BIND}": f"/businessunits({ids[0]})"}, condition, ""
    of_unit = f"isdefault eq true and _businessunitid_value eq {ids[0]}"
    teams = (await reader.page(query("teams", select="teamid", filter=of_unit))).rows
    if len(teams) != 1:
        trouble = f"the business unit of {company} has {len(teams)} default teams that could own a new row"
        return {}, condition, trouble
    return {f"ownerid{BIND}": f"/teams({teams[0]['teamid']})"}, condition, ""


class Lookups:
    """To which rows values lead; each is asked for once."""

    def __init__(self, creation: Creation, reader: Reader) -> None:
        """Nothing is asked yet."""
        self._creation = creation
        self._reader = reader
        self._known: dict[tuple[str, str], Sequence[Mapping[str, Any]]] = {}

    async def find(self, wanted: Iterable[tuple[str, str]]) -> None:
        """Ask for values by path (`lookup.column`); one request.

        Raises:
            DynamicsError: Dataverse does not tell.
        """
        lacking = list(dict.fromkeys(each for each in wanted if each not in self._known))
        if not lacking:
            return
        answers = await self._reader.together([self._path(path, value) for path, value in lacking])
        for each, answer in zip(lacking, answers, strict=True):
            rows = answer.rows()
            if rows:  # what leads nowhere now may lead somewhere later
                self._known[each] = rows

    def bound(self, path: str, value: str) -> dict[str, str]:
        """What a request says for a value.

        Raises:
            ValueError: it leads to no row, or to several.
        """
        lookup, _, last = path.partition(".")
        rows = self._known.get((path, value), ())
        target = self._creation.targets[lookup]
        if len(rows) != 1:
            raise ValueError(f"{len(rows) or 'no'} rows of {target.entity_set} have the {last} {value[:100]!r}")
        body = {f"{target.link}{BIND}": f"/{target.entity_set}({rows[0][target.id]})"}
        for other, column in self._following(lookup):
            there = self._creation.targets[other]
            body[f"{there.link}{BIND}"] = f"/{there.entity_set}({rows[0][f'_{column}_value']})"
        return body

    def _path(self, path: str, value: str) -> str:
        lookup, _, last = path.partition(".")
        target = self._creation.targets[lookup]
        columns = ",".join([target.id, *(f"_{column}_value" for _, column in self._following(lookup))])
        return query(target.entity_set, select=columns, filter=f"{last} eq {literal(value)}", top=_ENOUGH)

    def _following(self, lookup: str) -> list[tuple[str, str]]:
        """Lookups that follow from the row of this one, with that row's column."""
        parts = ((other, path.partition(".")) for other, path in self._creation.follows.items())
        return [(other, column) for other, (first, _, column) in parts if first == lookup]
