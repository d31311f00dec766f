"""What the commands for changes of maps do: people's words go through the site, plans are made beside the records."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from cli import inputs
from cli.data_extra import require_data_extra
from cli.output import fail, note, result, result_as_json
from cli.site import asked, refusal
from domain.entities.identity import hash_of
from domain.entities.map_change import Base, KeptRecords, MapPlan
from domain.entities.map_run import MapChangeShown
from domain.entities.model import DataMap
from domain.refusals import Refusal
from ledger import map_versions
from ledger.database import DATABASE_ERRORS, Database, open_database
from policies.map_files import Maps, load_maps, with_file

if TYPE_CHECKING:
    from ledger.map_records import MapHistory
    from workers.settings import Settings

T = TypeVar("T")

SHOWN = 50


def propose(file: Path, reason: str, token_file: Path, *, as_json: bool) -> int:
    """Propose the map of a file; the exit code."""
    data = _map_of(file)
    body = {"message_id": str(uuid.uuid4()), "map": data.model_dump(mode="json"), "why": reason}
    answer, refused = asked("POST", "/maps", token_file, json=body)
    if refused:
        return refusal(refused, {"accepted": False, "detail": refused}, as_json=as_json)
    if as_json:
        result_as_json(answer)
    else:
        result(f"proposal {answer['number']} of {answer['entity']}")
        note(f"make its plan: q2c map plan {answer['entity']} {answer['number']}")
    return 0


def plan(entity: str, number: int, file: Path | None, *, as_json: bool) -> int:
    """Make a plan; the exit code. That of a file is only shown."""
    require_data_extra()
    if (file is None) == (not (entity and number)):
        fail("name a proposal (q2c map plan customer 3) or a file (--map)")
    settings = inputs.settings()
    proposed = None if file is None else _map_of(file)

    async def work(database: Database) -> MapPlan:
        files = load_maps(settings.policies)
        if files.problems:
            fail("\n".join(map(str, files.problems)))
        await map_versions.note_files(database, files.all, datetime.now(UTC))
        data = proposed or await _proposed(database, entity, number)
        maps = (await map_versions.in_force(database)).values()
        records = await map_versions.records_of(database, data.entity)
        made = await asyncio.to_thread(make_plan, number, data, Base.of(maps, data.entity), records, settings.data.dir)
        if proposed is None and (refused := await map_versions.keep_plan(database, made)) is not None:
            fail(f"{refused}: {refused.sentence}", 1)
        return made

    made = _with_ledger(settings, work)
    if as_json:
        result_as_json(made.model_dump(mode="json") | {"hash": made.hash, "kept": proposed is None})
    else:
        _print_plan(made, kept=proposed is None)
    return 1 if made.conflicts else 0


def make_plan(number: int, data: DataMap, base: Base, records: tuple[KeptRecords, ...], data_dir: Path) -> MapPlan:
    """The plan of a map, counted over the records that comparisons kept; ends the command where they are others."""
    from activities.map_impact import RecordsChanged, plan_over

    try:
        return plan_over(number, data, base, records, data_dir, datetime.now(UTC))
    except RecordsChanged as error:
        fail(str(error))


def say(do: str, entity: str, number: int, reason: str, token_file: Path, *, as_json: bool) -> int:
    """Approve, refuse, withdraw or activate a proposal as it is now; the exit code."""
    place = f"/maps/{quote(entity, safe='')}/proposals/{number}"
    shown, refused = asked("GET", place, token_file)
    if refused:
        return refusal(refused, {"accepted": False, "detail": refused}, as_json=as_json)
    body = {"message_id": str(uuid.uuid4()), "seen": shown["plan_hash"], "why": reason}
    answer, refused = asked("POST", f"{place}/{do}", token_file, json=body)
    return _said(answer, refused, f"{entity} {number}: {do} is recorded", as_json=as_json)


def rollback(entity: str, reason: str, token_file: Path, *, as_json: bool) -> int:
    """Put the former version in force again; the exit code."""
    place = f"/maps/{quote(entity, safe='')}"
    shown, refused = asked("GET", place, token_file)
    if refused:
        return refusal(refused, {"accepted": False, "detail": refused}, as_json=as_json)
    now = next((each["hash"] for each in shown["versions"] if each["until"] is None), "")
    body = {"message_id": str(uuid.uuid4()), "seen": now, "plan": shown.get("plan_in_force", ""), "why": reason}
    answer, refused = asked("POST", f"{place}/rollback", token_file, json=body)
    return _said(answer, refused, f"{entity}: the former version is in force", as_json=as_json)


def history(entity: str, *, as_json: bool) -> None:
    """Print every version of a map."""
    kept: MapHistory = _with_ledger(inputs.settings(), lambda database: map_versions.history(database, entity))
    if as_json:
        result_as_json(kept.model_dump(mode="json"))
        return
    if not kept.versions:
        fail(f"the ledger knows no map of {entity!r}: the first worker that starts notes those of the files")
    for version in kept.versions:
        until = "in force" if version.until is None else f"until {version.until:%Y-%m-%d %H:%M}"
        who = f"  {version.by.label}: {version.why}" if version.by else ""
        begun = f"{version.since:%Y-%m-%d %H:%M}"
        result(f"version {version.version:>3}  {version.hash[:8]}  {version.kind:<8}  {begun}  {until}{who}")
    for each in kept.proposals:
        approvals = f"{len(each.counting)} of 2 approvals" if each.plan else "no plan yet"
        result(f"proposal {each.number:>2}  {hash_of(each.data)[:8]}  {each.status.value:<9}  {approvals}  {each.why}")
    if kept.change is not None:
        for line in _of_change(kept.change):
            result(line)


def _of_change(change: MapChangeShown) -> Iterator[str]:
    """What the newest change did to records."""
    yield f"change by proposal {change.number}: {change.status.value}{change.text and f': {change.text}'}"
    figures = change.figures
    for name, counts in (("tried", figures.tried), ("applied", figures.applied), ("taken back", figures.taken_back)):
        if counts:
            yield f"  {name}: " + ", ".join(f"{number:,} {status.value}" for status, number in counts.items())
    if figures.read_only:
        yield f"  nothing was written in {', '.join(each.upper() for each in figures.read_only)}: no sync runs there"
    for each in (*change.edited, *change.failed):
        yield f"  {each.company.upper()} {each.key}  {each.status.value}{each.text and f': {each.text}'}"


def _said(answer: Any, refused: str, done: str, *, as_json: bool) -> int:
    if refused:
        return refusal(refused, {"accepted": False, "detail": refused}, as_json=as_json)
    if as_json:
        result_as_json(answer)
    else:
        result(done)
    return 0


def _map_of(file: Path) -> DataMap:
    """The map of a file; ends the command where it is none."""
    found = with_file(Maps((), ()), file)
    if found.problems:
        fail("\n".join(map(str, found.problems)))
    return found.files[0].data


async def _proposed(database: Database, entity: str, number: int) -> DataMap:
    found = await map_versions.history(database, entity)
    data = next((each.data for each in found.proposals if each.number == number), None)
    if data is None:
        fail(f"{Refusal.NOT_FOUND}: {entity} has no proposal {number}", 1)
    return data


def _with_ledger(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    async def opened() -> T:
        database = await open_database(settings.ledger.url.get_secret_value())
        try:
            return await work(database)
        finally:
            await database.close()

    try:
        return asyncio.run(opened())
    except DATABASE_ERRORS as error:
        fail(str(error))


def _print_plan(made: MapPlan, *, kept: bool) -> None:
    for impact in made.impacts[:SHOWN]:
        change = impact.change
        count = "not counted" if impact.records is None else f"{impact.records:,} records"
        count = count if impact.exact or impact.records is None else f"at most {count}"
        was = f"{change.before or '–'} → {change.after or '–'}"
        result(f"{change.kind.value:<10} {change.place:<32} {count:<24} {was}")
    left = len(made.impacts) - SHOWN + made.more_changes
    if left > 0:
        note(f"… and {left} more; --json shows them")
    if not made.impacts:
        result("nothing but words changes")
    for each in made.records:
        note(f"counted over {each.company}: {each.finance_records:,} of Finance, {each.sales_records:,} of Sales")
    for conflict in made.conflicts:
        result(f"cannot come into force: {conflict}")
    result(f"plan {made.hash}" if kept else "a look beforehand; nothing is kept")
