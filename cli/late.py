"""`q2c late`: what stands open after the end of deals, and dismissing it with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from cli.output import JsonOption

EXAMPLES = """Examples:

q2c late list --token-file token
    what stands open after the end of deals; exit code 1 if something is

q2c late dismiss usmf 7 "written off" --token-file token
    number 7 of USMF is settled otherwise, and why
"""

LIST_EXAMPLES = """Examples:

q2c late list --token-file token
    all that stands open

az account get-access-token --resource api://<web client id> \\
  --query accessToken -o tsv | q2c late list --token-file - --json
    the same for a program, with a token of who is signed in to Azure

q2c late list --token-file token --status any --search SO-000123
    whatever is kept of an order
"""

DISMISS_EXAMPLES = """Examples:

q2c late dismiss usmf 7 "written off by the credit committee" \\
  --token-file token
    signed for the person of the token, and in the audit
"""

app = typer.Typer(help="What stands open after the end of deals.", no_args_is_help=True, epilog=EXAMPLES)


def company_id(given: str) -> str:
    """A legal entity's id in lower case; empty: none."""
    if given and not (given.isascii() and given.isalnum() and len(given) <= 10):
        raise typer.BadParameter("is not the id of a legal entity, e.g. usmf")
    return given.lower()


def printable(given: str) -> str:
    """A text that says something and can be printed."""
    if not given.strip() or not given.isprintable():
        raise typer.BadParameter("is empty or holds control characters")
    return given.strip()


TokenOption = Annotated[
    Path, typer.Option("--token-file", help="File with an access token for the API, of a person; - is standard input.")
]


@app.command("list", epilog=LIST_EXAMPLES)
def list_(
    token_file: TokenOption,
    company: Annotated[str, typer.Option("--company", callback=company_id, help="Legal entity, e.g. usmf.")] = "",
    status: Annotated[
        Literal["open", "settled", "dismissed", "any"], typer.Option("--status", help="Which of them.")
    ] = "open",
    search: Annotated[str, typer.Option("--search", help="Part of a quote, order, customer or document number.")] = "",
    json: JsonOption = False,
) -> None:
    """List what stands open after the end of deals.

    The exit code is 1 where something does, and where the site does not answer.
    """
    from cli import late_work

    found = late_work.listed(token_file, {"company": company, "status": status, "q": search}, as_json=json)
    raise typer.Exit(found)


@app.command(epilog=DISMISS_EXAMPLES)
def dismiss(
    company: Annotated[str, typer.Argument(callback=company_id, help="Legal entity, e.g. usmf.")],
    number: Annotated[int, typer.Argument(min=1, max=999_999, help="Its number, as the list shows it.")],
    reason: Annotated[str, typer.Argument(callback=printable, help="How it was settled otherwise.")],
    token_file: TokenOption,
    json: JsonOption = False,
) -> None:
    """Say that something is settled otherwise, and why.

    The exit code is 1 where it was refused or the site does not answer.
    """
    from cli import late_work

    raise typer.Exit(late_work.dismiss(token_file, company, number, reason, as_json=json))
