"""What `q2c bench` does: runs measurements of the checkout one after another, and prints what they found."""

from __future__ import annotations

import asyncio
import importlib
import os
import platform
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cli.output import fail, note, result_as_json

ROOT = Path(__file__).parents[1]
CHECKOUT = "q2c bench needs a checkout of the sources with its development tools (uv sync), on Linux"


def run(only: str, scale: float, data: Path | None, *, as_json: bool) -> int:
    """Measure; the exit code."""
    suite = _suite()
    wanted = [name.strip() for name in only.split(",") if name.strip()] or list(suite.MEASUREMENTS)
    if unknown := [name for name in wanted if name not in suite.MEASUREMENTS]:
        fail(f"--only: {', '.join(unknown)} is none of {', '.join(suite.MEASUREMENTS)}")
    if "northwind" in wanted and data is None:
        if only:
            fail("--only northwind: name the folder of its tables with --data")
        wanted.remove("northwind")
        note("northwind is left out: --data names the folder of its tables")
    found, failed = _measured(suite, wanted, suite.Size(scale, data))
    about = {
        "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%MZ}",
        "machine": f"{os.cpu_count()} × {platform.machine()}, Python {platform.python_version()}",
        "scale": scale,
    }
    if as_json:
        figures = [{"of": name} | asdict(each) | {"ratio": each.ratio} for name, each in found]
        result_as_json(about | {"figures": figures, "failed": failed})
    else:
        _print(found, about)
    return int(bool(failed))


def _suite() -> Any:
    """The measurements of the checkout; ends the command where there are none."""
    if not (ROOT / "bench" / "suite.py").is_file() or not sys.platform.startswith("linux"):
        fail(CHECKOUT)
    sys.path.insert(0, str(ROOT))
    try:
        return importlib.import_module("bench.suite")
    except ImportError as error:
        fail(f"{CHECKOUT}: {error}")


def _measured(suite: Any, wanted: list[str], size: Any) -> tuple[list[tuple[str, Any]], dict[str, str]]:
    found: list[tuple[str, Any]] = []
    failed: dict[str, str] = {}
    for name in wanted:
        note(f"{name}: {(suite.MEASUREMENTS[name].__doc__ or '').strip()}")
        try:
            found += [(name, each) for each in asyncio.run(suite.MEASUREMENTS[name](size))]
        except Exception as error:  # noqa: BLE001  # whatever a measurement ends with, the others are worth their time
            failed[name] = f"{type(error).__name__}: {error}"[:500]
            note(f"{name} failed: {failed[name]}")
    return found, failed


def _print(found: list[tuple[str, Any]], about: dict[str, Any]) -> None:
    console = Console(file=sys.stdout, highlight=False, markup=False)
    rows = Table("Of", "Figure", "Measured", "Floor", "Times", "The floor is", box=None)
    for name, each in found:
        floor = "" if each.floor is None else f"{each.floor:,.2f}"
        times = "" if each.ratio is None else f"{each.ratio:.2f}"
        rows.add_row(name, each.name, f"{each.value:,.2f} {each.unit}".strip(), floor, times, each.floor_is)
    console.print(rows)
    console.print(f"{about['at']}, {about['machine']}, scale {about['scale']:g}")
