"""`q2c up`: the whole stack on this machine, without deals."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from cli import inputs
from cli.local import PortsOption, require_local_stack
from cli.output import fail, note, result

if TYPE_CHECKING:
    from demo.stack import StackOptions
    from workers.settings import Settings

EXAMPLES = """Examples:

q2c up
    the stack on the documented ports

q2c up --ports auto | head -1 | jq -r .web
    where the web application listens

q2c up --no-worker
    for a worker of your own, e.g. under a debugger
"""


def up(
    ports: PortsOption = "fixed",
    worker: Annotated[bool, typer.Option(help="Start a worker.")] = True,
    web: Annotated[bool, typer.Option(help="Start the web application.")] = True,
    data: Annotated[str, typer.Option(help="fixtures, empty, or a folder: Northwind or a population.")] = "fixtures",
) -> None:
    """Start the whole stack, without deals.

    Prints one JSON line with every address when it is ready, and ends with
    SIGTERM or Ctrl-C. Standard error says what happens on the way; a part that
    dies is started again.
    """
    require_local_stack()
    from demo.stack import StackOptions

    raise typer.Exit(asyncio.run(_up(inputs.settings(), StackOptions(ports=ports, worker=worker, web=web, data=data))))


async def _up(settings: Settings, options: StackOptions) -> int:
    from demo.stack import run_stack
    from demo.supervision import StackFailed
    from workers.serving import stop_signals

    with stop_signals() as stop:
        try:
            async with run_stack(settings, options, note) as stack:
                result(stack.info().ready_line())
                await stack.hold_until(stop)
        except StackFailed as error:
            fail(str(error), code=1)
    return 0
