"""What the commands of `q2c audit` do, with the database's libraries: only those commands wait for them to load."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Literal, TypeVar

import typer

from cli import inputs
from cli.output import fail, result, result_as_json
from domain.directory import conflicts_of, named_people
from domain.policy import PolicyError
from domain.record import Record
from domain.rights import Action
from ledger import reports
from ledger.audit import AuditStore
from ledger.database import Database, LedgerError, open_database
from ledger.export import ExportRefused, verify_file
from ledger.export import export as write_export
from ledger.map_looks import expire_older
from ledger.reads import MOST, AuditReader, AuditRow
from ledger.retention import Pruned, PruneRefused
from ledger.retention import prune as remove_old
from ledger.signing import AuditVerifier, SignatureWrong
from policies import retention
from policies.activation_files import limits_of_file
from workers.audit_keys import exports_signer
from workers.settings import Settings, SettingsError

T = TypeVar("T")

_FIXABLE = (LedgerError, ExportRefused, PruneRefused, SignatureWrong, SettingsError, PolicyError)
"""What a person can fix, and is told in one message."""


def export(
    company: str, since: datetime, until: datetime, out: Path, form: Literal["jsonl", "csv"], *, as_json: bool
) -> None:
    """Write a signed export.

    Args:
        company: legal entity, lower case.
        since: first day, UTC.
        until: last day, UTC, included.
        out: file to write; the signature goes beside it.
        form: JSON Lines or CSV.
        as_json: what is said of it is JSON.
    """

    async def work(settings: Settings, database: Database) -> None:
        signer = await asyncio.to_thread(exports_signer, settings)
        done = await write_export(
            AuditReader(database),
            signer,
            out,
            company=company,
            since=since.replace(tzinfo=UTC),
            until=_end_of(until.date()),
            form=form,
        )
        if as_json:
            result_as_json({"file": str(out), **done.model_dump(mode="json")})
            return
        result(f"{out}: {done.records} records ({done.first_seq} to {done.last_seq})\nsignature: {done.signature_file}")

    _on_ledger(work)


def verify_export(file: Path, *, as_json: bool) -> bool:
    """Check an exported file and say what was found; whether it holds."""
    if not file.is_file():
        fail(f"{file}: not a file that can be read")
    try:
        verdict = verify_file(file, AuditVerifier.from_file(inputs.settings().audit.public_keys_file))
    except (OSError, SignatureWrong) as error:
        fail(str(error))
    if as_json:
        result_as_json({"holds": verdict.holds, "checked": [{"file": str(file), **verdict.model_dump(mode="json")}]})
    else:
        result(f"{file}: {verdict.problem or f'{verdict.records} records hold'}")
    return verdict.holds


def verify_database(*, as_json: bool) -> bool:
    """Check every chain of the ledger and say what was found; whether all hold."""
    checked = _on_ledger(_verify_database)
    holds = not any(chain.problem for chain in checked)
    if as_json:
        result_as_json({"holds": holds, "checked": [chain.model_dump(mode="json") for chain in checked]})
        return holds
    for chain in checked:
        erased = f", {chain.erased} with a person erased" if chain.erased else ""
        result(chain.problem or f"{chain.company}: records to {chain.last_seq} hold{erased}")
    return holds


def _on_ledger(work: Callable[[Settings, Database], Awaitable[T]]) -> T:
    """Run a piece of work on the open ledger; what a person can fix ends as one message and exit code 2."""
    settings = inputs.settings()

    async def run() -> T:
        database = await open_database(settings.ledger.url.get_secret_value())
        try:
            return await work(settings, database)
        finally:
            await database.close()

    try:
        return asyncio.run(run())
    except _FIXABLE as error:
        fail(str(error))


class CheckedChain(Record):
    """What a check of a company's chain found."""

    company: str
    last_seq: int
    erased: int
    problem: str


async def _verify_database(settings: Settings, database: Database) -> list[CheckedChain]:
    reader, checked = AuditReader(database), list[CheckedChain]()
    for company in await reader.companies():
        check, finding = await reader.verify(company)
        problem = str(finding) if finding else ""
        checked.append(CheckedChain(company=company, last_seq=check.seq, erased=check.erased, problem=problem))
    return checked


def prune(*, as_json: bool) -> None:
    """Remove records whose time is over, and say how many of each company."""

    async def work(settings: Settings, database: Database) -> list[Pruned]:
        policy = retention(settings.policies)
        signer = await asyncio.to_thread(exports_signer, settings)
        removed = list[Pruned]()
        for company in await AuditReader(database).companies():
            removed.append(await remove_old(database, policy, signer, company, now=datetime.now(UTC)))
            if not as_json:
                result(f"{company}: {removed[-1].records} records removed")
        days = timedelta(days=limits_of_file(settings.policies).before_image_days)
        await expire_older(database, datetime.now(UTC) - days)
        return removed

    removed = _on_ledger(work)
    if as_json:
        result_as_json([done.model_dump(mode="json") for done in removed])


def erase(oid: str) -> int:
    """Forget a person; the number of records that named them or were theirs."""

    async def work(_settings: Settings, database: Database) -> int:
        return await AuditStore(database).erase(oid)

    return _on_ledger(work)


# Reports


def conflicts(people: Path | None, *, as_json: bool) -> None:
    """Show who holds roles that should be two people's."""
    found = conflicts_of(inputs.policy(), inputs.people_of(people))
    shown = [
        Conflict(company=c.company, oid=c.person.oid, name=c.person.label, roles=c.roles, why=c.why) for c in found
    ]
    _show(shown, as_json, "{company} {name}: {why} ({roles})")


def access(company: str, people: Path | None, *, as_json: bool) -> None:
    """Show every person's roles and number of decisions."""
    grants = _grants(people)
    wanted = [grant for grant in grants if grant.company in ("", company.lower())]
    found = reports.access_review(wanted, _rows(company))
    _show(found, as_json, "{name} {roles}: {decisions} decisions", found_is_bad=False)


def above_limit(company: str, people: Path | None, limits: Path | None, *, as_json: bool) -> None:
    """Show decisions beyond the authority of who made them."""
    grants = _grants(people)
    given = inputs.json_of(limits) if limits else {}
    try:
        amounts = {role: {code: Decimal(str(v)) for code, v in of.items()} for role, of in dict(given).items()}
        if not all(amount.is_finite() for of in amounts.values() for amount in of.values()):
            raise ValueError("no amount")
    except (ArithmeticError, AttributeError, TypeError, ValueError):
        fail(f'{limits}: not of the form {{"role": {{"USD": "250000"}}}}')
    releases = inputs.policy().rights.limits_of(Action.RELEASE_CREDIT)
    _show(
        reports.above_limit(_rows(company), grants, amounts, releases),
        as_json,
        "{deal_id} record {seq} {name}: {problem}",
    )


def unsigned_orders(company: str, *, as_json: bool) -> None:
    """Show orders without a signed decision before them."""
    _show(reports.unsigned_orders(_rows(company)), as_json, "{deal_id} record {seq}: {problem}")


def unknown_documents(company: str, known: Path, *, as_json: bool) -> None:
    """Show documents that Finance does not know."""
    try:
        there = [
            reports.Document(company=company, kind=str(entry["kind"]), number=str(entry["number"]))
            for entry in inputs.json_of(known)
        ]
    except (KeyError, TypeError):
        fail(f'{known}: not a list of {{"kind": "slip", "number": "…"}}')
    recorded = reports.documents_of(_rows(company))
    _show(reports.unknown_to_finance(recorded, there), as_json, "{deal_id}: {problem}")


def rounding(company: str, *, as_json: bool) -> None:
    """Show how Finance's orders differ from what was approved, within the tolerance, day by day."""
    timezone = inputs.policy().calendar(company).timezone
    found = reports.rounding_days(_rows(company), timezone)
    _show(found, as_json, "{day} {documents} orders: {net} {currency} ({absolute} without signs)", found_is_bad=False)


def _rows(company: str) -> list[AuditRow]:
    async def work(_settings: Settings, database: Database) -> list[AuditRow]:
        reader, found = AuditReader(database), list[AuditRow]()
        while page := await reader.page(company.lower(), after_seq=found[-1].seq if found else 0, limit=MOST):
            found += page
        return found

    return _on_ledger(work)


class Conflict(Record):
    """A person who holds two roles that should be two people's."""

    company: str
    oid: str
    name: str
    roles: tuple[str, ...]
    why: str


def _grants(people: Path | None) -> list[reports.Grant]:
    """Roles of the people of an export, or of those the policy names where there is none."""
    export = inputs.people_of(people)
    held = export.people if export else named_people(inputs.policy())
    return reports.grants_of(held, "directory" if export else "policies")


def _show(found: Iterable[Record], as_json: bool, line: str, *, found_is_bad: bool = True) -> None:
    lines = list(found)
    if as_json:
        result_as_json([entry.model_dump(mode="json") for entry in lines])
    for entry in () if as_json else lines:
        values = {name: ", ".join(v) if isinstance(v, tuple) else v for name, v in entry.model_dump().items()}
        result(line.format(**values))
    if found_is_bad:
        raise typer.Exit(1 if lines else 0)


def _end_of(day: date) -> datetime:
    return datetime.combine(date.fromordinal(day.toordinal() + 1), time(), tzinfo=UTC)
