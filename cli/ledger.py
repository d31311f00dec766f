"""`q2c ledger`: the database of the product's own lasting records."""

from __future__ import annotations

import typer

from cli import inputs
from cli.output import JsonOption, fail, result, result_as_json

EXAMPLES = """Examples:

q2c ledger migrate
    once after every upgrade, by a database user who may change tables
"""

app = typer.Typer(help="The database of lasting records.", no_args_is_help=True, epilog=EXAMPLES)


@app.callback()
def ledger() -> None:
    """The database of lasting records."""


@app.command(epilog=EXAMPLES)
def migrate(json: JsonOption = False) -> None:
    """Bring the tables up to date.

    PostgreSQL needs it after every upgrade; SQLite does it by itself.
    """
    from ledger import database

    try:
        version = database.migrate(inputs.settings().ledger.url.get_secret_value())
    except database.LedgerError as error:
        fail(str(error))
    if json:
        result_as_json({"version": version})
    else:
        result(f"tables of version {version}")
