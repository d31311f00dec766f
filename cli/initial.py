"""`q2c initial`: what bringing both systems to agree for the first time would do with each record."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.compare import CompanyOption, EntityArgument
from cli.output import JsonOption, fail

EXAMPLES = """Examples:

q2c initial customer --company usmf --dry-run
    what would be created, changed and left alone, and what people have to
    settle first; nothing is written in either system

q2c initial customer --company usmf --dry-run --out ./plan
    and every record as CSV, XLSX and HTML

docs/initial-sync.md says what each action means, and what comes next.
"""

OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="FOLDER", help="Write the plan and what is to be settled there.")
]
DryOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done; nothing else can be asked.")]


def initial(
    entity: EntityArgument,
    company: CompanyOption,
    dry_run: DryOption = False,
    out: OutOption = None,
    json: JsonOption = False,
) -> None:
    """Plan the first sync of an entity, record by record, and write nothing.

    Reads with an application that cannot write. Ctrl-C stops looking; the dry
    run goes on, and the same command shows it again. The exit code is 1 where
    records are left to people, and where the dry run failed.
    """
    if not dry_run:
        fail("This version only plans: add --dry-run. Nothing was begun.")
    from cli import initial_work as work

    raise typer.Exit(work.dry_run(entity, company, out, as_json=json))
