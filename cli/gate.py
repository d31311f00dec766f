"""`q2c gate`: whether the initial sync of an entity may begin, and every reason why not."""

from __future__ import annotations

import typer

from cli.compare import CompanyOption, EntityArgument
from cli.output import JsonOption

EXAMPLES = """Examples:

q2c gate customer --company usmf
    whether it may begin; exit code 1 with every reason if not

q2c gate customer --company usmf --json | jq '.reasons[].code'
    the reasons, for a program

docs/initial-sync.md says what refuses a run, and what only one record.
"""


def gate(entity: EntityArgument, company: CompanyOption, json: JsonOption = False) -> None:
    """Say whether the initial sync of an entity may begin.

    Holds the last dry run against the rules of quality and finds accounts that
    lead to the same customer. What it says is kept in the ledger, with the
    hashes of map, plan and quality. Nothing is written in either system. The
    exit code is 1 where it is refused.
    """
    from cli import gate_work as work

    raise typer.Exit(work.gate(entity, company, as_json=json))
