"""The rules that only the systems can answer: what exists, how long it is, what is required, who else writes.

What a system does not say is not checked, and is said so; it is never taken for right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from domain.entities.checks_of_maps import company_in_the_key, key_columns_once, newest_needs_times, values_told
from domain.entities.facts import CHOICES, NUMBERS, TEXTS, Column, Facts, Table
from domain.entities.findings import Break, Known, Unknown
from domain.entities.model import DataMap, FieldMap, FinanceSide, Owner, Pattern, SalesSide, Scope, SideName

Found = Iterator[Break | Unknown]
_NAMES: Final[dict[SideName, str]] = {"finance": "Finance", "sales": "Dataverse"}
_QUOTED: Final = re.compile(r"'(?:[^']|'')*'")
_COMPARED: Final = re.compile(r"([A-Za-z_]\w*)\s+(?:eq|ne|gt|ge|lt|le)\s")
_LOOKUP: Final = re.compile(r"_(\w+)_value")
_SIDES: Final[tuple[SideName, SideName]] = ("finance", "sales")


@dataclass(frozen=True, slots=True)
class Pair:
    """A field with both of its columns as the systems describe them."""

    data: DataMap
    name: str
    field: FieldMap
    finance: Column
    sales: Column

    def side(self, name: SideName) -> Column:
        """The column of a side."""
        return self.finance if name == "finance" else self.sales

    def targets(self) -> Iterator[tuple[SideName, Column, Column]]:
        """Each side that is written, with the column that is read and the one that is written."""
        for side in _SIDES:
            if self.data.fills(self.field, side):
                yield side, self.side("sales" if side == "finance" else "finance"), self.side(side)


def pairs(known: Known) -> Iterator[Pair]:
    """Fields whose columns both exist; one that does not is rule 9's."""
    for data in known.maps:
        if not (data.finance and data.sales) or data.pattern is Pattern.VIRTUAL:
            continue
        for name, field in data.fields.items():
            finance = known.facts.finance_column(data.finance.set, field.finance)
            sales = known.facts.sales_column(data.sales.table, field.sales or "")
            if finance and sales:
                yield Pair(data, name, field, finance, sales)


def unique_keys(known: Known) -> Found:
    """Rule 5."""
    yield from known.without("finance", "sales")
    for data in known.maps:
        yield from key_columns_once(data)
        for name, side in _sides(data):
            table = _table(known.facts, name, side)
            if table is None:
                continue
            parts = {part.partition(".")[0] for part in side.key}
            unique = [key for key in table.keys if set(key) <= parts]
            if not unique and not side.guard.strip():
                problem = f"{_NAMES[name]} has no unique key over {', '.join(side.key)}"
                yield Break(data.entity, f"{name}.key", problem)


def companies_live(known: Known) -> Found:
    """Rule 6."""
    yield from known.without("finance")
    yield from company_in_the_key(known)
    for data in known.maps:
        if data.finance is None or data.company.scope is not Scope.SHARED:
            continue
        table, column = _table(known.facts, "finance", data.finance), data.company.finance
        if table and column not in data.finance.key and any(column in key for key in table.keys):
            yield Break(data.entity, "company", f"Finance keeps these records by {column}, and the scope is shared")


def newest_live(known: Known) -> Found:
    """Rule 7."""
    yield from known.without("finance", "sales")
    for data in known.maps:
        yield from newest_needs_times(data)
        newest = [name for name, field in data.fields.items() if field.owner is Owner.NEWEST]
        for name, side in _sides(data) if newest else ():
            column = _column(known.facts, name, side, side.modified) if side.modified else None
            if column and column.kind != "moment":
                problem = f"NEWEST, and {side.modified} of {_NAMES[name]} holds no time"
                yield from (Break(data.entity, field, problem) for field in newest)


def columns_live(known: Known) -> Found:
    """Rule 9."""
    yield from known.without("finance", "sales")
    for data in known.maps:
        for name, side in _sides(data):
            if getattr(known.facts, name) is None:
                continue
            if _table(known.facts, name, side) is None:
                yield Break(data.entity, name, f"{_NAMES[name]} has no {_title(side)}")
                continue
            for where, column, written in _named(data, name, side):
                found = _column(known.facts, name, side, column)
                if found is None:
                    yield Break(data.entity, where, f"{_title(side)} of {_NAMES[name]} has no column {column}")
                elif written and not _writable(known.facts, name, side, column):
                    problem = f"{_title(side)}.{column} of {_NAMES[name]} cannot be written by an integration"
                    yield Break(data.entity, where, problem)


def values_total(known: Known) -> Found:
    """Rule 10."""
    yield from known.without("finance", "sales")
    for data in known.maps:
        yield from values_told(data)
    for pair in pairs(known):
        for side, source, target in pair.targets():
            yield from _values_towards(pair, side, source, target)


def _values_towards(pair: Pair, side: SideName, source: Column, target: Column) -> Found:
    field, entity = pair.field, pair.data.entity
    if field.values is None:
        if source.kind in CHOICES and target.kind in CHOICES:
            yield Break(entity, pair.name, "both sides are choices, and no value map says which is which")
        return
    finance, sales = set(field.values), set(field.values.values())
    listed, given = (sales, finance) if side == "finance" else (finance, sales)
    if source.options is not None:
        missing = [value for value in source.options if value not in listed and value not in field.refused]
        if missing:
            yield Break(entity, pair.name, f"the value map does not say what becomes of {', '.join(missing)}")
    elif field.otherwise is None:
        yield Break(entity, pair.name, "nothing says what becomes of a text that is not listed")
    unknown = sorted(value for value in given if target.options is not None and value not in target.options)
    if unknown:
        yield Break(entity, pair.name, f"{_NAMES[side]} has no value {', '.join(unknown)}")


def texts_fit(known: Known) -> Found:
    """Rule 11."""
    yield from known.without("finance", "sales")
    for pair in pairs(known):
        field = pair.field
        if field.values is not None or field.longer is not None:
            continue
        lengths = {"finance": pair.finance.length or field.finance_length, "sales": pair.sales.length}
        for side, source, target in pair.targets():
            if source.kind not in TEXTS or target.kind not in TEXTS:
                continue
            there, here = lengths["sales" if side == "finance" else "finance"], lengths[side]
            if there is None or here is None:
                silent = [_NAMES[name] for name in _SIDES if lengths[name] is None]
                yield Unknown(pair.data.entity, pair.name, f"{' and '.join(silent)} does not say how long it can be")
            elif there > here:
                problem = f"{there} characters do not fit into the {here} that {_NAMES[side]} takes"
                yield Break(pair.data.entity, pair.name, problem)


def decimals_fit(known: Known) -> Found:
    """Rule 12."""
    yield from known.without("finance", "sales")
    for pair in pairs(known):
        wanted = pair.field.decimals
        for side, source, target in pair.targets():
            if source.kind not in NUMBERS or target.kind not in NUMBERS:
                continue
            has = target.decimals
            if wanted is None:
                if source.decimals is None or source.decimals != has:
                    problem = f"{_NAMES[side]} keeps {_decimals(has)}, and nothing says how many are moved"
                    yield Break(pair.data.entity, pair.name, problem)
            elif isinstance(wanted, int) and isinstance(has, int) and wanted > has:
                problem = f"{wanted} decimals are moved, and {_NAMES[side]} keeps {has}"
                yield Break(pair.data.entity, pair.name, problem)
            elif isinstance(wanted, int) and has == "currency":
                problem = f"{wanted} decimals are moved, and {_NAMES[side]} keeps those of the currency"
                yield Break(pair.data.entity, pair.name, problem)


def _decimals(number: int | Literal["currency"] | None) -> str:
    if number == "currency":
        return "as many decimals as the currency has"
    return "an unknown number of decimals" if number is None else f"{number} decimals"


def required_filled(known: Known) -> Found:
    """Rule 13."""
    yield from known.without("finance", "sales")
    for data in known.maps:
        for name, side in _sides(data):
            table = _table(known.facts, name, side) if side.creates else None
            if table is None:
                continue
            filled = {
                *side.constants,
                *side.left_to_system,
                *(side.follows if isinstance(side, SalesSide) else ()),
                data.company.finance if name == "finance" else (data.company.sales or "").partition(".")[0],
                table.primary,
            }
            filled |= {_of(field, name) for field in data.fields.values() if field.required and data.fills(field, name)}
            filled = {column.partition(".")[0] for column in filled}
            needed = [*(part.partition(".")[0] for part in side.key)]
            needed += [column for column, about in table.columns.items() if about.required]
            for column in dict.fromkeys(needed):
                if column not in filled:
                    problem = f"{_NAMES[name]} wants {column} of a record that is created, and nothing fills it"
                    yield Break(data.entity, name, problem)


def no_other_writer(known: Known) -> Found:
    """Rule 15."""
    yield from known.without("dual_write")
    for data in known.maps:
        if data.sales is None or data.pattern in (Pattern.DUAL_WRITE, Pattern.NONE, Pattern.VIRTUAL):
            continue
        for running in known.facts.dual_write or ():
            if running.table != data.sales.table:
                continue
            if running.columns is None:
                problem = f"the Dual-Write map {running.entity} runs and writes {running.table}, in whichever columns"
                yield Break(data.entity, "", problem)
                continue
            for name, field in data.fields.items():
                column = (field.sales or "").partition(".")[0]
                if column in running.columns:
                    problem = f"the Dual-Write map {running.entity} runs and writes {running.table}.{column}"
                    yield Break(data.entity, name, problem)


# --- looking things up -----------------------------------------------------------------------------------------------


def _sides(data: DataMap) -> Iterator[tuple[SideName, FinanceSide | SalesSide]]:
    if data.finance:
        yield "finance", data.finance
    if data.sales:
        yield "sales", data.sales


def _title(side: FinanceSide | SalesSide) -> str:
    return side.set if isinstance(side, FinanceSide) else side.table


def _table(facts: Facts, name: SideName, side: FinanceSide | SalesSide) -> Table | None:
    tables = facts.finance if name == "finance" else facts.sales
    return (tables or {}).get(_title(side))


def _column(facts: Facts, name: SideName, side: FinanceSide | SalesSide, path: str) -> Column | None:
    return facts.finance_column(_title(side), path) if name == "finance" else facts.sales_column(_title(side), path)


def _writable(facts: Facts, name: SideName, side: FinanceSide | SalesSide, path: str) -> bool:
    """Whether a column can be written; of a path through a lookup, the lookup."""
    column = _column(facts, name, side, path.partition(".")[0])
    return column is not None and column.writable


def _of(field: FieldMap, name: SideName) -> str:
    return field.finance if name == "finance" else field.sales or ""


def _filtered(text: str) -> Iterator[str]:
    """The columns that a filter compares; Dataverse's `_x_value` is the lookup x."""
    for column in _COMPARED.findall(_QUOTED.sub("''", text)):
        lookup = _LOOKUP.fullmatch(column)
        yield lookup[1] if lookup else column


def _named(data: DataMap, name: SideName, side: FinanceSide | SalesSide) -> Iterator[tuple[str, str, bool]]:
    """Every column a map names on a side: where, which, and whether it is written."""
    for column in side.key:
        yield f"{name}.key", column, False
    if side.modified:
        yield f"{name}.modified", side.modified, False
    for column in _filtered(side.filter):
        yield f"{name}.filter", column, False
    for column in side.constants:
        yield f"{name}.constants", column, True
    for column in side.left_to_system:
        yield f"{name}.left_to_system", column, False
    if isinstance(side, SalesSide) and side.if_finance_deletes == "deactivate":
        yield f"{name}.if_finance_deletes", "statecode", True
    for lookup, column in side.follows.items() if isinstance(side, SalesSide) else ():
        yield f"{name}.follows", lookup, True
        yield f"{name}.follows", column, False
    company = data.company.finance if name == "finance" else data.company.sales
    if company and data.company.scope is not Scope.SHARED:
        yield f"company.{name}", company, False
    for field_name, field in data.fields.items():
        yield field_name, _of(field, name), data.fills(field, name) and data.pattern is not Pattern.VIRTUAL
