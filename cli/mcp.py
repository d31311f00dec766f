"""`q2c mcp`: what assistants may ask."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import fail
from cli.process import run

if TYPE_CHECKING:
    from workers.settings import Settings
    from workers.telemetry import Telemetry

EXAMPLES = """Examples:

q2c mcp
    over HTTP, for whoever shows a token of Entra ID, on 127.0.0.1:8093

q2c mcp --stdio --token-file ~/.q2c/token
    for the assistant on one's own machine, as the person of the token
"""


def mcp(
    stdio: Annotated[bool, typer.Option("--stdio", help="Speak by standard input and output.")] = False,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help="Access token of the person who asks, with --stdio.")
    ] = None,
) -> None:
    """Answer assistants by the Model Context Protocol: eight tools that read, as the person who asks.

    It holds no key and no secret, and can change nothing.
    """
    from workers.mode import Process

    if find_spec("mcp") is None:
        fail("mcp not installed: install the product with its extra: quote-to-cash[mcp]")
    if stdio != (token_file is not None):
        fail("--stdio and --token-file go together")
    if token_file is None:
        run(Process.MCP, _http)
    if not token_file.is_file():
        fail(f"{token_file}: there is no such file")

    async def answer(settings: Settings, telemetry: Telemetry) -> int:
        from workers.assistant import run_stdio

        return await run_stdio(settings, telemetry, token_file)

    # Standard output is the assistant's.
    run(Process.MCP, answer, logs=sys.stderr)


async def _http(settings: Settings, telemetry: Telemetry) -> int:
    from workers.assistant import run_http

    return await run_http(settings, telemetry)
