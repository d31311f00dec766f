"""Puts the commands together; entry point of the console script."""

from __future__ import annotations

import traceback
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from cli import (
    assess,
    audit,
    bench,
    bus,
    chaos,
    codec,
    collections,
    compare,
    credit,
    data,
    demo,
    doctor,
    gate,
    history,
    imports,
    initial,
    keys,
    late,
    ledger,
    letters,
    load,
    match,
    mcp,
    openapi,
    parallel,
    policy,
    quality,
    sandbox,
    setup,
    shadow,
    sync,
    up,
    virtual,
    web,
    worker,
)
from cli import map as data_map
from cli.output import fail, result
from workers.leaving import leave

TRY, RUN, CHECK = "Try it on this machine", "Run it", "Look after it"

ENDING = """Settings are environment variables `Q2C_*` or a file `.env`: docs/settings.md lists them.

Exit codes: 0, done; 1, something was found or failed, as the command's help says; 2, it could not begin: a setting, a
file or an argument is wrong, and the message names it; 130, ended by Ctrl-C. Results are on standard output, all else
on standard error.
"""


class Commands(TyperGroup):
    """The commands, with a border around them: what the operating system refuses is said in one line."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; a file or folder that cannot be used ends it with exit code 2."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except OSError as error:
            named = f"{error.filename}: " if error.filename is not None else ""
            fail(f"{named}{error.strerror or error}")


app = typer.Typer(
    name="q2c",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo", epilog=demo.EXAMPLES, rich_help_panel=TRY)(demo.demo)
app.command("chaos", epilog=chaos.EXAMPLES, rich_help_panel=TRY)(chaos.chaos)
app.command("up", epilog=up.EXAMPLES, rich_help_panel=TRY)(up.up)
app.command("sandbox", epilog=sandbox.EXAMPLES, rich_help_panel=TRY)(sandbox.sandbox)
app.command("worker", epilog=worker.EXAMPLES, rich_help_panel=RUN)(worker.worker)
app.command("web", epilog=web.EXAMPLES, rich_help_panel=RUN)(web.web)
app.command("virtual", epilog=virtual.EXAMPLES, rich_help_panel=RUN)(virtual.virtual)
app.command("mcp", epilog=mcp.EXAMPLES, rich_help_panel=RUN)(mcp.mcp)
app.add_typer(bus.app, name="bus", rich_help_panel=RUN)
app.command("openapi", epilog=openapi.EXAMPLES, rich_help_panel=RUN)(openapi.openapi)
app.add_typer(codec.app, name="codec", rich_help_panel=RUN)
app.command("keys", epilog=keys.EXAMPLES, rich_help_panel=RUN)(keys.keys)
app.add_typer(setup.app, name="setup", rich_help_panel=CHECK)
app.command("doctor", epilog=doctor.EXAMPLES, rich_help_panel=CHECK)(doctor.doctor)
app.command("bench", epilog=bench.EXAMPLES, rich_help_panel=TRY)(bench.bench)
app.command("import", epilog=imports.EXAMPLES, rich_help_panel=CHECK)(imports.import_quotes)
app.add_typer(shadow.app, name="shadow", rich_help_panel=CHECK)
app.command("load", epilog=load.EXAMPLES, rich_help_panel=CHECK)(load.load)
app.add_typer(policy.app, name="policy", rich_help_panel=CHECK)
app.add_typer(data_map.app, name="map", rich_help_panel=CHECK)
app.add_typer(quality.app, name="quality", rich_help_panel=CHECK)
app.add_typer(match.app, name="match", rich_help_panel=CHECK)
app.command("assess", epilog=assess.EXAMPLES, rich_help_panel=CHECK)(assess.assess)
app.add_typer(data.app, name="data", rich_help_panel=CHECK)
app.command("compare", epilog=compare.EXAMPLES, rich_help_panel=CHECK)(compare.compare)
app.add_typer(parallel.app, name="parallel", rich_help_panel=CHECK)
app.command("initial", epilog=initial.EXAMPLES, rich_help_panel=CHECK)(initial.initial)
app.command("gate", epilog=gate.EXAMPLES, rich_help_panel=CHECK)(gate.gate)
app.add_typer(ledger.app, name="ledger", rich_help_panel=CHECK)
app.add_typer(late.app, name="late", rich_help_panel=CHECK)
app.add_typer(credit.app, name="credit", rich_help_panel=CHECK)
app.add_typer(sync.app, name="sync", rich_help_panel=CHECK)
app.add_typer(history.app, name="history", rich_help_panel=CHECK)
app.add_typer(letters.app, name="letters", rich_help_panel=CHECK)
app.add_typer(audit.app, name="audit", rich_help_panel=CHECK)
app.add_typer(collections.app, name="collections", rich_help_panel=CHECK)


def _print_version(wanted: bool) -> None:
    if wanted:
        try:
            installed = version("quote-to-cash")
        except PackageNotFoundError:
            installed = "(not installed: run from its sources)"
        result(f"q2c {installed}")
        raise typer.Exit


@app.callback(epilog=ENDING)
def q2c(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Durable quote-to-cash between Dynamics 365 Sales and Dynamics 365 Finance, on Temporal."""


def main() -> NoReturn:
    """Run the command that was asked for, and leave with its exit code."""
    try:
        app(prog_name="q2c")
        code = 0
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except BaseException:  # noqa: BLE001  # what nobody expected is shown, as Python itself would
        traceback.print_exc()
        code = 1
    leave(code)
