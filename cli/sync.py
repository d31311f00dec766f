"""`q2c sync`: records of both systems, kept in step."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from cli.late import TokenOption, company_id, printable
from cli.output import JsonOption

EXAMPLES = """Examples:

q2c sync start customer --company usmf --reason "go-live" \\
  --token-file token
    customers of USMF are kept in step in both systems from now on

q2c sync stop customer --company usmf --reason "moving" \
  --token-file token
    no more

q2c sync status customer --company usmf
    what it has done, what waits, how old changes were

q2c sync conflicts customer --company usmf
    values of which a person says which one is right

q2c sync settle 0a1b2c3d4e5f --take finance --reason "as invoiced" \\
  --token-file token
    Finance's value is right, and is written to Sales
"""

app = typer.Typer(help="Keep records of both systems in step.", no_args_is_help=True, epilog=EXAMPLES)

EntityArgument = Annotated[str, typer.Argument(help="Entity of a map of the pattern sync.")]
CompanyOption = Annotated[str, typer.Option("--company", callback=company_id, help="Legal entity, e.g. usmf.")]
ReasonOption = Annotated[str, typer.Option("--reason", callback=printable, help="Why; it stands in the audit.")]
LetterArgument = Annotated[str, typer.Argument(help="Id of a letter, as `q2c letters list --each` shows it.")]


class Side(StrEnum):
    """Whose value is right."""

    finance = "finance"
    sales = "sales"


@app.command(epilog=EXAMPLES)
def start(
    entity: EntityArgument,
    company: CompanyOption,
    reason: ReasonOption,
    token_file: TokenOption,
    json: JsonOption = False,
) -> None:
    """Keep the records of an entity in step, in one company.

    What differs now is left as it is; what changes from now on is written to
    the other system, as the map says. Started again, it goes on where it was.
    """
    from cli import sync_work as work

    raise typer.Exit(work.run(company, entity, {"do": "start", "reason": reason}, token_file, as_json=json))


@app.command(epilog=EXAMPLES)
def stop(
    entity: EntityArgument,
    company: CompanyOption,
    reason: ReasonOption,
    token_file: TokenOption,
    json: JsonOption = False,
) -> None:
    """Keep them in step no more. What is under way is brought to its end."""
    from cli import sync_work as work

    raise typer.Exit(work.run(company, entity, {"do": "stop", "reason": reason}, token_file, as_json=json))


@app.command(epilog=EXAMPLES)
def status(entity: EntityArgument, company: CompanyOption, json: JsonOption = False) -> None:
    """Show how a sync stands. The exit code is 1 where it does not run as it should."""
    from cli import sync_work as work

    raise typer.Exit(work.status(company, entity, as_json=json))


@app.command(epilog=EXAMPLES)
def conflicts(entity: EntityArgument, company: CompanyOption, json: JsonOption = False) -> None:
    """List values that differ, and of which a person says which one is right."""
    from cli import letters_work as work

    wanted = work.wanted(entity=entity, company=company, cause="CONFLICT")
    raise typer.Exit(work.listed(wanted, 1_000, as_json=json))


@app.command(epilog=EXAMPLES)
def settle(
    letter: LetterArgument,
    take: Annotated[Side, typer.Option("--take", help="Whose value is right.")],
    reason: ReasonOption,
    token_file: TokenOption,
    json: JsonOption = False,
) -> None:
    """Say whose value is right. It is written to the other system."""
    from cli import letters_work as work

    body = {"do": "take", "take": take.value, "reason": reason}
    raise typer.Exit(work.settle(letter, body, token_file, as_json=json))
