"""`q2c shadow`: what the product would have done in companies in shadow mode."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.late import company_id
from cli.output import JsonOption, require_writable

EXAMPLES = """Examples:

q2c shadow report --company usmf --since 2026-11-01
    per quote: what would have been decided, what people did instead, and
    in what both differ

q2c shadow report --csv shadow.csv
    all companies, each quote as a row of a file

q2c shadow forget --company usmf
    removes what was kept of a company, e.g. once it is live
"""

app = typer.Typer(help="What would have been done in shadow mode.", no_args_is_help=True, epilog=EXAMPLES)


@app.callback()
def shadow() -> None:
    """What would have been done in shadow mode."""


@app.command(epilog=EXAMPLES)
def report(
    company: Annotated[
        str, typer.Option("--company", callback=company_id, help="Legal entity; all, unless said.")
    ] = "",
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day, UTC; all there is, unless said.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write every quote here, as CSV.")] = None,
    json: JsonOption = False,
) -> None:
    """Report per quote what would have been decided beside what people did.

    Reads the ledger alone. The exit code is 1 where people went another way than
    the rules would have.
    """
    if csv is not None:
        require_writable(csv, "--csv")
    from cli import shadow_work

    raise typer.Exit(shadow_work.report(company, since, csv, as_json=json))


@app.command(epilog=EXAMPLES)
def forget(
    company: Annotated[str, typer.Option("--company", callback=company_id, help="Legal entity, e.g. usmf.")],
    json: JsonOption = False,
) -> None:
    """Remove what shadow mode kept of a company."""
    from cli import shadow_work

    shadow_work.forget(company, as_json=json)
