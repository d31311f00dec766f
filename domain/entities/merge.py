"""Three-way merge: both sides' values of a field against the values both had when they were last looked at.

A field that is the same on both sides is agreed. One that is not is written only where a side has changed since, to the
side that its owner names. What differed before, or was refused, or waits for a person, is left as it is until a side
changes or somebody says what is to be. So a change is at most one write a side, and what is written changes nothing
that would be written back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from pydantic import Field

from domain.entities.merge_forms import CannotTell, NotListed, SyncedField, TooLong, is_same, told
from domain.entities.model import Owner, SideName
from domain.record import Record

SKEW: Final = timedelta(minutes=2)
"""How far the clocks of both systems may be apart: what was changed on both sides within it has no newest value."""
OTHER: Final[Mapping[SideName, SideName]] = {"finance": "sales", "sales": "finance"}


class Both(Record):
    """The values of a field on both sides, as they were read; an empty text is none."""

    finance: str = ""
    sales: str = ""

    def of(self, side: SideName) -> str:
        """One side's value."""
        return self.finance if side == "finance" else self.sales

    def with_(self, side: SideName, value: str) -> Both:
        """The same with another value on one side."""
        return self.model_copy(update={side: value})


class LetterCause(StrEnum):
    """Why something could not be applied."""

    CONFLICT = "CONFLICT"
    """A person has to say which value is right."""
    NOT_LISTED = "NOT_LISTED"
    """The map lists no counterpart of a value."""
    TOO_LONG = "TOO_LONG"
    """A text is longer than the other side holds."""
    NOT_TELLABLE = "NOT_TELLABLE"
    """A value is none of its kind, or leads to a row that is to be chosen by a person."""
    EMPTY = "EMPTY"
    """The owner's value is empty, and the map requires one."""
    REFUSED_BY_FINANCE = "REFUSED_BY_FINANCE"
    REFUSED_BY_SALES = "REFUSED_BY_SALES"
    NOT_TAKEN = "NOT_TAKEN"
    """A system took the write and shows another value."""
    DUPLICATE = "DUPLICATE"
    """Several rows of Sales have the same key."""
    DELETED_IN_FINANCE = "DELETED_IN_FINANCE"
    DELETED_IN_SALES = "DELETED_IN_SALES"


class Said(Record):
    """What a person says of a field: whose value it is to have, or which one.

    Attributes:
        take: side whose value counts; None: ``value``.
        value: in the words of Sales.
    """

    take: SideName | None = None
    value: str = Field("", max_length=4_000)


class Pair(Record):
    """A record as both sides have it, with what is known of it.

    Attributes:
        now: its fields, as they were read just now.
        last: its fields, as they were when they were looked at last; a field that never was is not in it.
        finance_at: when it was changed last in Finance; None: Finance does not tell.
        sales_at: the same of Sales.
        currency: of its amounts; empty: not known.
        said: what people say of fields.
        anew: fields that are judged as if both sides had just changed.
    """

    now: dict[str, Both]
    last: dict[str, Both] = Field({})
    finance_at: datetime | None = None
    sales_at: datetime | None = None
    currency: str = ""
    said: dict[str, Said] = Field({})
    anew: frozenset[str] = frozenset()


class Finding(Record):
    """Why a field was not written; the values are those of now."""

    field: str
    cause: LetterCause
    text: str = ""


class Merged(Record):
    """What a look at a pair comes to.

    Attributes:
        to_finance: values to be written, in Finance's words, by field.
        to_sales: the same for Sales.
        undone: of ``to_sales`` and ``to_finance``, fields whose value on that side somebody had changed.
        agreed: fields that are the same.
        findings: what a person has to look at.
    """

    to_finance: dict[str, str] = Field({})
    to_sales: dict[str, str] = Field({})
    undone: tuple[str, ...] = ()
    agreed: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    def to(self, side: SideName) -> dict[str, str]:
        """What is written to a side."""
        return self.to_finance if side == "finance" else self.to_sales


def merge(fields: Sequence[SyncedField], pair: Pair) -> Merged:
    """What has to be done so that a pair agrees."""
    found: dict[SideName, dict[str, str]] = {"finance": {}, "sales": {}}
    undone: list[str] = []
    agreed: list[str] = []
    findings: list[Finding] = []
    for field in fields:
        now = pair.now[field.name]
        if is_same(field, now.finance, now.sales, pair.currency):
            agreed.append(field.name)
            continue
        try:
            writes = _writes(field, pair)
        except _Stops as stop:
            if stop.cause is not None:
                findings.append(Finding(field=field.name, cause=stop.cause, text=str(stop)))
            continue
        for side, value in writes.items():
            found[side][field.name] = value
            last = pair.last.get(field.name)
            if last is not None and last.of(side) != now.of(side) and field.name not in pair.said:
                undone.append(field.name)
    return Merged(
        to_finance=found["finance"],
        to_sales=found["sales"],
        undone=tuple(undone),
        agreed=tuple(agreed),
        findings=tuple(findings),
    )


def remembered(last: Mapping[str, Both], shown: Mapping[str, Both]) -> dict[str, Both]:
    """What is known of a pair after it was looked at; fields that a map no longer has are forgotten."""
    return {name: both for name, both in {**last, **shown}.items() if name in shown}


def not_taken(fields: Iterable[SyncedField], merged: Merged, shown: Mapping[str, Both], currency: str) -> list[Finding]:
    """Fields that were written and are not the same, when they were read back."""
    written = {*merged.to_finance, *merged.to_sales}
    return [
        Finding(
            field=field.name,
            cause=LetterCause.NOT_TAKEN,
            text=f"{' and '.join(s.title() for s in ('finance', 'sales') if field.name in merged.to(s))} took the "
            "write and shows another value",
        )
        for field in fields
        if field.name in written and not is_same(field, shown[field.name].finance, shown[field.name].sales, currency)
    ]


def edited(
    fields: Iterable[SyncedField], merged: Merged, before: Mapping[str, Both], shown: Mapping[str, Both], currency: str
) -> list[str]:
    """Fields that differ because somebody changed them between the reading and the reading back, beside what was
    written.
    """
    return [
        field.name
        for field in fields
        if not is_same(field, shown[field.name].finance, shown[field.name].sales, currency)
        and any(
            before[field.name].of(side) != shown[field.name].of(side) and field.name not in merged.to(side)
            for side in OTHER
        )
    ]


class _Stops(Exception):
    """A field is not written; without a cause nothing has changed since it was looked at last."""

    def __init__(self, cause: LetterCause | None = None, text: str = "") -> None:
        super().__init__(text)
        self.cause = cause


def _writes(field: SyncedField, pair: Pair) -> dict[SideName, str]:
    """The value of a field that differs, by the side that is to have it."""
    now, said = pair.now[field.name], pair.said.get(field.name)
    if said is not None and said.take is None:
        return _by_hand(field, now, said.value, pair.currency)
    winner = said.take if said is not None and said.take is not None else _winner(field, pair)
    loser = OTHER[winner]
    if loser not in field.to:
        raise _Stops(LetterCause.CONFLICT, f"{loser.title()} is not written in this field")
    value = now.of(winner)
    if value.strip() in field.refused:
        raise _Stops
    if field.required and not value.strip():
        raise _Stops(LetterCause.EMPTY, f"{winner.title()} has no value, and the map requires one")
    return {loser: _told(field, value, loser, pair.currency, of=winner)}


def _by_hand(field: SyncedField, now: Both, value: str, currency: str) -> dict[SideName, str]:
    """A value that a person gave, for each side that does not have it."""
    lacking = [side for side in OTHER if not _has(field, now, side, value, currency)]
    for side in lacking:
        if side not in field.to:
            raise _Stops(LetterCause.CONFLICT, f"{side.title()} is not written in this field: correct it there")
    return {side: _told(field, value, side, currency, of="sales") for side in lacking}


def _has(field: SyncedField, now: Both, side: SideName, value: str, currency: str) -> bool:
    """Whether a side has a value, which is in the words of Sales."""
    if side == "finance":
        return is_same(field, now.finance, value, currency)
    return now.sales == value


def _told(field: SyncedField, value: str, to: SideName, currency: str, *, of: SideName) -> str:
    try:
        return value if of == to else told(field, value, to, currency)
    except CannotTell as error:
        raise _Stops(why_not_told(error), str(error)) from error


def why_not_told(error: CannotTell) -> LetterCause:
    """The cause of a letter about a value that cannot be told in the other side's words."""
    match error:
        case NotListed():
            return LetterCause.NOT_LISTED
        case TooLong():
            return LetterCause.TOO_LONG
        case _:
            return LetterCause.NOT_TELLABLE


def _winner(field: SyncedField, pair: Pair) -> SideName:
    """The side whose value counts."""
    now, last = pair.now[field.name], pair.last.get(field.name)
    changed = [side for side in OTHER if last is not None and last.of(side) != now.of(side)]
    if field.name in pair.anew:
        changed = ["finance", "sales"]
    if not changed:
        raise _Stops
    match field.owner:
        case Owner.FINANCE:
            return "finance"
        case Owner.SALES:
            return "sales"
        case Owner.MANUAL:
            raise _Stops(LetterCause.CONFLICT, "a person says which value is right")
        case Owner.NEWEST:
            return changed[0] if len(changed) == 1 else _newer(pair)


def _newer(pair: Pair) -> SideName:
    if pair.finance_at is None or pair.sales_at is None:
        raise _Stops(LetterCause.CONFLICT, "both sides changed it, and one does not say when")
    if abs(pair.finance_at - pair.sales_at) <= SKEW:
        raise _Stops(LetterCause.CONFLICT, "both sides changed it at about the same time")
    return "finance" if pair.finance_at > pair.sales_at else "sales"
