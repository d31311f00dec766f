"""The maps in force, for commands: what the ledger says, and the files of what it does not know."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cli.output import fail

if TYPE_CHECKING:
    from policies.map_files import Maps
    from workers.settings import Settings


def maps_in_force(settings: Settings) -> Maps:
    """The maps; ends the command where a file is none, or the ledger does not answer."""
    from ledger.map_reading import MapReading
    from ledger.opening import LedgerAway
    from policies.map_files import in_force, load_maps

    files = load_maps(settings.policies)
    if files.problems:
        fail("\n".join(map(str, files.problems)))

    async def kept() -> Maps:
        reading = MapReading(settings.ledger.url.get_secret_value())
        try:
            return in_force(files, await reading.in_force())
        finally:
            await reading.close()

    try:
        return asyncio.run(kept())
    except LedgerAway as error:
        fail(str(error))
