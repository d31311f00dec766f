"""`q2c assess`: what both systems have of what the maps name, what reading it costs, and which pattern fits."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from cli.output import JsonOption

EXAMPLES = """Examples:

q2c assess --out assessment.html
    all maps, all companies, as a page with charts

q2c assess --company usmf --company demf
    two companies, in the terminal

q2c assess --json | jq '.entities[] | select(.advice.fits | not)'
    where another pattern is recommended, for a program

docs/assess.md says what is counted, and how the recommendation is made.
"""


def _companies(given: list[str]) -> list[str]:
    for each in given:
        if not re.fullmatch(r"[A-Za-z0-9]{1,4}", each):
            raise typer.BadParameter("is not the id of a legal entity, e.g. usmf")
    return list(dict.fromkeys(each.lower() for each in given))


CompaniesOption = Annotated[
    list[str],
    typer.Option("--company", callback=_companies, help="Legal entity, e.g. usmf; can be given more than once."),
]
FileOption = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the report as an HTML page.")]


def assess(company: CompaniesOption = [], out: FileOption = None, json: JsonOption = False) -> None:  # noqa: B006  # typer makes a list of its own
    """Take stock of both systems, read only.

    Counts records, empty fields and keys of all maps, says what reading them
    costs and which pattern is recommended for each entity, and why. Asks as the
    application that may only read. The exit code is 1 where a system could not
    be asked.
    """
    from cli import assess_work as work

    raise typer.Exit(work.assess(company, out, as_json=json))
