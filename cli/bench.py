"""`q2c bench`: the measurements that docs/sizing.md is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.output import JsonOption

EXAMPLES = """Examples:

q2c bench
    all of them at a tenth of the full size: the better part of an hour

q2c bench --only requests,cpu
    what one deal costs, in a few minutes

q2c bench --only northwind --data ./northwind --json
    830 orders end to end, as data

q2c bench --scale 1 --only waiting
    ten thousand deals that wait
"""


def bench(
    only: Annotated[
        str, typer.Option(help="Names, by commas: cpu, latency, requests, waiting, northwind, lines, workers.")
    ] = "",
    scale: Annotated[float, typer.Option(min=0.01, max=1.0, help="Share of the full size.")] = 0.1,
    data: Annotated[Path | None, typer.Option(help="Folder of Northwind's tables, for northwind.")] = None,
    json: JsonOption = False,
) -> None:
    """Measure what deals cost, each figure beside its floor, measured in the same run.

    Needs a checkout of the sources, its development tools, and Linux. Each
    measurement starts a stack of its own. The exit code is 1 where one failed.
    """
    from cli import bench_work

    raise typer.Exit(bench_work.run(only, scale, data, as_json=json))
