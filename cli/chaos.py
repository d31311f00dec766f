"""`q2c chaos`: deals in flight on this machine, while faults strike and processes are killed."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import inputs
from cli.local import require_local_stack
from cli.output import require_writable

EXAMPLES = """Examples:

q2c chaos --faults 200
    no deal may be lost or ordered twice, no credit overrun

q2c chaos --faults 1000 --deals 20 --seed 7 --report chaos.json
    the long run, with a report for a program
"""


def chaos(
    faults: Annotated[int, typer.Option(min=1, max=10_000, help="How many things go wrong before it ends.")] = 200,
    seed: Annotated[int, typer.Option(help="The same seed makes the same faults; when they strike differs.")] = 1,
    deals: Annotated[int, typer.Option(min=1, max=100, help="How many deals are in flight at a time.")] = 10,
    report: Annotated[Path | None, typer.Option(help="Write the report here, as JSON.")] = None,
) -> None:
    """Keep deals in flight while faults strike, then judge every one of them.

    Both systems break connections before and after they commit, throttle, fail
    and answer late; what they tell is lost, late or doubled; worker, web
    application, sandbox and Temporal are killed with SIGKILL; the disk under
    the audit fills. The verdict compares each deal with the sandbox's own
    tables and the audit.
    """
    require_local_stack()
    from rich.console import Console

    from demo.chaos import ChaosOptions, play_chaos
    from workers.logs import configure_logging

    if report is not None:
        require_writable(report, "--report")
    # What is told while the web application is dead is lost, and found by the next sweep: soon, for a short run.
    os.environ.setdefault("Q2C_WORKER_SWEEP_SECONDS", "20")
    settings = inputs.settings()
    configure_logging("WARNING" if settings.log_level == "INFO" else settings.log_level, "console", sys.stderr)
    options = ChaosOptions(faults=faults, seed=seed, deals=deals, report=report)
    raise typer.Exit(asyncio.run(play_chaos(settings, options, Console())))
