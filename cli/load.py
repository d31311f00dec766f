"""`q2c load`: a load test as a user would run it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.output import JsonOption, fail, require_writable

EXAMPLES = """Examples:

q2c load --deals 50 --rate 60
    fifty quotes like the sample, one a second: made, submitted, activated,
    won; how long until each stands in Finance and in Sales

q2c load --deals 200 --rate 300 --like QUO-01001 --until decided
    copies of a quote, up to the decision about them; they are deleted then

q2c load --deals 50 --rate 60 --html load.html --json > load.json
    the report with a chart, and as data

q2c load --deals 50 --rate 60 --like QUO-01001 --token-stdin < token
    a tenant's test environment, as the seller whose access token it is
"""


def load(
    deals: Annotated[int, typer.Option(min=1, max=10_000, help="How many quotes are made.")],
    rate: Annotated[float, typer.Option(min=1, max=6_000, help="How many are submitted in a minute.")],
    like: Annotated[str, typer.Option(help="Quote that is copied, by number; else a sample of the sandbox.")] = "",
    until: Annotated[str, typer.Option(help="decided, or ordered: the rep activates and wins them too.")] = "ordered",
    company: Annotated[str, typer.Option(help="Company whose quote is copied.")] = "usmf",
    rep: Annotated[str, typer.Option(help="User of the sandbox who acts.")] = "rita",
    token_stdin: Annotated[
        bool,
        typer.Option("--token-stdin", help="Act with the access token on standard input: in a tenant, a seller's."),
    ] = False,
    patience: Annotated[int, typer.Option(min=10, max=3_600, help="Seconds after the last quote.")] = 300,
    html: Annotated[Path | None, typer.Option(help="Write the report with a chart here.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the quotes in Sales.")] = False,
    json: JsonOption = False,
) -> None:
    """Make quotes in Sales at a steady rate, and measure what becomes of them.

    A rep is played through Dataverse's Web API. The deals' own records say how
    long each part took; their orders stay in Finance, and are named. Drafts are
    deleted at the end, so that their deals end.

    Refused where Dataverse does not say of itself that it is a test environment:
    it makes orders that nobody wants. The exit code is 1 where a request failed
    or a deal did not come as far as asked.
    """
    if until not in ("decided", "ordered"):
        fail("--until: is neither decided nor ordered")
    if html is not None:
        require_writable(html, "--html")
    token = sys.stdin.readline().strip() if token_stdin else ""
    if token_stdin and not token:
        fail("--token-stdin: standard input holds no token.")
    from cli import load_work

    asked = load_work.Asked(
        deals=deals,
        rate=rate,
        like=like,
        until=until,
        company=company.lower(),
        rep=rep,
        token=token,
        patience=patience,
        keep=keep,
    )
    raise typer.Exit(load_work.run(asked, html, as_json=json))
