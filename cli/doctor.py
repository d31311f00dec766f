"""`q2c doctor`: does everything the product needs work, for real, with these settings?"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from cli.output import JsonOption, result_as_json

if TYPE_CHECKING:
    from cli.check import Check

EXAMPLES = """Examples:

q2c doctor
    one line for each check; exit code 1 if one fails

q2c doctor --json | jq '.checks[] | select(.status == "failed")'
    what fails, for a program
"""

_MARKS = {"ok": "[green]ok  [/]", "failed": "[red]FAIL[/]", "not checked": "[yellow]-   [/]"}


def doctor(json: JsonOption = False) -> None:
    """Check the settings and every system for real, and say what to do.

    Policies and decision keys; Temporal, its namespace and search attributes;
    Entra ID and the redirect URI; Dataverse with each part that `q2c setup
    dataverse` creates; Finance, its entity sets and the posting service; the web
    application and what is reported to it, the Service Bus where one is set
    included; virtual tables and assistants, where they are set up; the collector
    of traces and metrics. What cannot be looked at is "not checked", with the
    reason.
    """
    from workers.logs import configure_logging

    configure_logging("ERROR", "console", sys.stderr)
    raise typer.Exit(asyncio.run(_doctor(as_json=json)))


async def _doctor(*, as_json: bool) -> int:
    from rich.console import Console

    from cli.checks import run_checks

    console = Console(highlight=False, soft_wrap=True)
    checks: list[Check] = []
    async for check in run_checks():
        checks.append(check)
        if not as_json:
            console.print(f"{_MARKS[check.status]} {check.name}: ", end="")
            console.print(f"{check.text} To do: {check.remedy}" if check.remedy else check.text, markup=False)
    failed = sum(check.status == "failed" for check in checks)
    unknown = sum(check.status == "not checked" for check in checks)
    if as_json:
        result_as_json({"ok": not failed, "checks": [asdict(check) for check in checks]})
    else:
        said = "All is well." if not failed else f"{failed} of {len(checks)} checks failed."
        console.print(f"{said} {unknown} not checked." if unknown else said)
    return 1 if failed else 0
