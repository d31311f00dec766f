"""What maps say, as tools answer it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from assistant import answers
from domain.entities.model import DataMap, Direction, FieldMap, Owner, Pattern
from policies import map_words


def described(data: DataMap, map_hash: str, at: datetime) -> answers.Described:
    """A map."""
    shown = map_words.described(data)
    how = {row[0]: row[-1] for row in shown.fields}
    return answers.Described(
        as_of=at,
        entity=data.entity,
        title=data.title,
        map_hash=map_hash,
        facts=dict(shown.facts),
        fields=tuple(
            answers.MappedField(
                name=name,
                finance=field.finance,
                sales=field.sales or "",
                owner=map_words.OWNERS[field.owner],
                how=how.get(name, ""),
                personal=field.pii,
            )
            for name, field in data.fields.items()
        ),
        unconfirmed=data.unconfirmed,
    )


def path_of(data: DataMap, name: str, at: datetime) -> answers.Lineage:
    """Where a field comes from and where it goes."""
    field = data.fields[name]
    how = next((row[-1] for row in map_words.described(data).fields if row[0] == name), "")
    return answers.Lineage(
        as_of=at,
        entity=data.entity,
        field=name,
        path=tuple(_path(data, field)),
        owner=map_words.OWNERS[field.owner],
        carried_by=map_words.PATTERNS[data.pattern][0],
        changed_on_the_way=how,
        personal=field.pii,
        compared_at=None,
        open_differences=None,
    )


def _path(data: DataMap, field: FieldMap) -> Iterator[answers.Step]:
    finance = answers.Step(
        system="Finance",
        place=f"{data.finance.set}.{field.finance}" if data.finance else field.finance,
        role="owner" if field.owner is Owner.FINANCE else "compared" if field.owner is Owner.MANUAL else "copy",
    )
    if data.sales is None or field.sales is None:
        yield finance
        if data.pattern is Pattern.VIRTUAL:
            yield answers.Step(system="Sales", place="virtual table", role="shown")
        return
    sales = answers.Step(
        system="Sales",
        place=f"{data.sales.table}.{field.sales}",
        role="owner" if field.owner is Owner.SALES else "compared" if field.owner is Owner.MANUAL else "copy",
    )
    first = field.owner is Owner.SALES or (field.owner is not Owner.FINANCE and data.direction is Direction.TO_FINANCE)
    yield from (sales, finance) if first else (finance, sales)
