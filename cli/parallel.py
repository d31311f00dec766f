"""`q2c parallel`: both systems beside each other, until two people end it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.late import TokenOption, company_id, printable
from cli.output import JsonOption

EXAMPLES = """Examples:

q2c parallel start usmf
    every night each entity of USMF is compared, in both systems

q2c parallel status usmf
    clean days in a row, and what stands in the way; exit code 1 if
    something does

q2c parallel report usmf --out ./report
    the days as HTML and PDF, signed
"""
START_EXAMPLES = """Examples:

q2c parallel start usmf
    policies/parallel.yaml says from when and for how long
"""
STATUS_EXAMPLES = """Examples:

q2c parallel status usmf --json
    for a program: what each day counted
"""
REPORT_EXAMPLES = """Examples:

q2c parallel report usmf --out ./report
    parallel-usmf.html and .pdf, each with its signature beside it
"""
VERIFY_EXAMPLES = """Examples:

q2c parallel verify report/parallel-usmf.pdf
    whether it is the file that was signed
"""
EXIT_EXAMPLES = """Examples:

q2c parallel exit usmf --reason "thirty days" --token-file token
    the first of two persons, or the second, for the person of the token
"""
EXPORT_EXAMPLES = """Examples:

q2c parallel export usmf --out ./power-bi
    Parquet files for Power BI; docs/power-bi.md is their model
"""

app = typer.Typer(help="Both systems beside each other.", no_args_is_help=True, epilog=EXAMPLES)
CompanyArgument = Annotated[str, typer.Argument(callback=company_id, help="Legal entity, e.g. usmf.")]
OutOption = Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Write there.")]


@app.command(epilog=START_EXAMPLES)
def start(company: CompanyArgument, json: JsonOption = False) -> None:
    """Begin to compare a company's records every night.

    One that goes on is left alone. It only reads.
    """
    from cli import parallel_work as work

    work.start(company, as_json=json)


@app.command(epilog=STATUS_EXAMPLES)
def status(company: CompanyArgument, json: JsonOption = False) -> None:
    """Say how it stands, and what keeps it from ending.

    The exit code is 1 where something does, and where there is no parallel run.
    """
    from cli import parallel_work as work

    raise typer.Exit(work.status(company, as_json=json))


@app.command(epilog=REPORT_EXAMPLES)
def report(company: CompanyArgument, out: OutOption, json: JsonOption = False) -> None:
    """Write what each day counted as HTML and PDF, and sign both.

    The exit code is 1 where there is no parallel run.
    """
    from cli import parallel_work as work

    raise typer.Exit(work.report(company, out, as_json=json))


@app.command(epilog=VERIFY_EXAMPLES)
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="HTML or PDF; its signature is beside it.")],
    json: JsonOption = False,
) -> None:
    """Check a report against its signature.

    The exit code is 1 where it is not the file that was signed.
    """
    from cli import parallel_work as work

    raise typer.Exit(work.verify(file, as_json=json))


@app.command("exit", epilog=EXIT_EXAMPLES)
def exit_(
    company: CompanyArgument,
    reason: Annotated[str, typer.Option("--reason", callback=printable, help="Why; it stands in the audit.")],
    token_file: TokenOption,
    json: JsonOption = False,
) -> None:
    """Be one of the two persons, with two roles, who end it.

    The exit code is 1 where it was refused or the site does not answer.
    """
    from cli import parallel_work as work

    raise typer.Exit(work.end(company, reason, token_file, as_json=json))


@app.command(epilog=EXPORT_EXAMPLES)
def export(company: CompanyArgument, out: OutOption, json: JsonOption = False) -> None:
    """Write days, comparisons and differences as Parquet.

    Values that are personal data are left out. The exit code is 1 where there is
    no parallel run.
    """
    from cli import parallel_work as work

    raise typer.Exit(work.export(company, out, as_json=json))
