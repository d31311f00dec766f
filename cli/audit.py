"""`q2c audit`: hand the audit to an auditor, check it, keep it as long as the policy says, forget a person."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from cli.output import JsonOption, fail, result

EXAMPLES = """Examples:

q2c audit export --company usmf --from 2026-01-01 --to 2026-03-31 --out q1.jsonl
    a quarter, signed

q2c audit verify q1.jsonl
    whether it is as it was exported

q2c audit report unsigned-orders --company usmf
    what must not be there; exit code 1 if something is
"""

app = typer.Typer(help="Export, verify and report on the audit.", no_args_is_help=True, epilog=EXAMPLES)
report_app = typer.Typer(help="What an auditor asks. Each exits 1 where it finds something.", no_args_is_help=True)
app.add_typer(report_app, name="report")

CompanyOption = Annotated[str, typer.Option("--company", help="Legal entity, e.g. usmf.")]
SinceOption = Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day, UTC.")]
UntilOption = Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day, UTC.")]
PeopleOption = Annotated[
    Path | None,
    typer.Option("--people", help='JSON list of {"oid", "name", "roles": ["ops.usmf", …]}; without: the policies.'),
]


@app.command()
def export(
    company: CompanyOption,
    since: SinceOption,
    until: UntilOption,
    out: Annotated[Path, typer.Option("--out", help="File to write; its signature goes beside it.")],
    form: Annotated[Literal["jsonl", "csv"], typer.Option("--format", help="JSON Lines or CSV.")] = "jsonl",
) -> None:
    """Write a company's records of a period, signed, so that an auditor can check them without this system."""
    from cli import audit_work

    audit_work.export(company, since, until, out, form)


@app.command()
def verify(
    file: Annotated[Path | None, typer.Argument(help="An exported file; its signature is beside it.")] = None,
    database: Annotated[bool, typer.Option("--database", help="Check the ledger itself.")] = False,
) -> None:
    """Name the first record that is wrong: changed, gone, added, moved or cut off. Exit 1 where there is one."""
    from cli import audit_work

    if (file is None) is not database:
        fail("Give a file, or --database.")
    holds = audit_work.verify_export(file) if file is not None else audit_work.verify_database()
    raise typer.Exit(0 if holds else 1)


@app.command()
def prune() -> None:
    """Remove records whose time is over (policies/audit.yaml); a signed checkpoint stays in their place."""
    from cli import audit_work

    audit_work.prune()


@app.command()
def erase(oid: Annotated[str, typer.Argument(help="Entra object id of the person.")]) -> None:
    """Forget a person: name, address and id are removed; the records stay and still prove themselves."""
    from cli import audit_work

    touched = audit_work.erase(oid)
    result(f"{touched} records named the person or were theirs" if touched else "nobody with this id is in the audit")


@report_app.command()
def conflicts(people: PeopleOption = None, json: JsonOption = False) -> None:
    """Who could do both: submit and approve, approve and steer the run."""
    from cli import audit_work

    audit_work.conflicts(people, as_json=json)


@report_app.command()
def access(company: CompanyOption, people: PeopleOption = None, json: JsonOption = False) -> None:
    """Every person's roles and how often they decided: the yearly review of access."""
    from cli import audit_work

    audit_work.access(company, people, as_json=json)


@report_app.command("above-limit")
def above_limit(
    company: CompanyOption,
    people: PeopleOption = None,
    limits: Annotated[
        Path | None, typer.Option("--limits", help='JSON {"role": {"USD": "250000"}}: what a role alone may decide.')
    ] = None,
    json: JsonOption = False,
) -> None:
    """Decisions by who did not hold the role, or above the role's limit."""
    from cli import audit_work

    audit_work.above_limit(company, people, limits, as_json=json)


@report_app.command("unsigned-orders")
def unsigned_orders(company: CompanyOption, json: JsonOption = False) -> None:
    """Orders of deals whose approval was asked, with no signed decision before them."""
    from cli import audit_work

    audit_work.unsigned_orders(company, as_json=json)


@report_app.command("unknown-documents")
def unknown_documents(
    company: CompanyOption,
    known: Annotated[
        Path, typer.Option("--finance", help='What Finance has: JSON list of {"kind": "slip"|"invoice", "number": …}.')
    ],
    json: JsonOption = False,
) -> None:
    """Packing slips and invoices that deals recorded and Finance does not know."""
    from cli import audit_work

    audit_work.unknown_documents(company, known, as_json=json)
