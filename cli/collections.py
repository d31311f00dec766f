"""`q2c collections`: what is overdue of which account, and the letters to be sent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.output import JsonOption

EXAMPLES = """Examples:

q2c collections list --overdue
    accounts of which something is overdue

q2c collections letter usmf US-001 2 --out letter.pdf
    the second letter to a customer, to be sent by you
"""

LIST_EXAMPLES = """Examples:

q2c collections list --company usmf
    every account of one company that deals are billed to

q2c collections list --overdue --json | jq -r '.items[].account'
    the numbers of those in arrears, for a program
"""

SHOW_EXAMPLES = """Examples:

q2c collections show usmf US-001
    its open invoices, levels, pauses and letters

q2c collections show usmf US-001 --json | jq .state.history
    what happened, for a program
"""

LETTER_EXAMPLES = """Examples:

q2c collections letter usmf US-001 2 --out letter.pdf
    as PDF; a name that ends in .html is written as HTML
"""

app = typer.Typer(help="See what is overdue, and get the letters.", no_args_is_help=True, epilog=EXAMPLES)

Company = Annotated[str, typer.Argument(help="Legal entity, e.g. usmf.")]
Account = Annotated[str, typer.Argument(help="Account in Finance that is billed.")]


@app.command("list", epilog=LIST_EXAMPLES)
def list_accounts(
    company: Annotated[str, typer.Option(help="Only this legal entity.")] = "",
    overdue: Annotated[bool, typer.Option("--overdue", help="Only accounts with something overdue.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 100,
    json: JsonOption = False,
) -> None:
    """List the accounts that deals are billed to, with what is overdue."""
    from cli import collections_work as work

    work.list_accounts(company.lower(), overdue=overdue, limit=limit, as_json=json)


@app.command("show", epilog=SHOW_EXAMPLES)
def show(company: Company, account: Account, json: JsonOption = False) -> None:
    """Show one account: invoices, levels, pauses, letters."""
    from cli import collections_work as work

    work.show(company.lower(), account, as_json=json)


@app.command("letter", epilog=LETTER_EXAMPLES)
def letter(
    company: Company,
    account: Account,
    number: Annotated[int, typer.Argument(min=1, help="Number of the letter, as `show` lists it.")],
    out: Annotated[Path, typer.Option(help="File to write: .pdf or .html.")],
    json: JsonOption = False,
) -> None:
    """Write a letter to a file. Nothing is sent: that is for you to do."""
    from cli import collections_work as work

    work.letter(company.lower(), account, number, out, as_json=json)
