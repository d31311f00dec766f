"""`q2c import`: quotes that are open in Sales when the product goes live."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.late import company_id
from cli.output import JsonOption, require_writable

EXAMPLES = """Examples:

q2c import
    what would become of every open quote, by company; nothing is begun

q2c import --company usmf --csv open.csv
    the same of one company, each quote as a row of a file

q2c import --quote QUO-01001 --quote QUO-01007 --apply
    begins the deals of two quotes, to see how it goes

q2c import --company usmf --apply --most 50 --per-minute 30
    begins the deals of fifty quotes; said again, it takes the next fifty
"""


def import_quotes(
    company: Annotated[str, typer.Option("--company", help="Legal entity, e.g. usmf; all, unless said.")] = "",
    quote: Annotated[
        list[str] | None, typer.Option("--quote", help="Only this quote, by number; several times.")
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Begin the deals.")] = False,
    most: Annotated[int, typer.Option(min=1, max=10_000, help="Deals to begin at most.")] = 200,
    per_minute: Annotated[int, typer.Option(min=1, max=600, help="Deals to begin in a minute.")] = 60,
    csv: Annotated[Path | None, typer.Option(help="Write every quote here, as CSV.")] = None,
    json: JsonOption = False,
) -> None:
    """Begin deals of quotes that were open before the product was there.

    Active quotes, and drafts whose approval is requested, go the way of a
    submission, unless the rules would return them. A quote that has a deal, or
    had one, begins none. Drafts of reps begin when they are submitted. Quotes
    that are won already are not taken: their orders are followed by hand.

    Without --apply it only looks. A worker has to run. The exit code is 1 where
    a quote would be returned, belongs to no company, or could not be read.
    """
    wanted = company_id(company) if company else ""
    if csv is not None:
        require_writable(csv, "--csv")
    from cli import import_work

    only = frozenset(quote or ())
    asked = import_work.Asked(company=wanted, only=only, apply=apply, most=most, per_minute=per_minute, csv=csv)
    raise typer.Exit(import_work.run(asked, as_json=json))
