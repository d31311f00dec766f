"""`q2c credit`: credit ledgers compared with deals and Finance, and rebuilt."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.late import TokenOption, company_id, printable
from cli.output import JsonOption

EXAMPLES = """Examples:

q2c credit rebuild --company usmf --customer US-001 --dry-run \\
  --reason "checked after the outage" --token-file token
    in what the ledger of one customer differs from what its deals
    claim and Finance counts

q2c credit rebuild --company usmf --all --reason "restored a backup" \\
  --token-file token
    makes every ledger of USMF anew, signed for the person of the token
"""

app = typer.Typer(help="Credit ledgers.", no_args_is_help=True, epilog=EXAMPLES)


@app.callback()
def credit() -> None:
    """Credit ledgers."""


@app.command(epilog=EXAMPLES)
def rebuild(
    token_file: TokenOption,
    company: Annotated[str, typer.Option("--company", callback=company_id, help="Legal entity, e.g. usmf.")],
    reason: Annotated[str, typer.Option("--reason", callback=printable, help="Why; it stands in the audit.")],
    customer: Annotated[str, typer.Option("--customer", help="Account in Finance.")] = "",
    every: Annotated[bool, typer.Option("--all", help="All customers of the company.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what differs.")] = False,
    json: JsonOption = False,
) -> None:
    """Make credit ledgers anew from what deals claim and Finance counts.

    Each book is replaced in one step: no deal is given credit in between.

    The exit code is 1 where a dry run finds something, and where it failed.
    """
    if bool(customer.strip()) is every:
        raise typer.BadParameter("give either --customer or --all")
    from cli import credit_work

    raise typer.Exit(credit_work.rebuild(token_file, company, customer.strip(), reason, dry_run=dry_run, as_json=json))
