"""What the change of a map is: each of its attributes with its class, as a table, and the plan that people approve.

A class says what a change does to records: more of them or of their values are moved (WIDENING), fewer (NARROWING),
another side's value counts (OWNER), another record or column is meant (KEY), or it is moved another way (DIRECTION).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from pydantic import Field

from domain.entities.comparing import COMPARABLE
from domain.entities.findings import Finding
from domain.entities.identity import hash_of, hash_of_all
from domain.entities.lint import lint
from domain.entities.map_change_rules import ChangeClass
from domain.entities.model import DataMap
from domain.money import plain
from domain.record import Record

MOST_CHANGES: Final = 500
"""Changes of one plan that are listed; how many more there are is counted."""
MOST_CONFLICTS: Final = 100
KEEP: Final = "run `q2c compare {entity} --company … --keep`, and make the plan again"
LONGEST_TEXT: Final = 200
"""Characters of a value of a map that a plan shows."""


WIDENING, NARROWING = ChangeClass.WIDENING, ChangeClass.NARROWING
Classed = Callable[[Any, Any], ChangeClass]
"""The class of a change, of what stood before and what stands afterwards."""


def _always(kind: ChangeClass) -> Classed:
    return lambda before, after: kind


def _limits(before: Any, after: Any) -> ChangeClass:
    """A condition that was not there narrows; one that goes widens; another one may shut records out."""
    return WIDENING if before and not after else NARROWING


def _permits(before: Any, after: Any) -> ChangeClass:
    return WIDENING if after else NARROWING


def _reverse(before: Any, after: Any) -> ChangeClass:
    return NARROWING if after else WIDENING


def _entries(before: Any, after: Any) -> ChangeClass:
    """Entries that are only added widen; one that goes or changes narrows."""
    old, new = before or {}, after or {}
    return WIDENING if all(new.get(key) == value for key, value in old.items()) else NARROWING


def _values(before: Any, after: Any) -> ChangeClass:
    """The same, but a first value map shuts out what it does not list."""
    if not before or not after:
        return _limits(before, after)
    return _entries(before, after)


def _excludes(before: Any, after: Any) -> ChangeClass:
    """A list of what is left out: a longer one narrows."""
    return WIDENING if {*after} < {*before} else NARROWING


def _coarser(before: Any, after: Any) -> ChangeClass:
    """Of two tolerances the greater finds less."""
    return NARROWING if (after or 0) > (before or 0) else WIDENING


def _finer(before: Any, after: Any) -> ChangeClass:
    """More decimals or characters carry more; what cannot be told may carry less."""
    both = isinstance(before, int) and isinstance(after, int)
    return WIDENING if both and after > before else NARROWING


def _length(before: Any, after: Any) -> ChangeClass:
    return _limits(before, after) if before is None or after is None else _finer(before, after)


def _longer(before: Any, after: Any) -> ChangeClass:
    return WIDENING if after == "cut" else NARROWING


def _acts(_: Any, after: Any) -> ChangeClass:
    return NARROWING if after in (None, "letter") else WIDENING


CLASSES: Final[Mapping[str, Classed]] = {
    "entity": _always(ChangeClass.KEY),
    "pattern": _always(ChangeClass.DIRECTION),
    "frequency": _always(ChangeClass.DIRECTION),
    "direction": _always(ChangeClass.DIRECTION),
    "company.scope": _always(ChangeClass.KEY),
    "company.finance": _always(ChangeClass.KEY),
    "company.sales": _always(ChangeClass.KEY),
    "company.leads": _always(ChangeClass.KEY),
    "company.values": _always(ChangeClass.KEY),
    "finance.set": _always(ChangeClass.KEY),
    "finance.key": _always(ChangeClass.KEY),
    "finance.guard": _always(ChangeClass.KEY),
    "finance.filter": _limits,
    "finance.modified": _always(ChangeClass.OWNER),
    "finance.creates": _permits,
    "finance.constants": _entries,
    "finance.left_to_system": _excludes,
    "finance.belongs_to": _always(ChangeClass.KEY),
    "sales.table": _always(ChangeClass.KEY),
    "sales.key": _always(ChangeClass.KEY),
    "sales.guard": _always(ChangeClass.KEY),
    "sales.filter": _limits,
    "sales.modified": _always(ChangeClass.OWNER),
    "sales.creates": _permits,
    "sales.constants": _entries,
    "sales.left_to_system": _excludes,
    "sales.follows": _entries,
    "sales.if_finance_deletes": _acts,
    "sales.if_sales_deletes": _acts,
    "fields.finance": _always(ChangeClass.KEY),
    "fields.sales": _always(ChangeClass.KEY),
    "fields.owner": _always(ChangeClass.OWNER),
    "fields.values": _values,
    "fields.refused": _excludes,
    "fields.otherwise": _limits,
    "fields.tolerance": _coarser,
    "fields.decimals": _finer,
    "fields.longer": _longer,
    "fields.finance_length": _length,
    "fields.normal": _limits,
    "fields.pii": _reverse,
    "fields.required": _reverse,
}
"""Every attribute of a map that does something, with the class of its change. What only explains is no change."""
_PARTS: Final = ("company", "finance", "sales")
_UNORDERED: Final = frozenset({"finance.key", "sales.key", "finance.left_to_system", "sales.left_to_system"})


class Change(Record):
    """One attribute, field or side that the proposed map has otherwise."""

    kind: ChangeClass
    place: str = Field(max_length=200, description="`fields.phone.owner`; a field or side alone: it comes or goes")
    before: str = Field("", max_length=LONGEST_TEXT)
    after: str = Field("", max_length=LONGEST_TEXT)


class Impact(Record):
    """A change with the records it hits."""

    change: Change
    records: int | None = Field(None, description="None: no records were kept that could be counted")
    exact: bool = Field(False, description="Counted; else it is the most there can be")


class KeptRecords(Record):
    """The records of one company that a comparison kept: what a plan is counted over."""

    entity: str
    company: str
    run_id: str
    map_hash: str
    finance_sha256: str
    sales_sha256: str
    finance_records: int
    sales_records: int
    kept_at: datetime


class Base(NamedTuple):
    """The maps in force that a proposal is held against."""

    data: DataMap | None
    others: tuple[DataMap, ...]

    @classmethod
    def of(cls, maps: Iterable[DataMap], entity: str) -> Base:
        """What stands of an entity, and beside it."""
        all_maps = tuple(maps)
        mine = next((data for data in all_maps if data.entity == entity), None)
        return cls(mine, tuple(data for data in all_maps if data.entity != entity))

    @property
    def hash(self) -> str:
        """Of the map; empty: there is none."""
        return "" if self.data is None else hash_of(self.data)

    @property
    def around(self) -> str:
        """Of all maps in force together."""
        return hash_of_all((*self.others, *(() if self.data is None else (self.data,))))


class MapPlan(Record):
    """What a proposed map changes, and what hangs on it: what people approve, by its hash."""

    entity: str
    number: int = Field(0, description="Of the proposal; 0: a look beforehand")
    base_hash: str = Field("", description="Of the map in force; empty: there was none")
    around_hash: str = Field(description="Of all maps in force")
    proposed_hash: str
    snapshot: str = Field("", description="Digest of the records it was counted over; empty: there were none")
    records: tuple[KeptRecords, ...] = Field((), max_length=200)
    impacts: tuple[Impact, ...] = Field((), max_length=MOST_CHANGES)
    more_changes: int = 0
    classes: tuple[ChangeClass, ...] = Field((), description="Of all changes, those not listed among them")
    conflicts: tuple[str, ...] = Field((), max_length=MOST_CONFLICTS, description="Why it cannot come into force")
    made_at: datetime

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of everything but the moment it was made."""
        return _digest(self.model_dump(mode="json", exclude={"made_at"}))

    @property
    def counted_since(self) -> datetime | None:
        """When the oldest of its records were kept."""
        return min((each.kept_at for each in self.records), default=None)


def changes(before: DataMap | None, after: DataMap) -> tuple[Change, ...]:
    """What the proposed map has otherwise; nothing where only words differ."""
    if before is None:
        return (Change(kind=WIDENING, place=after.entity, after=after.pattern.value),)
    found = [*_of_attributes("", "", before, after)]
    for part in _PARTS:
        found += _of_part(part, part, getattr(before, part), getattr(after, part))
    for name in dict.fromkeys((*before.fields, *after.fields)):
        found += _of_part("fields", f"fields.{name}", before.fields.get(name), after.fields.get(name))
    return tuple(found)


def snapshot_of(records: Iterable[KeptRecords]) -> str:
    """Digest of what was kept of an entity: other records are another one; empty: there are none."""
    parts = sorted([each.company, each.run_id, each.finance_sha256, each.sales_sha256] for each in records)
    return _digest(parts) if parts else ""


def countable(base: DataMap | None, records: Iterable[KeptRecords]) -> tuple[KeptRecords, ...]:
    """The records that a plan is counted over: those that were read by the map in force."""
    now = "" if base is None else hash_of(base)
    return tuple(each for each in records if each.map_hash == now)


def conflicts(base: Base, after: DataMap) -> tuple[str, ...]:
    """Rules the maps would break with the proposed one that they do not break now, as far as the maps tell."""
    now = () if base.data is None else (base.data,)
    known = {_rule(found) for found in lint((*base.others, *now)).findings}
    new = [found for found in lint((*base.others, after)).findings if _rule(found) not in known]
    return tuple(
        f"rule {found.rule} ({found.name}): {found.entity}{found.field and f'.{found.field}'}: {found.problem}"[:500]
        for found in new[:MOST_CONFLICTS]
    )


def plan_of(
    number: int,
    base: Base,
    after: DataMap,
    records: Iterable[KeptRecords],
    impacts: Iterable[Impact],
    made_at: datetime,
) -> MapPlan:
    """The plan of a proposal."""
    kept, counted = countable(base.data, records), tuple(impacts)
    wrong = conflicts(base, after)
    if base.data is not None and base.data.pattern in COMPARABLE and not kept:
        wrong = (f"no records of the map in force are kept: {KEEP.format(entity=after.entity)}", *wrong)
    kinds = {impact.change.kind for impact in counted}
    return MapPlan(
        entity=after.entity,
        number=number,
        base_hash=base.hash,
        around_hash=base.around,
        proposed_hash=hash_of(after),
        snapshot=snapshot_of(kept),
        records=kept,
        impacts=counted[:MOST_CHANGES],
        more_changes=max(0, len(counted) - MOST_CHANGES),
        classes=tuple(kind for kind in ChangeClass if kind in kinds),
        conflicts=wrong[:MOST_CONFLICTS],
        made_at=made_at,
    )


def _rule(found: Finding) -> tuple[int, str, str]:
    return found.rule, found.entity, found.field


def _of_part(part: str, place: str, before: Any, after: Any) -> Iterator[Change]:
    if before is None and after is None:
        return
    if before is None:
        yield Change(kind=WIDENING, place=place, after=_named(after))
    elif after is None:
        yield Change(kind=NARROWING, place=place, before=_named(before))
    else:
        yield from _of_attributes(f"{part}.", f"{place}.", before, after)


def _of_attributes(part: str, place: str, before: Any, after: Any) -> Iterator[Change]:
    for name in type(after).model_fields:
        classed = CLASSES.get(f"{part}{name}")
        if classed is None:
            continue
        old, new = (_comparable(f"{part}{name}", getattr(each, name)) for each in (before, after))
        if old != new:
            yield Change(kind=classed(old, new), place=f"{place}{name}", before=_text(old), after=_text(new))


def _comparable(attribute: str, value: Any) -> Any:
    """A value as two maps are compared by it, as their hash is."""
    if attribute in _UNORDERED or attribute == "fields.refused":
        return tuple(sorted(value))
    if attribute in ("sales.guard", "finance.guard"):
        return bool(value.strip())
    if attribute == "fields.tolerance":
        return None if value is None else Decimal(plain(value))
    return " ".join(value.split()) if attribute.endswith(".filter") else value


def _named(part: Any) -> str:
    """A field or side in a few words."""
    named = (getattr(part, name, None) for name in ("set", "table", "finance", "sales", "owner"))
    return " ".join(str(each) for each in named if each)[:LONGEST_TEXT]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        value = ", ".join(f"{key}: {item}" for key, item in value.items())
    if isinstance(value, tuple):
        value = ", ".join(map(str, value))
    text = plain(value) if isinstance(value, Decimal) else str(value)
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
