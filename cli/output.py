"""How commands speak: results on standard output, everything else on standard error, JSON where a program reads it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn, TextIO

import typer

UNUSABLE = 2
"""Exit code of a command that could not even begin: settings, rules or an argument are wrong."""

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def result(text: str) -> None:
    """Print a command's result."""
    _write(sys.stdout, text)


def result_as_json(value: Any) -> None:
    """Print a command's result as JSON, indented."""
    result(json.dumps(value, indent=2, ensure_ascii=False))


def note(text: str) -> None:
    """Tell a person something beside the result."""
    _write(sys.stderr, text)


def fail(text: str, code: int = UNUSABLE) -> NoReturn:
    """End the command with a message."""
    note(text)
    raise typer.Exit(code)


def require_writable(target: Path, option: str) -> None:
    """Refuse a file that could not be written, before the work that fills it; ``option`` names it."""
    if not target.parent.is_dir():
        fail(f"{option}: there is no folder {target.parent}; make it first.")
    if target.is_dir():
        fail(f"{option}: {target} is a folder; name a file.")


def _write(stream: TextIO, text: str) -> None:
    """Write a line; what the stream's encoding lacks (a file's name need be no text) is escaped."""
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()
