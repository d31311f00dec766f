"""What a new record holds that one of the other side asks for, and when one is made at all. Pure."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Mapping, Sequence
from typing import Final

from domain.entities.merge import OTHER, Finding, LetterCause, why_not_told
from domain.entities.merge_forms import CannotTell, SyncedField, told
from domain.entities.model import Owner, SideName
from domain.entities.sync_records import Due, Of

_ROWS: Final = uuid.UUID("5b0c7a52-3f0e-5d0a-9a55-6d1f6f1f7a11")


def mark_of(row_id: str) -> str:
    """The mark of the record that is made for a row of Sales: the same however often it is tried, and no name."""
    digest = hashlib.sha256(row_id.lower().encode()).digest()
    return "Q2C-" + base64.b32encode(digest).decode()[:16]


def new_row_id(of: Of, key: str) -> str:
    """The id of the row that is made for a record: the same however often it is tried, so that two are never made."""
    return str(uuid.uuid5(_ROWS, "\x1f".join((of.entity, of.company, key))))


def new_values(
    fields: Sequence[SyncedField], values: Mapping[str, str], currency: str, to: SideName = "sales"
) -> tuple[dict[str, str], list[Finding]]:
    """The values of a new record by column, and why it cannot be made; no finding: it can.

    Args:
        fields: of the map, without those of the key.
        values: of the other side, by field.
        currency: of its amounts.
        to: side where it is made. A new row of Sales takes every value over, a new record of Finance none that Finance
            owns, and never a price or credit.
    """
    found: dict[str, str] = {}
    findings: list[Finding] = []
    for field in fields:
        if to == "finance" and (field.owner is Owner.FINANCE or to not in field.to):
            continue
        value = values[field.name]
        if not value.strip():
            if field.required:
                text = f"{OTHER[to].title()} has no value, and the map requires one"
                findings.append(Finding(field=field.name, cause=LetterCause.EMPTY, text=text))
            continue
        if value.strip() in field.refused:
            text = f"the map does not take {value[:100]!r} over"
            findings.append(Finding(field=field.name, cause=LetterCause.NOT_LISTED, text=text))
            continue
        try:
            found[field.sales if to == "sales" else field.finance] = told(field, value, to, currency)
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


def is_to_be_made_in_finance(due: Due) -> bool:
    """The same of a record that Finance lacks: its row is newer than the sync, or a person says so."""
    return due.source == "person" or not due.of_beginning
