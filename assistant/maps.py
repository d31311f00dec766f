"""What maps say, as tools answer it."""

from __future__ import annotations

from datetime import datetime

from assistant import answers
from domain.entities.model import DataMap
from policies import dictionary, map_words


def described(data: DataMap, at: datetime) -> answers.Described:
    """A map."""
    told = dictionary.entity(data)
    return answers.Described(
        as_of=at,
        entity=data.entity,
        title=data.title,
        map_hash=told.map_hash,
        facts=dict(map_words.described(data).facts),
        fields=tuple(
            answers.MappedField(
                name=field.name,
                finance=field.source("Finance"),
                sales=field.source("Sales"),
                owner=field.owner,
                how=field.how,
                personal=field.personal,
            )
            for field in told.fields
        ),
        unconfirmed=data.unconfirmed,
    )


def path_of(data: DataMap, name: str, at: datetime) -> answers.Lineage:
    """Where a field comes from and where it goes."""
    told = dictionary.entity(data)
    field = next(each for each in told.fields if each.name == name)
    return answers.Lineage(
        as_of=at,
        entity=data.entity,
        field=name,
        path=field.lineage,
        owner=field.owner,
        carried_by=told.pattern,
        changed_on_the_way=field.how,
        personal=field.personal,
        compared_at=None,
        open_differences=None,
    )
