"""`q2c audit`: hand the audit to an auditor, check it, keep it as long as the policy says, forget a person."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from cli.output import JsonOption, fail, result, result_as_json

EXAMPLES = """Examples:

q2c audit export --company usmf --from 2026-01-01 --to 2026-03-31 \\
  --out q1.jsonl
    a quarter, signed

q2c audit verify q1.jsonl
    whether it is as it was exported

q2c audit report unsigned-orders --company usmf
    what must not be there; exit code 1 if something is
"""

EXPORT_EXAMPLES = """Examples:

q2c audit export --company usmf --from 2026-01-01 --to 2026-03-31 \\
  --out q1.jsonl
    a quarter, both days included

q2c audit export --company usmf --from 2026-01-01 --to 2026-03-31 \\
  --out q1.csv --format csv
    the same for a spreadsheet
"""

VERIFY_EXAMPLES = """Examples:

q2c audit verify q1.jsonl
    an exported file; its signature q1.jsonl.sig is beside it

q2c audit verify --database --json
    every chain of the ledger, for a program
"""

PRUNE_EXAMPLES = """Examples:

q2c audit prune
    what policies/audit.yaml no longer keeps; run it by a schedule of yours
"""

ERASE_EXAMPLES = """Examples:

q2c audit erase 800654ed-e59a-5376-a645-838605947a61
    the person of this object id in Entra ID
"""

CONFLICTS_EXAMPLES = """Examples:

q2c audit report conflicts --people people.json
    people of the directory beside those the policies name
"""

ACCESS_EXAMPLES = """Examples:

q2c audit report access --company usmf --people people.json
    whose roles are to be reviewed, and how often they decided
"""

ABOVE_LIMIT_EXAMPLES = """Examples:

q2c audit report above-limit --company usmf --limits limits.json
    limits.json: {"sales_manager": {"USD": "250000"}}
"""

UNSIGNED_EXAMPLES = """Examples:

q2c audit report unsigned-orders --company usmf
    exit code 1 if there is one
"""

UNKNOWN_EXAMPLES = """Examples:

q2c audit report unknown-documents --company usmf --finance finance.json
    finance.json: [{"kind": "slip", "number": "SLIP-1"}]
"""

ROUNDING_EXAMPLES = """Examples:

q2c audit report rounding --company usmf
    the newest day first; what drifts to one side is worth a look
"""

REPORT_EXAMPLES = """Examples:

q2c audit report conflicts
    who holds roles that should be two people's

q2c audit report access --company usmf --json
    the yearly review of access, for a program
"""

app = typer.Typer(help="Export, verify and report on the audit.", no_args_is_help=True, epilog=EXAMPLES)
report_app = typer.Typer(
    help="What an auditor asks; exit code 1 where something is found that must not be.",
    no_args_is_help=True,
    epilog=REPORT_EXAMPLES,
)
app.add_typer(report_app, name="report")


def _company(given: str) -> str:
    """A legal entity's id in lower case."""
    if not (given.isascii() and given.isalnum()):
        raise typer.BadParameter("is not the id of a legal entity, e.g. usmf")
    return given.lower()


def _object_id(given: str) -> str:
    """An Entra object id; it need not be a GUID, but has to be printable."""
    if not given.isprintable() or not given:
        raise typer.BadParameter("is not an object id of Entra ID")
    return given


def _has_next_day(given: datetime) -> datetime:
    """A last day that another can follow."""
    if given.date() == date.max:
        raise typer.BadParameter(f"must be before {date.max}")
    return given


CompanyOption = Annotated[str, typer.Option("--company", callback=_company, help="Legal entity, e.g. usmf.")]
SinceOption = Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day, UTC.")]
UntilOption = Annotated[
    datetime, typer.Option("--to", callback=_has_next_day, formats=["%Y-%m-%d"], help="Last day, UTC.")
]
PeopleOption = Annotated[
    Path | None,
    typer.Option("--people", help='JSON list of {"oid", "name", "roles": ["ops.usmf", …]}; without: the policies.'),
]


@app.command(epilog=EXPORT_EXAMPLES)
def export(
    company: CompanyOption,
    since: SinceOption,
    until: UntilOption,
    out: Annotated[Path, typer.Option("--out", help="File to write; its signature goes beside it.")],
    form: Annotated[Literal["jsonl", "csv"], typer.Option("--format", help="JSON Lines or CSV.")] = "jsonl",
    json: JsonOption = False,
) -> None:
    """Write a company's records of a period, signed, so that an auditor can check them without this system."""
    from cli import audit_work

    audit_work.export(company, since, until, out, form, as_json=json)


@app.command(epilog=VERIFY_EXAMPLES)
def verify(
    file: Annotated[Path | None, typer.Argument(help="An exported file; its signature is beside it.")] = None,
    database: Annotated[bool, typer.Option("--database", help="Check the ledger itself.")] = False,
    json: JsonOption = False,
) -> None:
    """Name the first record that is wrong: changed, gone, added, moved or cut off.

    The exit code is 1 where there is one.
    """
    from cli import audit_work

    if (file is None) is not database:
        fail("Give a file, or --database.")
    if file is not None:
        holds = audit_work.verify_export(file, as_json=json)
    else:
        holds = audit_work.verify_database(as_json=json)
    raise typer.Exit(0 if holds else 1)


@app.command(epilog=PRUNE_EXAMPLES)
def prune(json: JsonOption = False) -> None:
    """Remove records whose time is over (policies/audit.yaml); a signed checkpoint stays in their place."""
    from cli import audit_work

    audit_work.prune(as_json=json)


@app.command(epilog=ERASE_EXAMPLES)
def erase(
    oid: Annotated[str, typer.Argument(callback=_object_id, help="Entra object id of the person.")],
    json: JsonOption = False,
) -> None:
    """Forget a person: name, address and id are removed; the records stay and still prove themselves."""
    from cli import audit_work

    touched = audit_work.erase(oid)
    if json:
        result_as_json({"records": touched})
        return
    result(f"{touched} records named the person or were theirs" if touched else "nobody with this id is in the audit")


@report_app.command(epilog=CONFLICTS_EXAMPLES)
def conflicts(people: PeopleOption = None, json: JsonOption = False) -> None:
    """Who could do both: submit and approve, approve and steer the run."""
    from cli import audit_work

    audit_work.conflicts(people, as_json=json)


@report_app.command(epilog=ACCESS_EXAMPLES)
def access(company: CompanyOption, people: PeopleOption = None, json: JsonOption = False) -> None:
    """Every person's roles and how often they decided: the yearly review of access."""
    from cli import audit_work

    audit_work.access(company, people, as_json=json)


@report_app.command("above-limit", epilog=ABOVE_LIMIT_EXAMPLES)
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


@report_app.command("unsigned-orders", epilog=UNSIGNED_EXAMPLES)
def unsigned_orders(company: CompanyOption, json: JsonOption = False) -> None:
    """Orders of deals whose approval was asked, with no signed decision before them."""
    from cli import audit_work

    audit_work.unsigned_orders(company, as_json=json)


@report_app.command("unknown-documents", epilog=UNKNOWN_EXAMPLES)
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


@report_app.command(epilog=ROUNDING_EXAMPLES)
def rounding(company: CompanyOption, json: JsonOption = False) -> None:
    """By how much Finance's orders differ from what was approved, within the tolerance, by the company's day."""
    from cli import audit_work

    audit_work.rounding(company, as_json=json)
