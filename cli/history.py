"""`q2c history`: past records of Finance, taken over into Sales every night."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from cli.late import TokenOption, company_id, printable
from cli.output import JsonOption

EXAMPLES = """Examples:

q2c history start invoice --company usmf --reason "go-live" \\
  --token-file token
    past invoices of USMF are shown in Sales from now on

q2c history start invoice --company usmf --at 03:30 --whole \\
  --reason "accounts were imported" --token-file token
    everything is read anew, at once and then at 03:30 every night

q2c history stop invoice --company usmf --reason "moving" \\
  --token-file token
    no more; what is there stays

q2c history status invoice --company usmf
    when it read last, what it wrote, what it left out
"""

app = typer.Typer(help="Show past records of Finance in Sales.", no_args_is_help=True, epilog=EXAMPLES)


class Kind(StrEnum):
    """What a history is of."""

    invoice = "invoice"


KindArgument = Annotated[Kind, typer.Argument(help="What the history is of.")]
CompanyOption = Annotated[str, typer.Option("--company", callback=company_id, help="Legal entity, e.g. usmf.")]
ReasonOption = Annotated[str, typer.Option("--reason", callback=printable, help="Why; it stands in the audit.")]


@app.command(epilog=EXAMPLES)
def start(
    kind: KindArgument,
    company: CompanyOption,
    reason: ReasonOption,
    token_file: TokenOption,
    at: Annotated[str, typer.Option("--at", help="When a night begins, by the company's clock.")] = "02:00",
    whole: Annotated[bool, typer.Option("--whole", help="Read everything anew, not only what changed.")] = False,
    json: JsonOption = False,
) -> None:
    """Read Finance at once, and then every night, and write what Sales lacks.

    The first reading is of everything, and so is one a week; the others are
    of what changed. Started again, it goes on where it was.
    """
    from cli import history_work as work

    body = {"do": "start", "at": at, "whole": whole, "reason": reason}
    raise typer.Exit(work.run(company, kind.value, body, token_file, as_json=json))


@app.command(epilog=EXAMPLES)
def stop(
    kind: KindArgument,
    company: CompanyOption,
    reason: ReasonOption,
    token_file: TokenOption,
    json: JsonOption = False,
) -> None:
    """Read no more. What was taken over stays in Sales."""
    from cli import history_work as work

    raise typer.Exit(work.run(company, kind.value, {"do": "stop", "reason": reason}, token_file, as_json=json))


@app.command(epilog=EXAMPLES)
def status(kind: KindArgument, company: CompanyOption, json: JsonOption = False) -> None:
    """Show how a history stands. The exit code is 1 where it does not run as it should."""
    from cli import history_work as work

    raise typer.Exit(work.status(company, kind.value, as_json=json))
