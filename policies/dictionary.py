"""The data dictionary in words: made of the maps in force and of nothing else, so it says what they do."""

from __future__ import annotations

from domain.entities.dictionary import Dictionary, DictionaryEntity, DictionaryField, lineage
from domain.entities.identity import hash_of, hash_of_all
from domain.entities.model import DataMap
from policies import map_words
from policies.map_words import plain


def dictionary(maps: tuple[DataMap, ...]) -> Dictionary:
    """The dictionary of maps, by entity."""
    ordered = sorted(maps, key=lambda data: data.entity)
    return Dictionary(hash=hash_of_all(maps), entities=tuple(map(entity, ordered)))


def entity(data: DataMap) -> DictionaryEntity:
    """What a map says of its records."""
    how = {row[0]: row[-1] for row in map_words.described(data).fields}
    return DictionaryEntity(
        entity=data.entity,
        title=data.title,
        meaning=data.reason,
        pattern=map_words.PATTERNS[data.pattern][0],
        direction=map_words.DIRECTIONS[data.direction],
        map_hash=hash_of(data),
        map_version=data.version,
        fields=tuple(
            DictionaryField(
                name=name,
                owner=map_words.OWNERS[field.owner],
                personal=field.pii,
                required=field.required,
                how=how.get(name, ""),
                lineage=lineage(data, field),
            )
            for name, field in data.fields.items()
        ),
        unconfirmed=data.unconfirmed,
    )


def as_markdown(found: Dictionary) -> str:
    """The dictionary as one page of Markdown."""
    lines = ["# Data dictionary", "", f"Made of the maps `{found.hash[:12]}`.", ""]
    for each in found.entities:
        lines += [f"## {plain(each.title)}", ""]
        lines += [f"`{each.entity}`, map `{each.map_hash[:12]}`. {plain(each.meaning)}", ""]
        lines += [f"{plain(each.pattern)}. Direction: {each.direction}.", ""]
        if each.fields:
            lines += ["| Field | Owner | Personal | Travels | How |", "|---|---|---|---|---|"]
            lines += [_line(field) for field in each.fields] + [""]
        lines += [f"- Not confirmed: {plain(text)}" for text in each.unconfirmed] + ([""] if each.unconfirmed else [])
    return "\n".join(lines).rstrip()


def _line(field: DictionaryField) -> str:
    cells = (
        f"`{field.name}`{' (required)' if field.required else ''}",
        field.owner,
        "yes" if field.personal else "",
        " → ".join(f"{place.system} `{place.place}`" for place in field.lineage),
        plain(field.how),
    )
    return f"| {' | '.join(cells)} |"
