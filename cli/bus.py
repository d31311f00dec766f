"""`q2c bus`: reports of Dynamics by Azure Service Bus, and the dead letters there."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cli import inputs
from cli.output import JsonOption, fail, result, result_as_json
from cli.process import run

if TYPE_CHECKING:
    from workers.settings import Settings
    from workers.telemetry import Telemetry

EXAMPLES = """Examples:

Q2C_BUS_NAMESPACE=contoso.servicebus.windows.net \\
Q2C_BUS_FINANCE=business-events q2c bus
    receives what Finance posts there

q2c bus dead-letters --limit 5
    what could not be understood, and why
"""

LETTERS_EXAMPLES = """Examples:

q2c bus dead-letters --limit 5
    the first of each queue, with the reason

q2c bus dead-letters --json | jq -r '.[].reason'
    the reasons alone, for a program
"""

RETRY_EXAMPLES = """Examples:

q2c bus retry
    when what kept them from being taken was corrected
"""

app = typer.Typer(help="Receive reports of Dynamics by Azure Service Bus; look at its dead letters.", epilog=EXAMPLES)
Limit = Annotated[int, typer.Option(help="How many of each queue at most.", min=1, max=1_000)]


@app.callback(invoke_without_command=True)
def bus(context: typer.Context) -> None:
    """Receive reports of Dynamics by Azure Service Bus; look at its dead letters.

    Without a command it receives, until SIGTERM or Ctrl-C. Start as many as the
    load needs; none has to run where Dynamics reports over HTTPS.
    """
    if context.invoked_subcommand is None:
        from workers.mode import Process

        run(Process.BUS, _receive)


@app.command("dead-letters", epilog=LETTERS_EXAMPLES)
def dead_letters(limit: Limit = 100, json: JsonOption = False) -> None:
    """Show the messages that could not be taken, with the reason. They stay where they are."""
    from workers.bus import dead_letters
    from workers.settings import SettingsError

    try:
        found = asyncio.run(dead_letters(inputs.settings(), limit))
    except SettingsError as error:
        fail(str(error))
    if json:
        result_as_json([asdict(letter) for letter in found])
        return
    for letter in found:
        result(
            f"{letter.source} #{letter.sequence_number}  {letter.enqueued_at}  {letter.reason}: {letter.description}\n"
            f"  {letter.body[:500]}"
        )
    result(f"{len(found)} dead letter{'' if len(found) == 1 else 's'}")


@app.command("retry", epilog=RETRY_EXAMPLES)
def retry(limit: Limit = 100, json: JsonOption = False) -> None:
    """Hand dead letters over once more. What cannot be taken stays a dead letter."""
    from domain.policy import PolicyError
    from workers.bus import retry
    from workers.mode import Process
    from workers.settings import SettingsError
    from workers.telemetry import start_telemetry
    from workers.temporal_client import TemporalUnusable

    try:
        counted = asyncio.run(retry(inputs.settings(), start_telemetry(Process.BUS), limit))
    except (SettingsError, TemporalUnusable, PolicyError) as error:
        fail(str(error))
    if json:
        result_as_json(counted)
    else:
        result(f"{counted['taken']} taken, {counted['left']} stay dead letters")


async def _receive(settings: Settings, telemetry: Telemetry) -> int:
    from workers.bus import run_bus

    return await run_bus(settings, telemetry)
