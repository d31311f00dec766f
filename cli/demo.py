"""`q2c demo`: everything on this machine in one command."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import inputs
from cli.local import PortsOption, require_local_stack
from cli.output import note, require_writable

EXAMPLES = """Examples:

q2c demo
    you decide; it says where to click

q2c demo --auto --cases 24
    people are played; exit code 0 if every deal ended as it must

q2c demo --auto --json - | jq .mismatches
    the verdict for a program
"""


def demo(
    context: typer.Context,
    auto: Annotated[
        bool, typer.Option("--auto", help="People are played by the sandbox; ends with a verdict.")
    ] = False,
    cases: Annotated[int, typer.Option(min=1, max=1000, help="How many sample deals.")] = 17,
    data: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Folder of Northwind's tables instead of the sample."),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="With --auto: write the summary here; - is standard output."),
    ] = None,
    ports: PortsOption = "fixed",
) -> None:
    """Start the whole stack, submit sample deals, and say where to click.

    Stays up until Ctrl-C. With --auto it ends by itself, and says whether every
    deal ended as its input says it must and both systems agree.
    """
    require_local_stack()
    from rich.console import Console

    from demo.play import STANDARD_OUTPUT, DemoOptions, play
    from workers.logs import configure_logging

    if json_file is not None:
        if json_file != STANDARD_OUTPUT:
            require_writable(json_file, "--json")
        if not auto:
            note("--json is ignored: only --auto ends with a summary.")
    cases_from = context.get_parameter_source("cases")
    if data is not None and cases_from is not None and cases_from.name == "COMMANDLINE":
        note("--cases is ignored: the folder given by --data brings its own deals.")
    settings = inputs.settings()
    configure_logging("WARNING" if settings.log_level == "INFO" else settings.log_level, "console", sys.stderr)
    options = DemoOptions(auto=auto, cases=cases, data=data, summary=json_file, ports=ports)
    console = Console(stderr=json_file == STANDARD_OUTPUT)
    raise typer.Exit(asyncio.run(play(settings, options, console)))
