"""What becomes of a map that two others approved: tried on some records, in force for all of them, or stopped. Pure.

A record is looked at by the map's own rules: what the change moves is written, read back and held against the other
side. What stood there before is kept first, so that whoever takes the change back restores it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import zip_longest
from typing import Final, NamedTuple

from pydantic import AwareDatetime, Field

from domain.entities.map_change import Change, MapPlan, changes
from domain.entities.map_change_rules import ChangeClass
from domain.entities.map_change_said import MapWord
from domain.entities.merge import Both, Finding, Merged
from domain.entities.merge_forms import SyncedField, is_same, number_of
from domain.entities.model import DataMap, EntityName, Owner, Pattern, SideName
from domain.messages import SignedMessage
from domain.record import Record
from domain.refusals import Refusal
from domain.values import Company

LONGEST_TEXT: Final = 500
MOST_MOVED: Final = 50
"""What has moved since the approvals that is listed."""
_WRITES: Final = frozenset({Owner.FINANCE, Owner.SALES})
_MOVES_NOTHING: Final = frozenset({"pii", "required"})
"""Attributes of a field whose change gives no value another counterpart."""


class LookStep(StrEnum):
    """What a record is looked at for."""

    READ = "read"
    """Before the map is in force, where no sync runs: nothing is written."""
    CANARY = "canary"
    """The same, and written."""
    APPLY = "apply"
    """The map is in force."""
    RESTORE = "restore"
    """The change is taken back."""


class LookStatus(StrEnum):
    """What came of a look at a record."""

    WAITING = "waiting"
    AGREED = "agreed"
    """Both sides agree; nothing was written."""
    READ = "read"
    """It would be written."""
    WRITTEN = "written"
    ALONE = "alone"
    """There is not one record on each side."""
    REFUSED = "refused"
    DIFFERS = "differs"
    """It was written, and the sides still differ."""
    DROPPED = "dropped"
    """The change ended before it was looked at."""
    RESTORED = "restored"
    EDITED = "edited"
    """Somebody has edited it since: it stays as it is."""


FAILED: Final = frozenset({LookStatus.REFUSED, LookStatus.DIFFERS})
"""What stops a change while it is tried."""


class ChangeStatus(StrEnum):
    """How the change of a map stands."""

    RUNNING = "running"
    IN_FORCE = "in_force"
    STOPPED = "stopped"
    ROLLED_BACK = "rolled_back"


class ImageStatus(StrEnum):
    """What is known of a value that the change wrote."""

    PLANNED = "planned"
    """Kept before it was written; whether it was is not known yet."""
    WRITTEN = "written"
    RESTORED = "restored"
    EDITED = "edited"
    REFUSED = "refused"
    EXPIRED = "expired"
    """Its value was removed; it cannot be restored any more."""


class BeforeImage(Record):
    """A value as it was before the change wrote another one."""

    side: SideName
    field: str
    before: str
    after: str
    status: ImageStatus = ImageStatus.PLANNED
    sales_version: int = Field(0, description="Of the row in Sales")
    finance_version: str = Field("", max_length=200, description="Of the record in Finance")
    pii: bool = False


class Candidate(NamedTuple):
    """A record that a change hits."""

    company: str
    key: str
    kind: ChangeClass


class Look(Record):
    """A record that is to be looked at for a change."""

    change_id: str
    company: str
    key: str
    step: LookStep
    tries: int = 0


class Looked(Record):
    """What came of it."""

    status: LookStatus
    text: str = Field("", max_length=LONGEST_TEXT)
    again_at: AwareDatetime | None = Field(None, description="Somebody was saving it: it is looked at again then")


class LookFigures(Record):
    """Records of a change, by what came of them."""

    tried: dict[LookStatus, int] = Field({}, description="Before it was in force")
    applied: dict[LookStatus, int] = Field({}, description="Once it was")
    taken_back: dict[LookStatus, int] = Field({}, description="After it was stopped or rolled back")
    read_only: tuple[str, ...] = Field((), description="Companies where no sync ran: nothing was written there")


class LookShown(Record):
    """A record that a person may have to look at."""

    company: str
    key: str = Field(description="For people")
    status: LookStatus
    text: str = ""


class MapChangeShown(Record):
    """The change of a map as people see it."""

    change_id: str
    entity: str
    number: int
    status: ChangeStatus
    base_hash: str
    proposed_hash: str
    begun_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    text: str = Field("", description="Why it was stopped, or what was not tried")
    figures: LookFigures = LookFigures()
    edited: tuple[LookShown, ...] = Field((), description="Edited since, and so not taken back; the first ones")
    failed: tuple[LookShown, ...] = Field((), description="Refused, or still different; the first ones")


class MapChangeStart(Record):
    """Which approved map is to come into force, by whose word, and where a sync writes its records."""

    entity: EntityName
    number: int
    word: MapWord
    message: SignedMessage
    syncing: tuple[Company, ...] = Field((), max_length=200)


class ActivateArgs(Record):
    """What a person signs who puts a map in force."""

    entity: EntityName
    proposal: int
    seen: str = Field(max_length=64)
    why: str = Field(min_length=1, max_length=1_000)

    def are_of(self, start: MapChangeStart) -> bool:
        """Whether a run was begun for what was signed."""
        word = start.word
        return (self.entity, self.proposal, self.seen) == (start.entity, start.number, word.seen)


class MapChangeView(Record):
    """How the run stands."""

    entity: str
    number: int
    step: str = Field("check", description="check, dry_run, canary, activate, apply or done")
    code: Refusal | None = Field(None, description="Why it did not come into force")
    text: str = ""
    ended: bool = False


# Which values a change moves, and where


def moved_fields(before: DataMap | None, after: DataMap) -> tuple[str, ...]:
    """Fields whose values a sync writes because of the change: those that one side owns.

    Where the newest value counts, or a person says which one, nothing is written until somebody edits it.
    """
    if before is None or not (before.pattern is after.pattern is Pattern.SYNC):
        return ()
    named = dict.fromkeys(name for change in changes(before, after) if (name := moves(change, after)))
    return tuple(named)


def movable(fields: Sequence[SyncedField], moved: Iterable[str]) -> tuple[str, ...]:
    """Of fields whose values a change moves, those whose other side a sync may write at all."""
    wanted = set(moved)
    others: dict[str, SideName] = {
        field.name: "sales" if field.owner is Owner.FINANCE else "finance" for field in fields if field.name in wanted
    }
    return tuple(field.name for field in fields if others.get(field.name) in field.to)


def moves(change: Change, after: DataMap) -> str:
    """The field whose values one change moves; empty: it moves none."""
    part, _, rest = change.place.partition(".")
    name, _, attribute = rest.partition(".")
    field = after.fields.get(name)
    if part != "fields" or field is None or attribute in _MOVES_NOTHING or field.owner not in _WRITES:
        return ""
    return name


def chosen(candidates: Iterable[Candidate], most: int) -> list[Candidate]:
    """Some of the records that a change hits, each once: of every class and company in turn, each as it comes."""
    groups: dict[tuple[ChangeClass, str], list[Candidate]] = {}
    for each in candidates:
        groups.setdefault((each.kind, each.company), []).append(each)
    ranks: dict[ChangeClass, int] = {}
    ordered = []
    for kind, company in sorted(groups):
        ranks[kind] = ranks.get(kind, -1) + 1
        ordered.append((ranks[kind], kind, company))
    rounds = zip_longest(*(groups[kind, company] for _, kind, company in sorted(ordered)))
    found: dict[tuple[str, str], Candidate] = {}
    for each in (one for some in rounds for one in some if one is not None):
        if len(found) >= most:
            break
        found.setdefault((each.company, each.key), each)
    return list(found.values())


def moved_since(approved: MapPlan, now: MapPlan) -> tuple[str, ...]:
    """What a plan holds otherwise that was made again after it was approved; empty: it is the same."""
    if approved.hash == now.hash:
        return ()
    return tuple(_moved(approved, now))[:MOST_MOVED] or ("the plan says something else",)


def _moved(approved: MapPlan, now: MapPlan) -> Iterator[str]:
    for name, what in (
        ("proposed_hash", "the proposed map"),
        ("base_hash", "the map in force"),
        ("around_hash", "a map beside it"),
        ("snapshot", "the records that were kept"),
    ):
        old, new = getattr(approved, name), getattr(now, name)
        if old != new:
            yield f"{what}: {old[:8] or 'none'} was approved, {new[:8] or 'none'} is there now"
    counts = {impact.change.place: impact.records for impact in now.impacts}
    for impact in approved.impacts:
        place = impact.change.place
        if place not in counts:
            yield f"{place}: it is no change any more"
        elif counts[place] != impact.records:
            yield f"{place}: {impact.records} records were approved, there are {counts[place]} now"
    if approved.conflicts != now.conflicts:
        yield "the rules that the maps would break"


# What came of a look


def came_to(
    fields: Sequence[SyncedField], moved: Iterable[str], shown: Mapping[str, Both], findings: Iterable[Finding],
    currency: str, *, wrote: bool,
) -> Looked:  # fmt: skip
    """What a look at a pair came to, as both sides were read back: by the rules of a comparison."""
    here = {field.name: field for field in fields if field.name in set(moved)}
    for finding in findings:
        if finding.field in here:
            why = finding.cause.value if here[finding.field].pii else finding.text or finding.cause.value
            return Looked(status=LookStatus.REFUSED, text=f"{finding.field}: {why}"[:LONGEST_TEXT])
    for name, field in here.items():
        both = shown[name]
        if not is_same(field, both.finance, both.sales, currency) and not _is_left(field, both):
            return Looked(status=LookStatus.DIFFERS, text=f"{name}: both sides were read again, and still differ")
    return Looked(status=LookStatus.WRITTEN if wrote else LookStatus.AGREED)


def _is_left(field: SyncedField, both: Both) -> bool:
    """Whether a value of the owner is one that the map does not take over."""
    owner: SideName = "finance" if field.owner is Owner.FINANCE else "sales"
    return both.of(owner).strip() in field.refused


def images_of(
    fields: Sequence[SyncedField], merged: Merged, now: Mapping[str, Both], sales_version: int, finance_version: str
) -> list[BeforeImage]:
    """What is kept of a pair before it is written."""
    private = {field.name for field in fields if field.pii}
    return [
        BeforeImage(
            side=side,
            field=name,
            before=now[name].of(side),
            after=value,
            sales_version=sales_version,
            finance_version=finance_version[:200],
            pii=name in private,
        )
        for side in ("finance", "sales")
        for name, value in merged.to(side).items()
    ]


def restoring(
    fields: Sequence[SyncedField], images: Iterable[BeforeImage], now: Mapping[str, Both]
) -> tuple[dict[SideName, dict[str, str]], list[BeforeImage]]:
    """What is written to take a change back, by side, and what is settled already.

    A value is restored where it is still the one that the change wrote. Whatever else stands there, somebody has
    entered since, and it stays.
    """
    of = {field.name: field for field in fields}
    to: dict[SideName, dict[str, str]] = {"finance": {}, "sales": {}}
    settled: list[BeforeImage] = []
    for image in images:
        field, both = of.get(image.field), now.get(image.field)
        status = ImageStatus.EDITED
        if field is not None and both is not None:
            value = both.of(image.side)
            if same_value(field, value, image.before):
                status = ImageStatus.RESTORED
            elif same_value(field, value, image.after):
                to[image.side][image.field] = image.before
                continue
        settled.append(image.model_copy(update={"status": status}))
    return to, settled


def same_value(field: SyncedField, value: str, other: str) -> bool:
    """Whether one side has a value, whatever the form in which it tells numbers."""
    if value == other:
        return True
    a, b = (number_of(value), number_of(other)) if field.number else (None, None)
    return a is not None and a == b


def taken_back(images: Iterable[BeforeImage], why: str) -> Looked:
    """What a record came to whose values were to be restored."""
    found = {image.status for image in images}
    if ImageStatus.REFUSED in found:
        return Looked(status=LookStatus.REFUSED, text=why[:LONGEST_TEXT])
    edited = sorted(f"{each.field} in {each.side.title()}" for each in images if each.status is ImageStatus.EDITED)
    if edited:
        return Looked(status=LookStatus.EDITED, text=", ".join(edited)[:LONGEST_TEXT])
    return Looked(status=LookStatus.RESTORED)


def again(now: datetime, at: datetime | None) -> Looked:
    """A record that somebody was saving."""
    return Looked(status=LookStatus.WAITING, again_at=at or now)
