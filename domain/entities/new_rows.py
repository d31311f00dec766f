"""What a new row of Sales holds that a record of Finance asks for, and when one is made at all. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Final

from domain.entities.merge import Finding, LetterCause, why_not_told
from domain.entities.merge_forms import CannotTell, SyncedField, told
from domain.entities.sync_records import Due, Of

_ROWS: Final = uuid.UUID("5b0c7a52-3f0e-5d0a-9a55-6d1f6f1f7a11")


def new_row_id(of: Of, key: str) -> str:
    """The id of the row that is made for a record: the same however often it is tried, so that two are never made."""
    return str(uuid.uuid5(_ROWS, "\x1f".join((of.entity, of.company, key))))


def new_values(
    fields: Sequence[SyncedField], values: Mapping[str, str], currency: str
) -> tuple[dict[str, str], list[Finding]]:
    """The values of a new row by column, and why it cannot be made; no finding: it can.

    Args:
        fields: of the map, without those of the key.
        values: of Finance, by field.
        currency: of its amounts.
    """
    found: dict[str, str] = {}
    findings: list[Finding] = []
    for field in fields:
        value = values[field.name]
        if not value.strip():
            if field.required:
                text = "Finance has no value, and the map requires one"
                findings.append(Finding(field=field.name, cause=LetterCause.EMPTY, text=text))
            continue
        if value.strip() in field.refused:
            text = f"the map does not take {value[:100]!r} over"
            findings.append(Finding(field=field.name, cause=LetterCause.NOT_LISTED, text=text))
            continue
        try:
            found[field.sales] = told(field, value, "sales", currency)
        except CannotTell as error:
            findings.append(Finding(field=field.name, cause=why_not_told(error), text=str(error)))
    return found, findings


def is_to_be_made(due: Due, content: str) -> bool:
    """Whether a row is made for a record of Finance that Sales lacks and has never had.

    Only where Finance has made or changed it since all of it was read first: what was there at the beginning is an
    initial sync's. What was refused is tried again when the record changes, or when a person says so.
    """
    if due.source == "person" or due.anew:
        return True
    return due.known.content != content and not due.of_beginning
