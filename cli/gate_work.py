"""What `q2c gate` does: looks at the last dry run, has a worker ask which maps Dual-Write runs, keeps what it says."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from rich.console import Console
from temporalio.client import Client

from cli import match
from cli.bulk_runs import asked, checked
from cli.data_extra import maps_in_force, require_data_extra
from cli.output import fail, note, result, result_as_json
from domain.calendar import local_date
from domain.entities.comparing import CannotCompare
from domain.entities.cross_reference import CrossReference
from domain.entities.facts import RunningMap
from domain.entities.gate import Look, Verdict, judge
from domain.entities.identity import hash_of
from domain.entities.initial import DryRun, Writers, WritersStart, require_synced
from domain.entities.model import SideName
from domain.policy import Policy, PolicyError
from ledger import cross_reference, initial_runs
from ledger.database import DATABASE_ERRORS, Database, open_database
from policies.activation_files import load_limits
from policies.quality_files import load_quality_rules
from runs.calls import Unreadable
from runs.initial import Initials
from workers.settings import Settings

if TYPE_CHECKING:
    from cleansing.gate import Held

SERVICE: Final = "q2c-gate"
SHOWN: Final = 10


def gate(entity: str, company: str, *, as_json: bool) -> int:
    """Judge, keep and report; the exit code."""
    require_data_extra()
    settings, policy, data = checked(entity, company)
    try:
        require_synced(data)
    except CannotCompare as error:
        fail(str(error))
    undecided, now = _held(settings, policy, company), datetime.now(UTC)
    map_hash, running = hash_of(data), _dual_write(settings, entity)

    async def judged(database: Database) -> Verdict:
        held = replace(undecided, decided=await cross_reference.read(database, company))
        dry_run = await initial_runs.last_dry_run(database, entity, company)
        look, gone = None, ""
        if dry_run is not None and dry_run.map_hash == map_hash:
            with _busy("Records are checked and matched", quiet=as_json):
                look, gone = await asyncio.to_thread(_looked, settings, dry_run, held)
        verdict = judge(
            data,
            company,
            map_hash,
            held.limits,
            now,
            dry_run=dry_run,
            look=look,
            gone=gone,
            dual_write=running,
        )
        await initial_runs.keep_verdict(database, verdict)
        return verdict

    verdict = _in_ledger(settings, judged)
    if as_json:
        result_as_json(verdict.model_dump(mode="json"))
    else:
        _print(verdict)
    return int(not verdict.allowed)


def _held(settings: Settings, policy: Policy, company: str) -> Held:
    from cleansing.gate import Held

    maps = maps_in_force()
    try:
        rules, limits = load_quality_rules(maps, settings.policies), load_limits(maps, settings.policies)
    except PolicyError as error:
        fail(str(error))
    of = policy.entity_map
    return Held(
        maps=maps,
        rules=rules,
        model=match.model_in_force(None),
        limits=limits,
        customers=policy.customers,
        companies=frozenset(of.business_units.values()),
        countries=of.countries,
        decided=CrossReference(),
        today=local_date(datetime.now(UTC), policy.calendar(company).timezone),
    )


def _looked(settings: Settings, dry_run: DryRun, held: Held) -> tuple[Look | None, str]:
    """What is found in the records of a dry run, or why they cannot be looked at."""
    from cleansing.gate import look
    from ledger.plans import Plan, PlanGone

    try:
        plan = Plan(settings.data.dir, dry_run)
    except PlanGone as error:
        return None, str(error)
    records: dict[SideName, list[str]] = {"finance": plan.records("finance"), "sales": plan.records("sales")}
    return look(dry_run.entity, dry_run.company, held, plan.files, records), ""


def _dual_write(settings: Settings, entity: str) -> tuple[RunningMap, ...] | None:
    """The maps that Dual-Write runs, asked by a worker; None: nobody can say."""

    async def told(client: Client) -> Writers | str:
        try:
            return await Initials(client).writers(WritersStart(entity=entity))
        except Unreadable as error:
            return str(error)

    found = asked(settings, SERVICE, told)
    if isinstance(found, str):
        note(found)
        return None
    return found.maps


def _in_ledger(settings: Settings, question: Callable[[Database], Awaitable[Verdict]]) -> Verdict:
    async def answered() -> Verdict:
        database = await open_database(settings.ledger.url.get_secret_value())
        try:
            return await question(database)
        finally:
            await database.close()

    try:
        return asyncio.run(answered())
    except DATABASE_ERRORS as error:
        fail(f"the ledger cannot be used: {error}", 1)


@contextmanager
def _busy(text: str, *, quiet: bool) -> Iterator[None]:
    """Say that something takes its time."""
    console = Console(file=sys.stderr)
    if quiet or not console.is_terminal:
        yield
        return
    with console.status(text):
        yield


def _print(verdict: Verdict) -> None:
    entity, company = verdict.entity, verdict.company.upper()
    if verdict.score is not None:
        result(f"{entity} of {company}: quality {verdict.score} of 100")
    for target in verdict.ambiguous[:SHOWN]:
        accounts = " and ".join(f"{each.name or '(no name)'} ({each.id})" for each in target.accounts)
        result(f"{', '.join(target.customers)}: {accounts}; score {target.score:g}")
        for text in target.reasons:
            result(f"    {text}")
    if more := verdict.ambiguous_more + len(verdict.ambiguous[SHOWN:]):
        result(f"and {more:,} more; --json names up to 50")
    for reason in verdict.reasons:
        result(f"{reason.code}: {reason.text}")
    if verdict.blocked:
        one = verdict.blocked == 1
        waits = "1 record waits" if one else f"{verdict.blocked:,} records wait"
        result(f"{waits} for people and would be left alone; {verdict.proceeds:,} proceed")
    if verdict.allowed:
        hashes = f"map {verdict.map_hash[:8]}, plan {verdict.plan_hash[:8]}, quality {verdict.quality_hash[:8]}"
        result(f"allowed and recorded: {hashes}")
    else:
        result(f"blocked: {verdict.critical:,} critical" if verdict.critical else "blocked")
