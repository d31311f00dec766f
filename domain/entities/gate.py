"""The activation gate: whether the initial sync of a map may begin, and every reason why not.

Two kinds of trouble are told apart. What makes the run as a whole unsafe refuses it: no fresh dry run of this very map,
a record that breaks a critical rule, a target nobody can tell, a field all amounts hang on that differs, too much that
is not mapped, another writer. What is wrong with a single record besides blocks that record, and the others go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from pydantic import Field

from domain.entities.checks_of_facts import no_other_writer
from domain.entities.facts import Facts, RunningMap
from domain.entities.findings import Break, Known
from domain.entities.initial import Action, DryRun
from domain.entities.model import DataMap, EntityName, FieldName, MapRecord
from domain.money import cut
from domain.record import Record
from domain.values import Percent

MOST_NAMED: Final = 50
"""Targets that a verdict names; how many there are beyond is counted."""
MOST_ACCOUNTS: Final = 20
"""Accounts that are named of each."""


class Limits(MapRecord):
    """What an installation holds activation to."""

    version: str = Field(min_length=1, max_length=40)
    dry_run_hours: int = Field(24, ge=1, le=24 * 7, description="How old a dry run may be")
    canary: int = Field(50, ge=1, le=200, description="Records that are written and compared before the others")
    unmapped_pct: Percent = Field(description="Share of records that may be left unmapped")
    critical_conflicts: dict[EntityName, tuple[FieldName, ...]] = Field(
        {}, max_length=200, description="Fields of an entity that have to agree before any of its records is moved"
    )
    before_image_days: int = Field(
        30, ge=1, le=366, description="How long the values that the change of a map wrote over are kept"
    )


class GateCode(StrEnum):
    """Why a run is refused."""

    NO_DRY_RUN = "NO_DRY_RUN"
    OLD_DRY_RUN = "OLD_DRY_RUN"
    PLAN_GONE = "PLAN_GONE"
    CRITICAL_RULE = "CRITICAL_RULE"
    NOT_CHECKED = "NOT_CHECKED"
    AMBIGUOUS_TARGET = "AMBIGUOUS_TARGET"
    CRITICAL_CONFLICT = "CRITICAL_CONFLICT"
    UNMAPPED = "UNMAPPED"
    DUAL_WRITE = "DUAL_WRITE"
    DUAL_WRITE_NOT_KNOWN = "DUAL_WRITE_NOT_KNOWN"


class Reason(Record):
    """A reason, with what to do."""

    code: GateCode
    text: str
    records: int = 0


class Account(Record):
    """An account of Sales, as people know it."""

    id: str
    name: str = ""
    number: str = ""


class AmbiguousTarget(Record):
    """Accounts of which nobody can say which one a customer of Finance is."""

    customers: tuple[str, ...] = Field(description="Numbers in Finance")
    accounts: tuple[Account, ...]
    more: int = Field(0, description="Accounts beyond those that are named")
    score: float = Field(description="Of the closest pair, from 0 to 100")
    reasons: tuple[str, ...] = ()


class BrokenRule(Record):
    """A critical rule, and how many records break it."""

    number: int
    name: str
    remedy: str
    records: int


class Look(Record):
    """What was found in the records of a dry run."""

    critical: int = Field(0, description="Records with anything critical, each counted once")
    broken: tuple[BrokenRule, ...] = ()
    not_checked: tuple[str, ...] = Field((), description="Critical rules without an answer, with why")
    conflicts: dict[str, int] = Field({}, description="Records that differ in a field that has to agree, by field")
    ambiguous: tuple[AmbiguousTarget, ...] = ()
    ambiguous_more: int = Field(0, description="Beyond those that are named")
    score: Decimal | None = None
    quality_hash: str = ""


class Verdict(Record):
    """What the gate says."""

    entity: str
    company: str
    at: datetime
    allowed: bool
    map_hash: str
    run_id: str = ""
    plan_hash: str = ""
    quality_hash: str = ""
    limits: str = Field("", description="Version of the limits")
    score: Decimal | None = None
    critical: int = 0
    blocked: int = Field(0, description="Records that are left to people while the others go on")
    proceeds: int = Field(0, description="Records that the run would bring to agree, or that agree")
    reasons: tuple[Reason, ...] = ()
    ambiguous: tuple[AmbiguousTarget, ...] = ()
    ambiguous_more: int = 0


def judge(
    data: DataMap,
    company: str,
    map_hash: str,
    limits: Limits,
    now: datetime,
    *,
    dry_run: DryRun | None,
    look: Look | None,
    gone: str,
    dual_write: tuple[RunningMap, ...] | None,
) -> Verdict:
    """Whether an initial sync may begin.

    Args:
        data: the map in force.
        company: legal entity, lower case.
        map_hash: of the map.
        limits: of the installation.
        now: the moment.
        dry_run: the last one of the entity in the company; None: there is none.
        look: what was found in its records; None: they were not looked at.
        gone: why its pages cannot be looked at; empty: they can.
        dual_write: the maps that Dual-Write runs; None: nobody may read them.
    """
    fitting = dry_run if dry_run is not None and dry_run.map_hash == map_hash else None
    reasons = [
        *_of_run(data, company, limits, now, dry_run, fitting, gone),
        *(_of_records(limits, fitting, look) if fitting and look else ()),
        *_of_writers(data, dual_write),
    ]
    figures = fitting.figures if fitting else None
    blocked = figures.blocked if figures else 0
    return Verdict(
        entity=data.entity,
        company=company,
        at=now,
        allowed=not reasons,
        map_hash=map_hash,
        run_id=fitting.run_id if fitting else "",
        plan_hash=fitting.plan_hash if fitting else "",
        quality_hash=look.quality_hash if look else "",
        limits=limits.version,
        score=look.score if look else None,
        critical=look.critical if look else 0,
        blocked=blocked,
        proceeds=figures.records - blocked if figures else 0,
        reasons=tuple(reasons),
        ambiguous=look.ambiguous[:MOST_NAMED] if look else (),
        ambiguous_more=look.ambiguous_more + len(look.ambiguous[MOST_NAMED:]) if look else 0,
    )


def _of_run(
    data: DataMap,
    company: str,
    limits: Limits,
    now: datetime,
    dry_run: DryRun | None,
    fitting: DryRun | None,
    gone: str,
) -> Iterator[Reason]:
    again = f"Run `q2c initial {data.entity} --company {company} --dry-run`."
    if dry_run is None:
        yield Reason(code=GateCode.NO_DRY_RUN, text=f"There was no dry run. {again}")
    elif fitting is None:
        text = f"The last dry run was of another version of the map ({dry_run.map_hash[:8]}). {again}"
        yield Reason(code=GateCode.NO_DRY_RUN, text=text)
    elif now - fitting.ended_at > timedelta(hours=limits.dry_run_hours):
        hours = (now - fitting.ended_at) // timedelta(hours=1)
        text = f"The last dry run is {hours} hours old; at most {limits.dry_run_hours} are allowed. {again}"
        yield Reason(code=GateCode.OLD_DRY_RUN, text=text)
    if gone and fitting is not None:
        yield Reason(code=GateCode.PLAN_GONE, text=gone)


def _of_records(limits: Limits, run: DryRun, look: Look) -> Iterator[Reason]:
    for rule in look.broken:
        text = f"Rule {rule.number} ({rule.name}) is broken by {_records(rule.records)}. {rule.remedy}"
        yield Reason(code=GateCode.CRITICAL_RULE, text=text, records=rule.records)
    for why in look.not_checked:
        yield Reason(code=GateCode.NOT_CHECKED, text=f"A critical rule was not checked: {why}.")
    if targets := len(look.ambiguous) + look.ambiguous_more:
        which = "1 customer has" if targets == 1 else f"{targets:,} customers have"
        text = f"{which} several accounts in Sales. Merge them in Sales, or give each its own customer number."
        yield Reason(code=GateCode.AMBIGUOUS_TARGET, text=text, records=targets)
    for field, count in look.conflicts.items():
        text = f"{field} differs in {_records(count)}, and has to agree. Correct one of the two systems."
        yield Reason(code=GateCode.CRITICAL_CONFLICT, text=text, records=count)
    unmapped, records = run.figures.of(Action.UNMAPPED), run.figures.records
    if unmapped * 100 > limits.unmapped_pct * records:
        share = cut(Decimal(100 * unmapped) / records, 2)
        text = (
            f"{unmapped:,} of {_records(records)} are not mapped: {share} %, and {limits.unmapped_pct} % are allowed "
            "(unmapped_pct in activation/limits.yaml). The list of the dry run says what each lacks."
        )
        yield Reason(code=GateCode.UNMAPPED, text=text, records=unmapped)


def _of_writers(data: DataMap, dual_write: tuple[RunningMap, ...] | None) -> Iterator[Reason]:
    if dual_write is None:
        text = (
            "Whether Dual-Write runs a map of these records may not be read. Give the application that reads the role."
        )
        yield Reason(code=GateCode.DUAL_WRITE_NOT_KNOWN, text=text)
        return
    for found in no_other_writer(Known((data,), Facts(dual_write=dual_write))):
        if isinstance(found, Break):
            text = f"{found.problem[0].upper()}{found.problem[1:]}. Stop it before this map is activated."
            yield Reason(code=GateCode.DUAL_WRITE, text=text)


def _records(count: int) -> str:
    return "1 record" if count == 1 else f"{count:,} records"


def may_begin(verdict: Verdict | None, map_hash: str, dry_run: DryRun | None, limits: Limits, now: datetime) -> str:
    """Why the run that a verdict allowed may not begin any more; empty: it may.

    Args:
        verdict: what the gate said last; None: it was not asked.
        map_hash: of the map in force.
        dry_run: the one that the verdict is about; None: it is not known any more.
        limits: of the installation.
        now: the moment.
    """
    if verdict is None:
        return "The gate was not asked yet."
    if not verdict.allowed:
        return f"The gate refused it: {', '.join(dict.fromkeys(reason.code for reason in verdict.reasons))}."
    if verdict.map_hash != map_hash:
        return "The map was changed after the gate allowed it."
    if dry_run is None or dry_run.plan_hash != verdict.plan_hash:
        return "The dry run that the gate allowed is not known any more."
    if now - dry_run.ended_at > timedelta(hours=limits.dry_run_hours):
        return f"The dry run that the gate allowed is older than {limits.dry_run_hours} hours."
    return ""
