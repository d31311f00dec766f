"""The checks of `q2c doctor` on reading in bulk: whether what is needed is installed, and the reader may read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from cli.check import Check, failed, ok
from dynamics.bulk.reader import Reader
from dynamics.core.errors import DynamicsError, System
from workers import composition
from workers.bulk import lacking
from workers.settings import Settings, SettingsError

_NAME: Final = "comparisons"
_READS: Final = {
    System.DATAVERSE: "accounts?$top=1&$select=accountid",
    System.FINANCE: "CustomersV3?cross-company=true&$top=1&$select=CustomerAccount",
}
_REMEDY: Final = "set up the application that reads (docs/tenant-set-up.md, step 2)."


async def run(settings: Settings) -> AsyncIterator[Check]:
    """Whether both systems can be compared."""
    why = lacking(settings)
    if not why and "client_secret" not in settings.reader.model_fields_set:
        why = "Q2C_READER_CLIENT_SECRET is not given"
    if why:
        yield ok(_NAME, f"not looked at: {why} (docs/comparison.md)")
        return
    try:
        who, endpoints = composition.reader(settings), composition.endpoints(settings)
    except SettingsError as error:
        yield failed(_NAME, str(error))
        return
    for system, path in _READS.items():
        name = f"{_NAME}: {system.value}"
        async with Reader(system, endpoints[system], who) as reader:
            try:
                await reader.page(path)
            except DynamicsError as error:
                yield failed(name, str(error).split(" Trace ID:")[0], _REMEDY)
            else:
                yield ok(name, "the application that reads may read it")
