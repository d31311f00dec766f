"""What `q2c parallel` does: begins a run in Temporal, asks how it stands, writes reports and tables, asks the site."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from cli import inputs
from cli.output import fail, note, result, result_as_json
from cli.site import refusal, say
from domain.entities.parallel_run import ParallelView
from ledger.database import DATABASE_ERRORS, Database, open_database
from ledger.signing import AuditVerifier, SignatureWrong
from runs.calls import RunError
from runs.parallel import ParallelRuns
from web.letters import CannotPrint
from workers.audit_keys import exports_signer
from workers.settings import Settings, SettingsError
from workers.telemetry import start_telemetry
from workers.temporal_client import TemporalUnusable, connect

T = TypeVar("T")
KIND = "q2c parallel report"


def start(company: str, *, as_json: bool) -> None:
    """Begin one."""
    settings, companies = inputs.settings(), set(inputs.policy().entity_map.business_units.values())
    if company not in companies:
        fail(f"{company} is none of {', '.join(sorted(companies))}")
    _asked(settings, lambda runs: runs.begin(company))
    if as_json:
        result_as_json({"company": company, "begun": True})
    else:
        result(f"{company.upper()} is compared every night: q2c parallel status {company}")


def status(company: str, *, as_json: bool) -> int:
    """Say how it stands; the exit code."""
    view = _view(inputs.settings(), company)
    if view is None:
        return refusal(_none(company), {"company": company, "failed": _none(company)}, as_json=as_json)
    state = view.state
    found = [str(each) for each in state.blockers(datetime.now(UTC))] if state.status == "running" else []
    if as_json:
        result_as_json({**view.model_dump(mode="json"), "blockers": found})
        return int(bool(found))
    rules = state.rules
    result(f"{company.upper()}: {state.status}, began {state.began_at:%Y-%m-%d}, {len(state.days)} days compared")
    if rules is not None:
        result(f"clean days in a row: {view.clean_days} of {rules.clean_days} ({rules.version}: {rules.source})")
    for each in state.days[-1].entities if state.days else ():
        what = each.why if each.status == "failed" else f"{each.open} open, {each.new} new, {each.gone} gone"
        result(f"  {each.entity}: {each.finance:,} in Finance, {each.sales:,} in Sales, {what}")
    if state.proposed is not None:
        result(f"{state.proposed.person.label} ends it: a second person, with another role, has to say the same")
    for text in found:
        result(f"it cannot end yet: {text}")
    return int(bool(found))


def report(company: str, out: Path, *, as_json: bool) -> int:
    """Write the report and sign it; the exit code."""
    settings = inputs.settings()
    view = _view(settings, company)
    if view is None:
        return refusal(_none(company), {"company": company, "failed": _none(company)}, as_json=as_json)
    from cli import parallel_report
    from ledger.signed_files import write

    made_at = datetime.now(UTC)
    try:
        signer = exports_signer(settings)
        content = {
            "html": parallel_report.as_html(view, made_at).encode(),
            "pdf": parallel_report.as_pdf(view, made_at, settings.web.letter_font_file),
        }
        out.mkdir(parents=True, exist_ok=True)
        facts = {"company": company, "status": view.state.status, "digest": view.digest}
        files = [write(out / f"parallel-{company}.{form}", content[form], signer, KIND, facts) for form in content]
    except (SettingsError, SignatureWrong, CannotPrint) as error:
        fail(str(error))
    if as_json:
        result_as_json({"company": company, "digest": view.digest, "files": list(map(str, files))})
    else:
        result("\n".join(map(str, files)))
    return 0


def verify(file: Path, *, as_json: bool) -> int:
    """Check a report; the exit code."""
    if not file.is_file():
        fail(f"{file}: not a file that can be read")
    from ledger.signed_files import problem_of

    try:
        problem = problem_of(file, AuditVerifier.from_file(inputs.settings().audit.public_keys_file), KIND)
    except SignatureWrong as error:
        fail(str(error))
    if as_json:
        result_as_json({"file": str(file), "holds": not problem, "problem": problem})
    else:
        result(f"{file}: {problem or 'is as it was signed'}")
    return int(bool(problem))


def end(company: str, reason: str, token_file: Path, *, as_json: bool) -> int:
    """Be one of the two who end it; the exit code."""
    return say(f"/parallel/{quote(company, safe='')}/exit", {"reason": reason}, token_file, as_json=as_json)


def export(company: str, out: Path, *, as_json: bool) -> int:
    """Write tables; the exit code."""
    if find_spec("pyarrow") is None:
        fail("pyarrow is not installed: install the product with its extra: quote-to-cash[data]")
    settings = inputs.settings()
    view = _view(settings, company)
    if view is None:
        return refusal(_none(company), {"company": company, "failed": _none(company)}, as_json=as_json)
    from cli.parallel_export import write  # its library is an extra

    out.mkdir(parents=True, exist_ok=True)
    tables = _on_ledger(settings, lambda database: write(database, view, out))
    if as_json:
        result_as_json({"company": company, "tables": tables})
    else:
        for name, rows in tables.items():
            result(f"{out / name}.parquet: {rows:,} rows")
    return 0


def _none(company: str) -> str:
    return f"no parallel run of {company.upper()} is known: q2c parallel start {company}"


def _view(settings: Settings, company: str) -> ParallelView | None:
    return _asked(settings, lambda runs: runs.read(company))


def _asked(settings: Settings, question: Callable[[ParallelRuns], Awaitable[T]]) -> T:
    async def ask() -> T:
        client = await connect(start_telemetry("q2c-parallel", environment={}), settings.codec)
        return await question(ParallelRuns(client))

    try:
        return asyncio.run(ask())
    except (RunError, SettingsError, TemporalUnusable) as error:
        fail(str(error))


def _on_ledger(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    async def run() -> T:
        database = await open_database(settings.ledger.url.get_secret_value(), read_only=True)
        try:
            return await work(database)
        finally:
            await database.close()

    try:
        return asyncio.run(run())
    except DATABASE_ERRORS as error:
        note(str(error))
        fail("the ledger cannot be read here", 1)
