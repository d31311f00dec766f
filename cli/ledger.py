"""`q2c ledger`: the database of the product's own lasting records."""

from __future__ import annotations

import sys

import typer

from ledger.database import LedgerError, migrate
from workers.settings import SettingsError, load_settings

app = typer.Typer(help="The database of lasting records.", no_args_is_help=True)


@app.callback()
def ledger() -> None:
    """The database of lasting records."""


@app.command("migrate")
def migrate_command() -> None:
    """Bring the tables up to date. PostgreSQL needs it after every upgrade; SQLite does it by itself."""
    try:
        version = migrate(load_settings().ledger.url.get_secret_value())
    except (LedgerError, SettingsError) as error:
        print(error, file=sys.stderr)  # noqa: T201  # what a person reads when a command cannot go on
        raise typer.Exit(2) from error
    print(f"tables of version {version}")  # noqa: T201  # the command's output
