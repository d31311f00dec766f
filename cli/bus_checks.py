"""The checks of `q2c doctor` on Azure Service Bus: each source is looked at, nothing is taken from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from cli import reach
from cli.check import Check, failed, not_checked, ok
from workers.bus import Source, bus_client, dead_letters_of, sources
from workers.settings import Settings, SettingsError

LETTERS = 100
"""Dead letters that are counted; of more it is said that there are more."""


async def run(settings: Settings) -> AsyncIterator[Check]:
    """Whether what Dynamics posts to the bus can be received, and whether `q2c bus` does; nothing where none is set."""
    if not (settings.bus.dataverse or settings.bus.finance):
        return
    try:
        named = sources(settings)
    except SettingsError as error:
        yield failed("Service Bus", str(error))
        return
    for source in named:
        yield await _source(settings, source)
    yield await _process(settings)


async def _source(settings: Settings, source: Source) -> Check:
    """Whether it can be listened to: its dead letters are looked at, which needs the same right as to receive."""
    name = f"Service Bus {source.name}"
    try:
        async with asyncio.timeout(reach.PATIENCE_SECONDS), bus_client(settings) as client:
            letters = len(await dead_letters_of(client, source, LETTERS))
    except TimeoutError:
        text = f"no answer within {reach.PATIENCE_SECONDS:.0f} s."
        return failed(name, text, "check Q2C_BUS_NAMESPACE, and that port 5671 is open to it.")
    except SettingsError as error:
        remedy = "check Q2C_BUS_*, and that the identity has the role Azure Service Bus Data Receiver."
        return failed(name, f"{error}.", remedy)
    if letters:
        many = f"{letters} or more" if letters == LETTERS else str(letters)
        return failed(name, f"{many} dead letters.", "see `q2c bus dead-letters`, then `q2c bus retry`.")
    return ok(name, "can be received, no dead letters")


async def _process(settings: Settings) -> Check:
    """Whether the process that receives says of itself that it does; on another machine it cannot be asked."""
    url = f"http://{settings.bus.health_host}:{settings.bus.health_port}/health/ready"
    answer = await reach.ready(url)
    if isinstance(answer, reach.Problem):
        return not_checked("bus", f"{answer.text} Does `q2c bus` run, and is this its machine?")
    if not answer.is_success:
        return failed("bus", f"{url} answers {answer.status_code}: {answer.text[:500]}", "see the log of `q2c bus`.")
    return ok("bus", f"{url} answers {answer.status_code}")
