"""`q2c audit`: hand the audit to an auditor, check it, keep it as long as the policy says, forget a person."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar

import typer

from domain.policy import PolicyError
from domain.record import Record
from ledger import reports
from ledger.audit import AuditStore
from ledger.database import Database, LedgerError, open_database
from ledger.export import ExportRefused, export, verify_file
from ledger.reads import MOST, AuditReader, AuditRow
from ledger.retention import PruneRefused, prune
from ledger.signing import AuditSigner, AuditVerifier, SignatureWrong
from policies import retention
from workers.rules import load_policy
from workers.settings import Settings, SettingsError, load_settings

app = typer.Typer(help="The audit: export, verify, prune, erase, reports.", no_args_is_help=True)
report_app = typer.Typer(help="What an auditor asks. Each exits 1 where it finds something.", no_args_is_help=True)
app.add_typer(report_app, name="report")

T = TypeVar("T")
CompanyOption = Annotated[str, typer.Option("--company", help="Legal entity, e.g. usmf.")]
SinceOption = Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day, UTC.")]
UntilOption = Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day, UTC.")]
PeopleOption = Annotated[
    Path | None,
    typer.Option("--people", help='JSON list of {"oid", "name", "roles": ["ops.usmf", …]}; without: the policies.'),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


def _fail(message: str, code: int = 2) -> NoReturn:
    print(message, file=sys.stderr)  # noqa: T201  # what a person reads when a command cannot go on
    raise typer.Exit(code)


def _say(text: str) -> None:
    print(text)  # noqa: T201  # the command's output


def _settings() -> Settings:
    try:
        return load_settings()
    except SettingsError as error:
        _fail(f"Settings are not valid:\n{error}")


def _on_ledger(work: Callable[[Settings, Database], Awaitable[T]]) -> T:
    """Run a piece of work on the open ledger; what a person can fix ends as one message and exit code 2."""
    settings = _settings()

    async def run() -> T:
        database = await open_database(settings.ledger.url.get_secret_value())
        try:
            return await work(settings, database)
        finally:
            await database.close()

    try:
        return asyncio.run(run())
    except (LedgerError, ExportRefused, PruneRefused, SignatureWrong, PolicyError, OSError, ValueError) as error:
        _fail(str(error))


@app.command("export")
def export_command(
    company: CompanyOption,
    since: SinceOption,
    until: UntilOption,
    out: Annotated[Path, typer.Option("--out", help="File to write; its signature goes beside it.")],
    form: Annotated[Literal["jsonl", "csv"], typer.Option("--format", help="JSON Lines or CSV.")] = "jsonl",
) -> None:
    """Write a company's records of a period, signed, so that an auditor can check them without this system."""

    async def work(settings: Settings, database: Database) -> None:
        signer = AuditSigner.from_file(settings.audit.private_key_file)
        done = await export(
            AuditReader(database),
            signer,
            out,
            company=company.lower(),
            since=since.replace(tzinfo=UTC),
            until=_end_of(until.date()),
            form=form,
        )
        _say(f"{out}: {done.records} records ({done.first_seq} to {done.last_seq})\nsignature: {done.signature_file}")

    _on_ledger(work)


@app.command("verify")
def verify(
    file: Annotated[Path | None, typer.Argument(help="An exported file; its signature is beside it.")] = None,
    database: Annotated[bool, typer.Option("--database", help="Check the ledger itself.")] = False,
) -> None:
    """Name the first record that is wrong: changed, gone, added, moved or cut off. Exit 1 where there is one."""
    if (file is None) is not database:
        _fail("Give a file, or --database.")
    if file is not None:
        try:
            verdict = verify_file(file, AuditVerifier.from_file(_settings().audit.public_keys_file))
        except (OSError, SignatureWrong) as error:
            _fail(str(error))
        _say(f"{file}: {verdict.problem or f'{verdict.records} records hold'}")
        raise typer.Exit(0 if verdict.holds else 1)
    raise typer.Exit(0 if _on_ledger(_verify_database) else 1)


async def _verify_database(settings: Settings, database: Database) -> bool:
    reader, whole = AuditReader(database), True
    for company in await reader.companies():
        check, finding = await reader.verify(company)
        whole = whole and finding is None
        erased = f", {check.erased} with a person erased" if check.erased else ""
        _say(str(finding) if finding else f"{company}: records to {check.seq} hold{erased}")
    return whole


@app.command("prune")
def prune_command() -> None:
    """Remove records whose time is over (policies/audit.yaml); a signed checkpoint stays in their place."""

    async def work(settings: Settings, database: Database) -> None:
        policy = retention(settings.policies)
        signer = AuditSigner.from_file(settings.audit.private_key_file)
        for company in await AuditReader(database).companies():
            done = await prune(database, policy, signer, company, now=datetime.now(UTC))
            _say(f"{company}: {done.records} records removed")

    _on_ledger(work)


@app.command("erase")
def erase(oid: Annotated[str, typer.Argument(help="Entra object id of the person.")]) -> None:
    """Forget a person: name, address and id are removed; the records stay and still prove themselves."""

    async def work(_settings: Settings, database: Database) -> int:
        return await AuditStore(database).erase(oid)

    touched = _on_ledger(work)
    _say(f"{touched} records named the person or were theirs" if touched else "nobody with this id is in the audit")


# Reports


@report_app.command("conflicts")
def conflicts(people: PeopleOption = None, as_json: JsonOption = False) -> None:
    """Who could do both: submit and approve, approve and steer the run."""
    settings = _settings()
    grants, companies = _grants(settings, people)
    _show(reports.conflicts(grants, companies), as_json, "{company} {name}: {problem} ({roles})")


@report_app.command("access")
def access(company: CompanyOption, people: PeopleOption = None, as_json: JsonOption = False) -> None:
    """Every person's roles and how often they decided: the yearly review of access."""
    settings = _settings()
    grants, _ = _grants(settings, people)
    wanted = [grant for grant in grants if grant.company in ("", company.lower())]
    rows = _rows(company)
    _show(reports.access_review(wanted, rows), as_json, "{name} {roles}: {decisions} decisions", found_is_bad=False)


@report_app.command("above-limit")
def above_limit(
    company: CompanyOption,
    people: PeopleOption = None,
    limits: Annotated[
        Path | None, typer.Option("--limits", help='JSON {"role": {"USD": "250000"}}: what a role alone may decide.')
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Decisions by who did not hold the role, or above the role's limit."""
    settings = _settings()
    grants, _ = _grants(settings, people)
    given = _json(limits) if limits else {}
    try:
        amounts = {role: {code: Decimal(str(v)) for code, v in of.items()} for role, of in dict(given).items()}
    except (ArithmeticError, AttributeError, TypeError, ValueError):
        _fail(f'{limits}: not of the form {{"role": {{"USD": "250000"}}}}')
    _show(reports.above_limit(_rows(company), grants, amounts), as_json, "{deal_id} record {seq} {name}: {problem}")


@report_app.command("unsigned-orders")
def unsigned_orders(company: CompanyOption, as_json: JsonOption = False) -> None:
    """Orders of deals whose approval was asked, with no signed decision before them."""
    _show(reports.unsigned_orders(_rows(company)), as_json, "{deal_id} record {seq}: {problem}")


@report_app.command("unknown-documents")
def unknown_documents(
    company: CompanyOption,
    known: Annotated[
        Path, typer.Option("--finance", help='What Finance has: JSON list of {"kind": "slip"|"invoice", "number": …}.')
    ],
    as_json: JsonOption = False,
) -> None:
    """Packing slips and invoices that deals recorded and Finance does not know."""
    try:
        there = [
            reports.Document(company=company.lower(), kind=str(entry["kind"]), number=str(entry["number"]))
            for entry in _json(known)
        ]
    except (KeyError, TypeError):
        _fail(f'{known}: not a list of {{"kind": "slip", "number": "…"}}')
    recorded = reports.documents_of(_rows(company))
    _show(reports.unknown_to_finance(recorded, there), as_json, "{deal_id}: {problem}")


def _rows(company: str) -> list[AuditRow]:
    async def work(_settings: Settings, database: Database) -> list[AuditRow]:
        reader, found = AuditReader(database), list[AuditRow]()
        while page := await reader.page(company.lower(), after_seq=found[-1].seq if found else 0, limit=MOST):
            found += page
        return found

    return _on_ledger(work)


def _grants(settings: Settings, people: Path | None) -> tuple[list[reports.Grant], Sequence[str]]:
    try:
        policy = load_policy(settings)
        companies = sorted(set(policy.entity_map.business_units.values()))
        if people is not None:
            return reports.grants_of(_json(people)), companies
    except (PolicyError, ValueError) as error:
        _fail(str(error))
    grants = [
        reports.Grant(person=person, role=role, company=company, source="policies")
        for company, roles in policy.authority.companies.items()
        for role, holders in roles.items()
        for person in (policy.authority.people[holder] for holder in holders)
    ]
    return grants, companies


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        _fail(f"{path}: {error}")


def _show(found: Iterable[Record], as_json: bool, line: str, *, found_is_bad: bool = True) -> None:
    lines = list(found)
    for entry in lines:
        values = {name: ", ".join(v) if isinstance(v, tuple) else v for name, v in entry.model_dump().items()}
        _say(entry.model_dump_json() if as_json else line.format(**values))
    if found_is_bad:
        raise typer.Exit(1 if lines else 0)


def _end_of(day: date) -> datetime:
    return datetime.combine(date.fromordinal(day.toordinal() + 1), time(), tzinfo=UTC)
