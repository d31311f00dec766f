"""What `q2c assess` does: asks both systems as the application that only reads, a map and a company at a time."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from cli import inputs
from cli.data_extra import maps_in_force
from cli.output import fail, note, require_writable, result, result_as_json
from domain.entities.assess import (
    DAYS,
    LATENCY,
    Assessed,
    Assessment,
    Entity,
    PatternRules,
    Rates,
    Side,
    advice,
    cost,
    owners_of,
)
from domain.entities.comparing import (
    COMPARABLE,
    CannotCompare,
    Comparison,
    SalesTable,
    comparison,
    require_comparable,
)
from domain.entities.facts import RunningMap
from domain.entities.model import DataMap, Scope
from domain.policy import Policy, PolicyError
from dynamics.bulk import inventory, sales
from dynamics.bulk.reader import Reader
from dynamics.core.errors import DynamicsError, System
from policies.assess_files import load_pattern_rules
from policies.assess_page import as_html
from workers import composition
from workers.settings import Settings, SettingsError

MOST_PAGES: Final = 10
"""Pages of Sales that are looked at for empty fields and keys: 50,000 rows of an entity and company."""


@dataclass
class Asked:
    """Both systems, and what is known of them so far."""

    finance: Reader
    sales: Reader
    policy: Policy
    now: datetime
    totals: dict[str, int | str] = field(default_factory=dict)
    dual_write: tuple[RunningMap, ...] | None = None
    tables: dict[str, SalesTable] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def assess(companies: Sequence[str], out: Path | None, *, as_json: bool) -> int:
    """Take stock and report; the exit code."""
    if out is not None:
        require_writable(out, "--out")
    settings, policy, maps = inputs.settings(), inputs.policy(), maps_in_force()
    known = sorted(set(policy.entity_map.business_units.values()))
    if unknown := [each for each in companies if each not in known]:
        fail(f"--company: {unknown[0]} is none of {', '.join(known)}")
    try:
        rules = load_pattern_rules(settings.policies)
        found = asyncio.run(_assessed(settings, policy, maps, tuple(companies or known), rules, quiet=as_json))
    except (PolicyError, SettingsError) as error:
        fail(str(error))
    if out is not None:
        out.write_text(as_html(found), encoding="utf-8")
    if as_json:
        result_as_json(found.model_dump(mode="json"))
    else:
        _print(found, out)
    return int(bool(found.problems))


async def _assessed(
    settings: Settings,
    policy: Policy,
    maps: Sequence[DataMap],
    companies: tuple[str, ...],
    rules: PatternRules,
    *,
    quiet: bool,
) -> Assessment:
    who, endpoints = composition.reader(settings), composition.endpoints(settings)
    rates = Rates(
        read={
            "finance": settings.reader.finance_requests_per_second,
            "sales": settings.reader.dataverse_requests_per_second,
        },
        write={
            "finance": settings.finance.requests_per_second,
            "sales": settings.dataverse.requests_per_second,
        },
    )
    async with (
        Reader(System.FINANCE, endpoints[System.FINANCE], who) as finance,
        Reader(System.DATAVERSE, endpoints[System.DATAVERSE], who) as dataverse,
    ):
        asked = Asked(finance, dataverse, policy, datetime.now(UTC))
        await _ask_at_first(asked, maps)
        entities = []
        with _bar(quiet=quiet) as bar:
            places = [(data, company) for data in maps for company in _companies_of(data, companies)]
            for data, company in bar.track(places, description="Entities"):
                facts = await _facts(asked, data, company)
                entities.append(Assessed(facts=facts, advice=advice(rules, facts), cost=cost(facts, rates)))
    running = None if asked.dual_write is None else tuple(sorted(f"{m.entity} ({m.table})" for m in asked.dual_write))
    return Assessment(
        at=asked.now,
        companies=companies,
        rules=rules.version,
        entities=tuple(entities),
        dual_write=running,
        problems=tuple(dict.fromkeys(asked.problems)),
    )


def _bar(*, quiet: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        disable=quiet or not sys.stderr.isatty(),
    )


def _companies_of(data: DataMap, companies: Sequence[str]) -> Iterable[str]:
    """The companies an entity is looked at in; empty: it belongs to none."""
    match data.company.scope:
        case Scope.SHARED:
            return ("",)
        case Scope.ONE_FOR_ALL:
            return [each for each in companies if each == data.company.leads]
        case _:
            return companies


async def _ask_at_first(asked: Asked, maps: Sequence[DataMap]) -> None:
    """What is told of all tables together."""
    tables = sorted({data.sales.table for data in maps if data.sales})
    try:
        asked.totals = await inventory.totals_in_sales(asked.sales, tables)
        asked.dual_write = await sales.read_running_maps(asked.sales)
    except DynamicsError as error:
        asked.problems.append(f"Dataverse: {_short(error)}")


async def _facts(asked: Asked, data: DataMap, company: str) -> Entity:
    running = None
    if asked.dual_write is not None and data.sales is not None:
        running = tuple(each.entity for each in asked.dual_write if each.table == data.sales.table)
    return Entity(
        entity=data.entity,
        title=data.title,
        company=company,
        pattern=data.pattern,
        latency=LATENCY[data.frequency],
        owners=owners_of(data),
        fields=tuple(data.fields),
        dual_write=running if data.sales is not None else (),
        finance=await _in_finance(asked, data, company) if data.finance else None,
        sales=await _in_sales(asked, data, company) if data.sales else None,
    )


async def _in_finance(asked: Asked, data: DataMap, company: str) -> Side:
    """Counts of Finance: all records, those without a key, and by field those that are empty; one request."""
    assert data.finance is not None
    of = data.finance
    where = " and ".join(filter(None, (f"{data.company.finance} eq '{company}'" if company else "", of.filter)))
    key = next((column for column in of.key if column != data.company.finance), of.key[0])
    columns = {name: each.finance for name, each in data.fields.items()}
    conditions = [where, *(_and(where, f"{column} eq ''") for column in (key, *columns.values()))]
    if of.modified:
        since = (asked.now - timedelta(days=DAYS)).strftime("%Y-%m-%dT%H:%M:%SZ")
        conditions.append(_and(where, f"{of.modified} ge {since}"))
    try:
        counts = await inventory.count_in_finance(asked.finance, [(of.set, each) for each in conditions])
    except DynamicsError as error:
        asked.problems.append(f"Finance: {_short(error)}")
        return Side(name=of.set, why=_short(error))
    total, no_key, *fields = counts
    if isinstance(total, str):
        return Side(name=of.set, why=total)
    changed = fields.pop() if of.modified else None
    empty = {name: count for name, count in zip(columns, fields, strict=True) if isinstance(count, int)}
    return Side(
        name=of.set,
        records=total,
        looked_at=total,
        # Finance counts empty texts; a number or a choice is never empty there.
        empty=empty,
        key_empty=no_key if isinstance(no_key, int) else None,
        changed=changed if isinstance(changed, int) else None,
    )


async def _in_sales(asked: Asked, data: DataMap, company: str) -> Side:
    assert data.sales is not None
    total = asked.totals.get(data.sales.table, "it was not asked")
    side = Side(name=data.sales.table, whole=True)
    side = side.model_copy(update={"why": total} if isinstance(total, str) else {"records": total})
    try:
        of = await _comparison(asked, data, company)
        if isinstance(of, str):
            return side.model_copy(update={"why": of}) if of else side
        looked = await inventory.look_in_sales(asked.sales, of, MOST_PAGES)
        changed = None
        if data.sales.modified:
            since = asked.now - timedelta(days=DAYS)
            changed = await inventory.changed_in_sales(asked.sales, of, data.sales.modified, since)
    except DynamicsError as error:
        asked.problems.append(f"Dataverse: {_short(error)}")
        return side.model_copy(update={"why": _short(error)})
    whole = {"records": looked.rows, "whole": False, "why": ""} if not looked.more else {}
    return side.model_copy(
        update=whole
        | {
            "looked_at": looked.rows,
            "empty": looked.empty,
            "key_empty": looked.key_empty,
            "key_doubled": looked.key_doubled,
            "changed": changed,
            "most_changed": changed == inventory.MOST_COUNTED,
        }
    )


async def _comparison(asked: Asked, data: DataMap, company: str) -> Comparison | str:
    """How rows of Sales are read, or why they are not."""
    assert data.sales is not None
    try:
        require_comparable(data, company)
        if data.sales.table not in asked.tables:
            asked.tables[data.sales.table] = await sales.read_table(asked.sales, data.sales.table)
        table = asked.tables[data.sales.table]
        units = asked.policy.entity_map.business_units
        condition = await sales.of_company(asked.sales, data, table, company, units)
        of = comparison(data, company, table, condition)
        sales.require_readable(of)
    except CannotCompare as error:
        return str(error) if data.pattern in COMPARABLE else ""
    return of


def _and(*conditions: str) -> str:
    return " and ".join(filter(None, conditions))


def _short(error: DynamicsError) -> str:
    return str(error).split(" Trace ID:")[0]


def _print(found: Assessment, out: Path | None) -> None:
    console = Console(file=sys.stdout, highlight=False)
    table = Table("Entity", "Company", "Finance", "Sales", "Map", "Advised", "Requests", box=None)
    for each in found.entities:
        facts = each.facts
        spent = f"{each.cost.requests:,}" if each.cost else ""
        advised = "" if each.advice.fits else each.advice.pattern.value
        sides = (_number(facts.finance), _number(facts.sales))
        table.add_row(facts.entity, facts.company.upper() or "all", *sides, facts.pattern.value, advised, spent)
    console.print(table)
    for each in found.entities:
        if not each.advice.fits:
            result(f"{each.facts.entity} {each.facts.company.upper()}: {each.advice.pattern}. {each.advice.why}")
    if found.dual_write is None:
        result("Which maps Dual-Write runs may not be read.")
    elif found.dual_write:
        result(f"Dual-Write runs: {', '.join(found.dual_write)}")
    for problem in found.problems:
        note(problem)
    result(f"Nothing was written.{'' if out else ' --out FILE writes a page with charts.'}")
    if out is not None:
        note(str(out))


def _number(side: Side | None) -> str:
    if side is None:
        return "–"
    if side.records is None:
        return "?"
    return f"{side.records:,}{'*' if side.whole else ''}"
